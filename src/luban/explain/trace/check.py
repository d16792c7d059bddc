"""Gradients against central finite differences, in float64 on a copy of the network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from luban.core.runtime import generator
from luban.explain.trace.layers import is_leaf, map_tensors, recorded

SMALL_NETWORK = 500  # weights; in a larger network a sample of each parameter is checked
SAMPLE = 20  # weights of each parameter
WORK = 3e10  # operations that all passes together may take; what decides must not be a clock
MAX_PASSES = 4000
TOLERANCE = 1e-5  # relative
STEP = 6e-6  # about the cube root of the rounding unit, where rounding and curvature err alike
SHRINK = (1.0, 0.1, 0.01)  # of the step: a kink nearby spoils a longer one
ROUNDING = 32 * sys.float_info.epsilon  # of a loss of about 1

Objective = Callable[[nn.Module], Tensor]


@dataclass(frozen=True)
class WeightCheck:
    """One weight. numeric: (L(w + h) - L(w - h)) / 2h. error: relative; is_kink: L has a corner here (a ReLU at 0), and
    the gradient lies between the slopes on both sides, which is all that can be asked."""

    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    is_kink: bool

    @property
    def passed(self) -> bool:
        return self.is_kink or self.error <= TOLERANCE


@dataclass(frozen=True)
class GradientCheck:
    """A parameter, or several that were moved together. checked: weights. moves: how many directions they were moved
    in, as many as weights where each was moved alone. error: the largest relative one. weights: each one of a small
    network."""

    names: tuple[str, ...]
    total: int
    checked: int
    moves: int
    kinks: int
    error: float
    passed: bool
    weights: tuple[WeightCheck, ...]


class _StaysDouble(TorchFunctionMode):
    """Networks turn what they compute into float32 here and there; on the copy it stays float64."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.float and args[0].dtype == torch.float64:
            return args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def in_float64() -> Iterator[None]:
    """Make new tensors float64 and let none become float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _StaysDouble():
            yield
    finally:
        torch.set_default_dtype(before)


def check_gradients(
    network: nn.Module, objective: Objective, seed: int
) -> tuple[dict[str, Tensor], list[GradientCheck]]:
    """Compare the gradients of a float64 network with finite differences, for every trained parameter.

    All weights of a network of up to 500, else up to 20 drawn from each parameter; where the work is limited these are
    moved together in a random direction, whose slope is compared. Changes nothing for good. Returns the gradients too.
    """
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    with in_float64():
        with recorded(network) as recording:
            loss = objective(network)
        found = torch.autograd.grad(loss, [parameter for _, parameter in named], allow_unused=True)
        gradients = {
            name: torch.zeros_like(parameter) if gradient is None else gradient
            for (name, parameter), gradient in zip(named, found, strict=True)
        }
        work = max(1, sum(call.work for call in recording.calls))
        passes = int(min(MAX_PASSES, max(4, WORK / work)))
        with torch.no_grad(), _replaying(network, objective) as replay:
            probe = _Probe(replay, float(loss.detach()), gradients, dict(named), seed)
            checks = _checks(probe, named, passes)
    return gradients, checks


def _checks(probe: _Probe, named: list[tuple[str, nn.Parameter]], passes: int) -> list[GradientCheck]:
    if sum(parameter.numel() for _, parameter in named) <= SMALL_NETWORK:
        return [probe.one_by_one(name, range(parameter.numel()), keep=True) for name, parameter in named]
    samples = {name: probe.sample(name) for name, _ in named}
    if 2 * sum(len(sample) for sample in samples.values()) <= passes:
        return [probe.one_by_one(name, samples[name], keep=False) for name, _ in named]
    size = -(-2 * len(named) // passes)
    names = [name for name, _ in named]
    return [probe.together(names[start : start + size], samples) for start in range(0, len(names), size)]


@dataclass(frozen=True)
class _Probe:
    """loss: where the weights are. run: the loss, given the parameters that were moved."""

    run: Callable[[Sequence[str]], float]
    loss: float
    gradients: dict[str, Tensor]
    parameters: dict[str, nn.Parameter]
    seed: int

    def sample(self, name: str) -> list[int]:
        """Draw weights, half of them among those that have a gradient: of a vocabulary's table hardly any has one."""
        gradient, draw = self.gradients[name].flatten(), generator(self.seed, f"trace {name}")
        if len(gradient) <= SAMPLE:
            return list(range(len(gradient)))
        active = gradient.nonzero().flatten()
        chosen = active[torch.randperm(len(active), generator=draw)[: SAMPLE // 2]].tolist()
        rest = torch.randint(len(gradient), (SAMPLE,), generator=draw).tolist()
        return sorted(list(dict.fromkeys([*chosen, *rest]))[:SAMPLE])

    def one_by_one(self, name: str, positions: Sequence[int], *, keep: bool) -> GradientCheck:
        found = []
        for position in positions:
            index = _unravel(position, self.parameters[name].shape)
            scale = max(1.0, abs(float(self.parameters[name][index])))
            found.append(self.slope({name: [(index, 1.0)]}, scale, index))
        total = self.parameters[name].numel()
        return _summarised((name,), total, len(found), found, keep)

    def together(self, names: list[str], samples: dict[str, list[int]]) -> GradientCheck:
        """Move all sampled weights of some parameters at once, each by a random amount of its own."""
        draw = generator(self.seed, f"trace {names[0]} and more")
        moves = {}
        for name in names:
            amounts = torch.rand(len(samples[name]), generator=draw) * 2 - 1
            moves[name] = [
                (_unravel(position, self.parameters[name].shape), float(amount))
                for position, amount in zip(samples[name], amounts, strict=True)
            ]
        total = sum(self.parameters[name].numel() for name in names)
        return _summarised(tuple(names), total, sum(map(len, moves.values())), [self.slope(moves, 1.0, ())], False)

    def slope(
        self, moves: dict[str, list[tuple[tuple[int, ...], float]]], scale: float, index: tuple[int, ...]
    ) -> WeightCheck:
        """Compare the slope of the loss in one direction with the gradient's."""
        analytic = sum(float(self.gradients[name][at]) * by for name, parts in moves.items() for at, by in parts)
        best: tuple[float, float] | None = None
        is_kink = False
        for factor in SHRINK:
            step = STEP * scale * factor
            above, below = self.moved(moves, step), self.moved(moves, -step)
            numeric = (above - below) / (2 * step)
            noise = ROUNDING * max(1.0, abs(self.loss)) / step
            error = _relative(analytic, numeric, noise)
            if best is None or error < best[0]:
                best = (error, numeric)
            if error <= TOLERANCE:
                break
            sides = sorted([(above - self.loss) / step, (self.loss - below) / step])
            is_corner = _relative(sides[0], sides[1], noise) > 1e-3
            is_kink = is_corner and sides[0] - noise <= analytic <= sides[1] + noise
        assert best is not None
        return WeightCheck(index, analytic, best[1], best[0], is_kink and best[0] > TOLERANCE)

    def moved(self, moves: dict[str, list[tuple[tuple[int, ...], float]]], step: float) -> float:
        before = {name: [float(self.parameters[name][at]) for at, _ in parts] for name, parts in moves.items()}
        for name, parts in moves.items():
            for (at, by), value in zip(parts, before[name], strict=True):
                self.parameters[name][at] = value + step * by
        loss = self.run(list(moves))
        for name, parts in moves.items():
            for (at, _), value in zip(parts, before[name], strict=True):
                self.parameters[name][at] = value
        return loss


def _relative(one: float, other: float, noise: float) -> float:
    """Return the difference as a share of the larger number; differences within the noise count for less than the
    tolerance."""
    share = abs(one - other) / max(abs(one), abs(other), noise / TOLERANCE)
    return share if share == share else float("inf")  # NaN


def _summarised(
    names: tuple[str, ...], total: int, checked: int, found: list[WeightCheck], keep: bool
) -> GradientCheck:
    errors = [check.error for check in found if not check.is_kink]
    return GradientCheck(
        names=names,
        total=total,
        checked=checked,
        moves=len(found),
        kinks=sum(check.is_kink for check in found),
        error=max(errors, default=0.0),
        passed=all(check.passed for check in found),
        weights=tuple(found) if keep else (),
    )


def _unravel(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    index = []
    for size in reversed(shape):
        position, place = divmod(position, size)
        index.append(place)
    return tuple(reversed(index))


@contextmanager
def _replaying(network: nn.Module, objective: Objective) -> Iterator[Callable[[Sequence[str]], float]]:
    """Yield the loss as a function of which parameters were moved since.

    Layers that were called before the first one with a moved parameter give again what they gave in the first pass:
    nothing that they depend on has changed, and half of the work is saved.
    """
    leaves = {name: module for name, module in network.named_modules() if is_leaf(module)}
    outputs: list[Any] = []
    first_call: dict[str, int] = {}
    state = {"next": 0, "from": 0, "recording": 1}

    def wrap(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            number = state["next"]
            state["next"] += 1
            if not state["recording"] and number < state["from"]:
                return map_tensors(outputs[number], Tensor.clone)
            result = original(*args, **kwargs)
            if state["recording"]:
                first_call.setdefault(name, number)
                outputs.append(map_tensors(result, Tensor.clone))  # a later layer may work in place
            return result

        return forward

    for name, module in leaves.items():
        module.forward = wrap(name, module.forward)
    try:
        objective(network)
        state["recording"] = 0

        def run(moved: Sequence[str]) -> float:
            state["next"] = 0
            state["from"] = min(first_call.get(name.rpartition(".")[0], 0) for name in moved)
            return float(objective(network))

        yield run
    finally:
        for module in leaves.values():
            del module.forward
