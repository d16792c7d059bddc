"""One training step opened up: every layer's output, the loss, each gradient, checked, and the optimizer's update."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from luban.core.errors import ConfigError
from luban.core.tensors import Ragged, only
from luban.explain.trace.check import GradientCheck, check_gradients
from luban.explain.trace.layers import Layer, Statistics, map_tensors, recorded, statistics, summary
from luban.explain.trace.losses import Loss, LossFormula, loss_named
from luban.explain.trace.optimizers import Update, check_optimizer, stepped
from luban.explain.trace.units import UnitLayer, unit_layers
from luban.models.dropout import Dropout
from luban.training.optim.clipping import SMALL, clip_grad_norm
from luban.training.optim.optimizers import OPTIMIZERS, l1_penalty

SMALL_NETWORK = 200  # weights; the update of each is written out
SHOWN = 5  # weights of each parameter of a larger network
MAX_STEPS = 100
Inputs = Tensor | Ragged | dict[str, Tensor | Ragged]
Groups = Callable[[nn.Module], list[dict[str, Any]]]


@dataclass(frozen=True)
class Gradient:
    """A parameter and its gradient before clipping. rounding: the largest distance of the gradient from the one in
    float64, as a share of the latter's largest number."""

    name: str
    weights: Statistics
    gradient: Statistics
    rounding: float


@dataclass(frozen=True)
class Step:
    """step: counted from 1. loss: before the update. clip: what the gradients were multiplied by; 1 where their norm
    was within the limit. updates: of the weights that are shown."""

    step: int
    loss: float
    grad_norm: float
    clip: float
    updates: tuple[Update, ...]


@dataclass(frozen=True)
class Trace:
    """A training step, or several on the same rows.

    layers: in the order of their calls. loss_formula: of a single row, where one is known. penalty: the L1 term of the
    loss. input: of the first dense layer, and units: every layer of it, where the network is a small chain of dense
    layers. logits_after, loss_after: after the last step. settings: of the optimizer, by name.
    """

    optimizer: str
    settings: dict[str, float | None]
    num_weights: int
    num_trained: int
    dropout_layers: int
    batch_norms: int
    layers: tuple[Layer, ...]
    logits: Statistics
    loss_name: str
    loss: float
    penalty: float
    loss_formula: LossFormula | None
    input: tuple[float, ...]
    units: tuple[UnitLayer, ...]
    gradients: tuple[Gradient, ...]
    checks: tuple[GradientCheck, ...]
    steps: tuple[Step, ...]
    logits_after: Statistics
    loss_after: float

    @property
    def check_passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def check_error(self) -> float:
        """The largest relative difference between a gradient and its finite difference."""
        return max((check.error for check in self.checks), default=0.0)

    @property
    def checked(self) -> int:
        return sum(check.checked for check in self.checks)

    @property
    def kinks(self) -> int:
        return sum(check.kinks for check in self.checks)

    @property
    def rounding(self) -> float:
        return max((gradient.rounding for gradient in self.gradients), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values; numbers that are not finite as text."""
        found = asdict(self)
        found |= {"check_passed": self.check_passed, "check_error": self.check_error, "checked": self.checked}
        json_values: dict[str, Any] = as_json(found)
        return json_values


def as_json(value: Any) -> Any:
    """Turn tuples into lists, and numbers that JSON does not have into text."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def trace_network(
    network: nn.Module,
    inputs: Inputs,
    targets: Tensor,
    loss: str | Loss = "mse",
    *,
    optimizer: str = "sgd",
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    l1: float = 0.0,
    steps: int = 1,
    seed: int = 0,
    groups: Groups | None = None,
) -> Trace:
    """Do training steps on a copy of a network, which stays as it is, and write down all that happens.

    inputs: what the network takes, rows first. targets: rows first. loss: `mse`, `bce` (of logits), `cross_entropy`
    (of logits and class numbers), or a Loss; its mean over the rows is minimised. Dropout is off and batch norms take
    their running statistics. groups: parameter groups of the optimizer in place of the one that learning_rate and
    weight_decay make. Raises ConfigError for an unknown optimizer or loss, and where nothing is trained.
    """
    check_optimizer(optimizer, "trace, optimizer")
    objective = _Objective(loss_named(loss) if isinstance(loss, str) else loss, inputs, targets, l1)
    network = copy.deepcopy(network).eval()
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    if not named:
        raise ConfigError(
            "trace", expected="a network with weights to train", found="none", action="Unfreeze some, or add a layer"
        )
    exact, checks = _checked(network, objective, seed)
    with recorded(network) as recording:
        logits, value, penalty = objective(network)
        value.backward()  # type: ignore[no-untyped-call]
    gradients = tuple(_gradient(name, parameter, exact[name]) for name, parameter in named)
    layers = tuple(summary(call) for call in recording.calls)
    chain = unit_layers(recording)
    default = [{"params": [p for _, p in named], "lr": learning_rate, "weight_decay": weight_decay}]
    made = OPTIMIZERS[optimizer](groups(network) if groups else default, learning_rate, momentum)
    chosen = _chosen(named)
    done: list[Step] = []
    for step in range(1, steps + 1):
        if step > 1:
            made.zero_grad()
            _, again, _ = objective(network)
            again.backward()  # type: ignore[no-untyped-call]
        before = value if step == 1 else again
        norm = float(clip_grad_norm([parameter for _, parameter in named], clip_norm))
        clip = min(1.0, clip_norm / (norm + SMALL)) if clip_norm else 1.0
        updates = tuple(stepped(made, optimizer, chosen, step))
        done.append(Step(step, float(before.detach()), norm, clip, updates))
    with torch.no_grad():
        logits_after, after, _ = objective(network)
    modules = list(network.modules())
    return Trace(
        optimizer=optimizer,
        settings=_settings(optimizer, made, clip_norm, l1),
        num_weights=sum(parameter.numel() for parameter in network.parameters()),
        num_trained=sum(parameter.numel() for _, parameter in named),
        dropout_layers=sum(isinstance(module, (Dropout, nn.Dropout)) for module in modules),
        batch_norms=sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules),
        layers=layers,
        logits=statistics(logits),
        loss_name=objective.loss.name,
        loss=float(value.detach()),
        penalty=penalty,
        loss_formula=objective.formula(logits),
        input=() if chain is None else chain[0],
        units=() if chain is None else chain[1],
        gradients=gradients,
        checks=tuple(checks),
        steps=tuple(done),
        logits_after=statistics(logits_after),
        loss_after=float(after),
    )


