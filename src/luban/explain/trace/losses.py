"""The losses of the tasks with their numbers filled in, and their slope at each logit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from luban.core.errors import ConfigError, listed, nearest
from luban.explain.trace.formulas import Line, factor, number, total
from luban.tasks.base import LossConfig, Task
from luban.tasks.classification import Binary, Classification, Multiclass
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import DEFAULT_LOSS, Regression

MAX_TERMS = 12  # classes or labels that a filled-in formula shows


@dataclass(frozen=True)
class LossFormula:
    """The loss of one row. name: of the loss. slopes: dL/dz of each logit, those shown."""

    name: str
    loss: Line
    slopes: tuple[Line, ...]


@dataclass(frozen=True)
class Loss:
    """rows(logits, targets) -> (B,). explain: writes the loss of one row out, or None where no formula is known.

    explain(logits, targets) takes a batch of that one row.
    """

    name: str
    rows: Callable[[Tensor, Tensor], Tensor]
    explain: Callable[[Tensor, Tensor], LossFormula] | None


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _log_sigmoid(value: float) -> float:
    return min(value, 0.0) - math.log1p(math.exp(-abs(value)))


def cross_entropy(logits: list[float], target: int, smoothing: float, weights: list[float] | None) -> LossFormula:
    """Softmax cross-entropy against (1 - e) one-hot + e / C, each class times its weight."""
    classes = len(logits)
    highest = max(logits)
    normaliser = highest + math.log(sum(math.exp(z - highest) for z in logits))
    weight = weights or [1.0] * classes
    share = [weight[k] * ((1 - smoothing) * (k == target) + smoothing / classes) for k in range(classes)]
    shown = list(range(classes)) if classes <= MAX_TERMS else [target]
    more = "" if classes <= MAX_TERMS else " + ..."
    value = sum(q * (normaliser - z) for q, z in zip(share, logits, strict=True))
    if weights is None and not smoothing:
        exponents = " + ".join(f"e^{factor(logits[k])}" for k in shown) + more
        loss = Line(
            "L",
            "−ln p_y = ln Σ_k e^(z_k) − z_y",
            f"ln({exponents}) − {factor(logits[target])}",
            normaliser - logits[target],
        )
    else:
        parts = [f"{number(share[k])}·{factor(normaliser - logits[k])}" for k in shown if share[k]]
        loss = Line("L", "−Σ_k q_k·ln p_k", total(parts) + more, value)
    mass = sum(share)
    slopes = []
    for k in shown if classes <= MAX_TERMS else sorted({target, logits.index(highest)}):
        p = math.exp(logits[k] - normaliser)
        by_mass = "" if mass == 1 else f"·{number(mass)}"
        formula = "p_k − q_k" if mass == 1 else "p_k·Σ_j q_j − q_k"
        slopes.append(
            Line(f"∂L/∂z_{k + 1}", formula, f"{number(p)}{by_mass} − {number(share[k])}", p * mass - share[k])
        )
    return LossFormula("cross_entropy", loss, tuple(slopes))


def binary_cross_entropy(
    logits: list[float], targets: list[float], up: list[float], down: list[float], name: str = "binary_cross_entropy"
) -> LossFormula:
    """The mean over C logits of -[a t ln s(z) + b (1 - t) ln(1 - s(z))]. up, down: the weights a and b of each."""
    count = len(logits)
    values, parts, slopes = [], [], []
    mean = "" if count == 1 else f"/{count}"
    for k, (z, t, a, b) in enumerate(zip(logits, targets, up, down, strict=True)):
        p = sigmoid(z)
        values.append(-(a * t * _log_sigmoid(z) + b * (1 - t) * _log_sigmoid(-z)))
        both = [f"{number(w)}·ln({number(q)})" for w, q in ((a * t, p), (b * (1 - t), 1 - p)) if w]
        parts.append(f"[{total(both)}]")
        slope = (b * (1 - t) * p - a * t * (1 - p)) / count
        formula, filled = f"(p − t){mean}", f"({number(p)} − {number(t)}){mean}"
        if (a, b) != (1, 1):
            formula = f"(b·(1 − t)·p − a·t·(1 − p)){mean}"
            filled = f"({number(b * (1 - t))}·{number(p)} − {number(a * t)}·{number(1 - p)}){mean}"
        slopes.append(Line("∂L/∂z" if count == 1 else f"∂L/∂z_{k + 1}", formula, filled, slope))
    weighted = any(pair != (1, 1) for pair in zip(up, down, strict=True))
    inner = "a·t·ln p + b·(1 − t)·ln(1 − p)" if weighted else "t·ln p + (1 − t)·ln(1 − p)"
    more = " + ..." if count > MAX_TERMS else ""
    if count == 1:
        loss = Line("L", f"−[{inner}], p = 1/(1 + e^(−z))", f"−{parts[0]}", values[0])
    else:
        filled = f"−({' + '.join(parts[:MAX_TERMS])}{more})/{count}"
        loss = Line("L", f"−Σ_k [{inner}]/{count}, p = 1/(1 + e^(−z))", filled, sum(values) / count)
    return LossFormula(name, loss, tuple(slopes[:MAX_TERMS]))


def squared_error(outputs: list[float], targets: list[float]) -> LossFormula:
    """The mean over the outputs of (z - t)^2."""
    count = len(outputs)
    mean = "" if count == 1 else f"/{count}"
    parts = [f"({number(z)} − {factor(t)})²" for z, t in zip(outputs, targets, strict=True)]
    value = sum((z - t) ** 2 for z, t in zip(outputs, targets, strict=True)) / count
    slopes = tuple(
        Line(_slope(k, count), f"2·(z − t){mean}", f"2·({number(z)} − {factor(t)}){mean}", 2 * (z - t) / count)
        for k, (z, t) in enumerate(zip(outputs, targets, strict=True))
    )
    body = parts[0] if count == 1 else f"({' + '.join(parts[:MAX_TERMS])}){mean}"
    return LossFormula(
        "mse", Line("L", "(z − t)²" if count == 1 else f"Σ (z − t)²{mean}", body, value), slopes[:MAX_TERMS]
    )


def absolute_error(z: float, t: float) -> LossFormula:
    """|z - t|."""
    sign = float((z > t) - (z < t))
    slope = Line("∂L/∂z", "sign(z − t)", f"sign({number(z - t)})", sign)
    return LossFormula("mae", Line("L", "|z − t|", f"|{number(z)} − {factor(t)}|", abs(z - t)), (slope,))


def huber(z: float, t: float) -> LossFormula:
    """(z - t)^2 / 2 up to a distance of 1, and the distance less 1/2 beyond (Huber 1964)."""
    d = z - t
    if abs(d) < 1:
        loss = Line("L", "(z − t)²/2, |z − t| < 1", f"({number(z)} − {factor(t)})²/2", d * d / 2)
        return LossFormula("huber", loss, (Line("∂L/∂z", "z − t", f"{number(z)} − {factor(t)}", d),))
    loss = Line("L", "|z − t| − 1/2, |z − t| ≥ 1", f"|{number(z)} − {factor(t)}| − 1/2", abs(d) - 0.5)
    return LossFormula("huber", loss, (Line("∂L/∂z", "sign(z − t)", f"sign({number(d)})", math.copysign(1, d)),))


def _slope(k: int, count: int) -> str:
    return "∂L/∂z" if count == 1 else f"∂L/∂z_{k + 1}"


def _mse(logits: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(logits, targets.to(logits).reshape(logits.shape), reduction="none").flatten(1).mean(1)


def _bce(logits: Tensor, targets: Tensor) -> Tensor:
    shaped = targets.to(logits).reshape(logits.shape)
    return F.binary_cross_entropy_with_logits(logits, shaped, reduction="none").flatten(1).mean(1)


def _floats(tensor: Tensor) -> list[float]:
    return [float(value) for value in tensor.detach().flatten().tolist()]


LOSSES: dict[str, Loss] = {
    "mse": Loss("mse", _mse, lambda z, t: squared_error(_floats(z), _floats(t))),
    "bce": Loss(
        "bce",
        _bce,
        lambda z, t: binary_cross_entropy(_floats(z), _floats(t), [1.0] * z.numel(), [1.0] * z.numel()),
    ),
    "cross_entropy": Loss(
        "cross_entropy",
        lambda z, t: F.cross_entropy(z, t, reduction="none"),
        lambda z, t: cross_entropy(_floats(z), int(t), 0.0, None),
    ),
}


def loss_named(name: str) -> Loss:
    """Return a loss by name. Raises ConfigError for an unknown one."""
    if name not in LOSSES:
        raise ConfigError(
            "trace",
            expected=f"a loss of {listed(LOSSES)}",
            found=f"'{name}'",
            action=f"{nearest(name, LOSSES)}Choose one of these",
        )
    return LOSSES[name]


def _binary(task: Binary, logits: Tensor, targets: Tensor, config: LossConfig) -> LossFormula:
    weights = task.class_weights()
    weight = 1.0 if weights is None else float(weights[int(targets)])
    target = int(targets) * (1 - config.label_smoothing) + config.label_smoothing / 2
    return binary_cross_entropy(_floats(logits), [target], [weight], [weight])


def _multiclass(task: Classification, logits: Tensor, targets: Tensor, config: LossConfig) -> LossFormula:
    weights = task.class_weights()
    listed_weights = None if weights is None else [float(weight) for weight in weights]
    return cross_entropy(_floats(logits), int(targets), config.label_smoothing, listed_weights)


def _multi_label(task: MultiLabel, logits: Tensor, targets: Tensor, config: LossConfig) -> LossFormula:
    # The weights come out of the loss itself: of a label that is there, at a logit of 0, it is weight * ln 2 / C.
    count = logits.numel()
    plain = task.configured(config.model_copy(update={"label_smoothing": 0.0}))
    zeros, eye = torch.zeros(count, count), torch.eye(count)
    present = plain.row_loss(zeros, eye) * count / math.log(2) - (count - 1)
    targets_k = [t * (1 - config.label_smoothing) + config.label_smoothing / 2 for t in _floats(targets)]
    weights = [1.0] * count if config.class_weights is None else _floats(present)
    return binary_cross_entropy(_floats(logits), targets_k, weights, [1.0] * count)


def _regression(task: Regression, logits: Tensor, targets: Tensor, config: LossConfig) -> LossFormula:
    z, t = float(logits), (float(targets) - task.mean) / task.std
    return {"mse": lambda: squared_error([z], [t]), "mae": lambda: absolute_error(z, t), "huber": lambda: huber(z, t)}[
        config.loss or DEFAULT_LOSS
    ]()


# By the task's name; the loss of a task that is not here is shown as a number alone, and the page says so.
TASK_FORMULAS: dict[str, Callable[..., LossFormula]] = {
    Binary.name: _binary,
    Multiclass.name: _multiclass,
    MultiLabel.name: _multi_label,
    Regression.name: _regression,
}


def loss_of(task: Task, config: LossConfig) -> Loss:
    """Return the loss of a task, as it was trained with."""
    task = task.configured(config)
    known = TASK_FORMULAS.get(task.name)
    explain = None if known is None else lambda logits, targets: known(task, logits, targets, config)
    return Loss(task.name, task.row_loss, explain)
