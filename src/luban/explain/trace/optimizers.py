"""The optimizers' updates with their numbers filled in.

Sources: momentum, Polyak 1964, as torch has it, with no damping; RMSprop, Hinton 2012; Adam, Kingma & Ba 2015
(arXiv:1412.6980); AdamW, Loshchilov & Hutter 2019 (arXiv:1711.05101).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from luban.core.errors import ConfigError, listed, nearest
from luban.explain.trace.formulas import Line, factor, number


@dataclass(frozen=True)
class Update:
    """One weight in one step. gradient: after clipping, without weight decay. lines: from the gradient to the new
    weight, whose value is the last one's. after: what torch's optimizer made of it, in the weight's own type."""

    parameter: str
    index: tuple[int, ...]
    before: float
    gradient: float
    lines: tuple[Line, ...]
    after: float


@dataclass(frozen=True)
class _Weight:
    """What a formula reads. state: of the optimizer before the step, of this weight. step: counted from 1."""

    value: float
    gradient: float
    state: dict[str, float]
    group: dict[str, Any]
    step: int


def _decayed(weight: _Weight) -> tuple[float, list[Line]]:
    """Weight decay as an L2 term inside the gradient."""
    decay = float(weight.group["weight_decay"])
    if not decay:
        return weight.gradient, []
    value = weight.gradient + decay * weight.value
    filled = f"{number(weight.gradient)} + {number(decay)}·{factor(weight.value)}"
    return value, [Line("g", "g + λ·w", filled, value)]


def _sgd(weight: _Weight) -> list[Line]:
    rate = float(weight.group["lr"])
    gradient, lines = _decayed(weight)
    filled = f"{number(weight.value)} − {number(rate)}·{factor(gradient)}"
    return [*lines, Line("w", "w − η·g", filled, weight.value - rate * gradient)]


def _momentum(weight: _Weight) -> list[Line]:
    rate, keep = float(weight.group["lr"]), float(weight.group["momentum"])
    gradient, lines = _decayed(weight)
    old = weight.state.get("momentum_buffer", 0.0)
    velocity = keep * old + gradient
    return [
        *lines,
        Line("v", "μ·v + g", f"{number(keep)}·{factor(old)} + {factor(gradient)}", velocity),
        Line(
            "w",
            "w − η·v",
            f"{number(weight.value)} − {number(rate)}·{factor(velocity)}",
            weight.value - rate * velocity,
        ),
    ]


def _rmsprop(weight: _Weight) -> list[Line]:
    rate, keep, eps = (float(weight.group[key]) for key in ("lr", "alpha", "eps"))
    gradient, lines = _decayed(weight)
    old = weight.state.get("square_avg", 0.0)
    square = keep * old + (1 - keep) * gradient**2
    new = weight.value - rate * gradient / (square**0.5 + eps)
    return [
        *lines,
        Line("s", "α·s + (1 − α)·g²", f"{number(keep)}·{number(old)} + {number(1 - keep)}·{factor(gradient)}²", square),
        Line(
            "w",
            "w − η·g/(√s + ε)",
            f"{number(weight.value)} − {number(rate)}·{factor(gradient)}/(√{number(square)} + {number(eps)})",
            new,
        ),
    ]


def _moments(weight: _Weight, gradient: float, start: float) -> list[Line]:
    """The two moments, their bias corrections and the step from `start`."""
    rate, eps = float(weight.group["lr"]), float(weight.group["eps"])
    first, second = (float(beta) for beta in weight.group["betas"])
    t, old_m, old_v = weight.step, weight.state.get("exp_avg", 0.0), weight.state.get("exp_avg_sq", 0.0)
    m, v = first * old_m + (1 - first) * gradient, second * old_v + (1 - second) * gradient**2
    m_hat, v_hat = m / (1 - first**t), v / (1 - second**t)
    return [
        Line("m", "β₁·m + (1 − β₁)·g", f"{number(first)}·{factor(old_m)} + {number(1 - first)}·{factor(gradient)}", m),
        Line(
            "v", "β₂·v + (1 − β₂)·g²", f"{number(second)}·{number(old_v)} + {number(1 - second)}·{factor(gradient)}²", v
        ),
        Line("m̂", "m/(1 − β₁ᵗ)", f"{number(m)}/(1 − {number(first)}^{t})", m_hat),
        Line("v̂", "v/(1 − β₂ᵗ)", f"{number(v)}/(1 − {number(second)}^{t})", v_hat),
        Line(
            "w",
            "w − η·m̂/(√v̂ + ε)",
            f"{number(start)} − {number(rate)}·{factor(m_hat)}/(√{number(v_hat)} + {number(eps)})",
            start - rate * m_hat / (v_hat**0.5 + eps),
        ),
    ]


def _adam(weight: _Weight) -> list[Line]:
    gradient, lines = _decayed(weight)
    return [*lines, *_moments(weight, gradient, weight.value)]


def _adamw(weight: _Weight) -> list[Line]:
    rate, decay = float(weight.group["lr"]), float(weight.group["weight_decay"])
    if not decay:
        return _moments(weight, weight.gradient, weight.value)
    start = weight.value * (1 - rate * decay)
    filled = f"{number(weight.value)}·(1 − {number(rate)}·{number(decay)})"
    return [Line("w", "w·(1 − η·λ)", filled, start), *_moments(weight, weight.gradient, start)]


FORMULAS: dict[str, Callable[[_Weight], list[Line]]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}


def check_optimizer(name: str, where: str, action: str = "Choose one of these") -> None:
    """Raise ConfigError for an optimizer that has no formula here."""
    if name not in FORMULAS:
        raise ConfigError(
            where,
            expected=f"an optimizer of {listed(FORMULAS)}",
            found=f"'{name}'",
            action=f"{nearest(name, FORMULAS)}{action}",
        )


def stepped(
    optimizer: Optimizer, name: str, chosen: list[tuple[str, nn.Parameter, list[tuple[int, ...]]]], step: int
) -> list[Update]:
    """Let the optimizer do its step, and write it out for the chosen weights. step: counted from 1."""
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    before = [
        (parameter_name, parameter, index, _weight(optimizer, groups[id(parameter)], parameter, index, step))
        for parameter_name, parameter, indices in chosen
        for index in indices
        if parameter.grad is not None
    ]
    optimizer.step()
    return [
        Update(
            parameter_name,
            index,
            weight.value,
            weight.gradient,
            tuple(FORMULAS[name](weight)),
            float(parameter[index].detach()),
        )
        for parameter_name, parameter, index, weight in before
    ]


def _weight(
    optimizer: Optimizer, group: dict[str, Any], parameter: nn.Parameter, index: tuple[int, ...], step: int
) -> _Weight:
    assert parameter.grad is not None
    state = {
        key: float(value[index])
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor) and value.shape == parameter.shape and parameter.ndim
    }
    return _Weight(float(parameter[index].detach()), float(parameter.grad[index]), state, group, step)