@dataclass(frozen=True)
class _Objective:
    """The mean loss of the rows, and the L1 term."""

    loss: Loss
    inputs: Inputs
    targets: Tensor
    l1: float

    def __call__(self, network: nn.Module) -> tuple[Tensor, Tensor, float]:
        """Return logits, the whole loss, and the L1 term in it."""
        logits = only(network(self.inputs))
        penalty = self.l1 * l1_penalty(network) if self.l1 else torch.zeros((), dtype=logits.dtype)
        return logits, self.loss.rows(logits, self.targets).mean() + penalty, float(penalty.detach())

    def formula(self, logits: Tensor) -> LossFormula | None:
        """Write the loss out, of a single row."""
        if self.loss.explain is None or len(logits) != 1:
            return None
        return self.loss.explain(logits.detach(), self.targets)


def _checked(network: nn.Module, objective: _Objective, seed: int) -> tuple[dict[str, Tensor], list[GradientCheck]]:
    inputs, targets = (map_tensors(value, _double) for value in (objective.inputs, objective.targets))
    exact = _Objective(objective.loss, inputs, targets, objective.l1)
    return check_gradients(copy.deepcopy(network).double(), lambda copied: exact(copied)[1], seed)


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _gradient(name: str, parameter: nn.Parameter, exact: Tensor) -> Gradient:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    largest = float(exact.abs().max()) if exact.numel() else 0.0
    rounding = float((parameter.grad.double() - exact).abs().max()) / largest if largest else 0.0
    return Gradient(name, statistics(parameter), statistics(parameter.grad), rounding)


def _chosen(named: list[tuple[str, nn.Parameter]]) -> list[tuple[str, nn.Parameter, list[tuple[int, ...]]]]:
    """Choose the weights to show: all of a small network, else the first few of each parameter that have a gradient."""
    is_small = sum(parameter.numel() for _, parameter in named) <= SMALL_NETWORK
    found = []
    for name, parameter in named:
        assert parameter.grad is not None
        every = torch.ones_like(parameter) if is_small else parameter.grad
        indices = every.nonzero()[: None if is_small else SHOWN].tolist()
        indices = indices or torch.ones_like(parameter).nonzero()[:1].tolist()
        found.append((name, parameter, [tuple(index) for index in indices]))
    return found


def _settings(
    name: str, optimizer: torch.optim.Optimizer, clip_norm: float | None, l1: float
) -> dict[str, float | None]:
    group = optimizer.param_groups[0]
    found: dict[str, float | None] = {
        "learning_rate": max(float(each["lr"]) for each in optimizer.param_groups),
        "weight_decay": max(float(each["weight_decay"]) for each in optimizer.param_groups),
        "clip_norm": clip_norm,
        "l1": l1,
    }
    if name == "momentum":
        found["momentum"] = float(group["momentum"])
    if name == "rmsprop":
        found |= {"alpha": float(group["alpha"]), "eps": float(group["eps"])}
    if name in ("adam", "adamw"):
        found |= {"beta1": float(group["betas"][0]), "beta2": float(group["betas"][1]), "eps": float(group["eps"])}
    return found
