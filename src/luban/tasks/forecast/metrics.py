"""Scores of forecasts.

truth: (rows,) with the fields `values` (V, H) in the targets' own units, `scale` (V,), the standard deviation of the
training rows, and `naive` (V,), the mean error there of the value one season before. outputs: (rows, V, H, 1 + Q), the
mean and the quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from luban.tasks.base import Array, Floats, Metric

Parts = Callable[[Array, Floats], Floats]


def part(truth: Array, name: str) -> Floats:
    """Return a field of the truth."""
    fields: Any = truth
    found: Floats = fields[name]
    return found


def truth_of(values: Floats, scale: Floats) -> Array:
    """Return the truth of values (rows, V, H) and the scales of their series, (rows, V, 3)."""
    fields = {"values": values, "scale": scale[..., 1], "naive": scale[..., 2]}
    found = np.empty(len(values), [(name, np.float64, numbers.shape[1:]) for name, numbers in fields.items()])
    for name, numbers in fields.items():
        found[name] = numbers
    return found


def of_variable(truth: Array, place: int) -> Array:
    """Return the truth of one variable."""
    values, std, naive = (part(truth, name)[:, place : place + 1] for name in ("values", "scale", "naive"))
    return truth_of(values, np.stack([np.zeros_like(std), std, naive], axis=-1))


def errors(truth: Array, outputs: Floats) -> Floats:
    """Return what the mean is off, (rows, V, H), in standard deviations of the training rows."""
    found: Floats = (outputs[..., 0].astype(np.float64) - part(truth, "values")) / part(truth, "scale")[..., None]
    return found


def pinball(truth: Array, outputs: Floats, levels: Sequence[float]) -> Floats:
    """Return the quantile loss of each level, (rows, V, H, Q), in standard deviations (Koenker and Bassett, 1978)."""
    off = (part(truth, "values")[..., None] - outputs[..., 1:].astype(np.float64)) / part(truth, "scale")[
        ..., None, None
    ]
    found: Floats = np.maximum(np.asarray(levels) * off, (np.asarray(levels) - 1) * off)
    return found


def _mean(values: Floats) -> Floats:
    found: Floats = values.reshape(len(values), -1).mean(axis=1)[:, None]
    return found


def _mase(truth: Array, outputs: Floats) -> Floats:
    off = np.abs(outputs[..., 0].astype(np.float64) - part(truth, "values"))
    return _mean(off / part(truth, "naive")[..., None])


def _smape(truth: Array, outputs: Floats) -> Floats:
    values, mean = part(truth, "values"), outputs[..., 0].astype(np.float64)
    size = np.abs(values) + np.abs(mean)
    return _mean(np.divide(2 * np.abs(mean - values), size, out=np.zeros_like(size), where=size > 0))


def _coverage(truth: Array, outputs: Floats) -> Floats:
    values = part(truth, "values")
    return _mean(((outputs[..., 1] <= values) & (values <= outputs[..., -1])).astype(np.float64))


def metrics_of(levels: Sequence[float]) -> tuple[Metric, ...]:
    """Return the metrics: `mse`, `mae` and `crps` in units of the training rows' standard deviation, as benchmarks
    state them; `mase` in that of the seasonal naive forecast (Hyndman and Koehler, 2006); `smape` as a share, 0 to 2.
    With quantiles `crps`, twice the mean quantile loss (Gneiting and Ranjan, 2011), and `coverage`, how often the
    truth lies between the outermost."""
    found = [
        _metric("mse", lambda truth, outputs: _mean(errors(truth, outputs) ** 2)),
        _metric("mae", lambda truth, outputs: _mean(np.abs(errors(truth, outputs)))),
        _metric("mase", _mase),
        _metric("smape", _smape),
    ]
    if levels:
        found.append(_metric("crps", lambda truth, outputs: 2 * _mean(pinball(truth, outputs, levels))))
    if len(levels) > 1:
        found.append(_metric("coverage", _coverage, higher_is_better=True, best=1.0))
    return tuple(found)


def _metric(name: str, parts: Parts, *, higher_is_better: bool = False, best: float = 0.0) -> Metric:
    def compute(truth: Array, outputs: Floats, weights: Floats) -> Floats:
        found: Floats = weights @ parts(truth, outputs)[:, 0] / weights.sum(axis=1)
        return found

    return Metric(
        name,
        compute,
        higher_is_better=higher_is_better,
        interval="means",
        parts=parts,
        formula=lambda means: means[:, 0],
        best=best,
    )
