"""How far a score could be off, had other rows been drawn: percentile intervals of the bootstrap.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from luban.data.draw import sample_rows
from luban.tasks.base import Array, Floats, Metric, Task

RESAMPLES = 1000
FEW_RESAMPLES = 200  # of trials, of which there are many
LOW, HIGH = 2.5, 97.5  # percentiles
CELLS_AT_ONCE = 2**21  # weights held in memory: 16 MiB
MAX_ROWS = 20_000  # that are resampled
NORMAL_ROWS = 10_000  # from here on the sums of resamples are drawn from the normal law that they tend to
MAX_FLAGS = 8  # that are told apart as patterns


@dataclass(frozen=True)
class Score:
    """value: on the rows as they are. low, high: the 95 % interval. NaN where the score is not defined."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, samples: Floats) -> Self:
        """samples: (R,), of which those that are not defined are passed over."""
        defined = samples[~np.isnan(samples)]
        low, high = np.percentile(defined, [LOW, HIGH]) if len(defined) else (math.nan, math.nan)
        return cls(float(value), float(low), float(high))

    def to_json(self) -> dict[str, float | None]:
        """Return JSON values; null where the score is not defined."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(number) else number for name, number in named.items()}


@dataclass(frozen=True)
class Sampled:
    """One metric: its value on the rows as they are, and on each of R resamples, (R,)."""

    value: float
    samples: Floats

    @property
    def score(self) -> Score:
        return Score.of(self.value, self.samples)


def weights_of_resamples(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each row is drawn in each resample, (r, rows), a bounded number of resamples at a time.

    The draws depend on `seed` and `rows` alone, so that two models scored on the same rows meet the same resamples.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // max(rows, 1))
    for start in range(0, resamples, at_once):
        drawn = (rng.integers(0, rows, rows) for _ in range(min(at_once, resamples - start)))
        yield np.stack([np.bincount(draw, minlength=rows) for draw in drawn]).astype(np.float64)


def sums_of_resamples(columns: npt.NDArray[Any], resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the sums of the columns over resamples of the rows, (R, K), in bounded memory. columns: (rows, K).

    Rows of up to 8 flags (bool) are drawn by how often each pattern occurs, which is the same law; 10,000 rows of
    numbers or more by the multivariate normal law of their sums.
    """
    rows, width = columns.shape
    rng = np.random.default_rng(seed)
    if columns.dtype == np.bool_ and width <= MAX_FLAGS:
        codes = np.packbits(columns, axis=1, bitorder="little")[:, 0]
        counts = np.bincount(codes, minlength=2**width)
        flags = (np.arange(2**width)[:, None] >> np.arange(width)) & 1
        return (rng.multinomial(rows, counts / max(rows, 1), resamples) @ flags).astype(np.float64)
    values = columns.astype(np.float64)
    if rows < NORMAL_ROWS:
        return np.concatenate([weights @ values for weights in weights_of_resamples(rows, resamples, seed)])
    covariance = np.atleast_2d(np.cov(values, rowvar=False, bias=True)) * rows
    return rng.multivariate_normal(values.sum(axis=0), covariance, resamples, method="eigh")


def ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    """Divide; NaN where the denominator is zero."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) != 0)
    return quotient


def resample(
    metrics: Sequence[Metric], targets: Array, outputs: Floats, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Sampled]:
    """Score the rows as they are, and resamples of them, by each metric.

    Of more than 20,000 rows as many are drawn, and how far their resamples lie from their own score is scaled by the
    root of the share that they are, since errors shrink with the root of the rows (Politis, Romano and Wolf,
    Subsampling, 1999, section 2.2): two models scored on the same rows meet the same draw.
    """
    values = _scores(metrics, targets, outputs)
    chosen = sample_rows(len(targets), MAX_ROWS, np.random.default_rng(seed))
    scale, centres = math.sqrt(len(chosen) / max(1, len(targets))), values
    if len(chosen) < len(targets):
        targets, outputs = targets[chosen], outputs[chosen]
        centres = _scores(metrics, targets, outputs)
    samples: dict[str, list[Floats]] = {metric.name: [] for metric in metrics}
    for weights in weights_of_resamples(len(targets), resamples, seed):
        for metric in metrics:
            samples[metric.name].append(metric.compute(targets, outputs, weights))
    found = {name: np.concatenate(parts) for name, parts in samples.items()}
    if scale < 1:
        found = {name: values[name] + (drawn - centres[name]) * scale for name, drawn in found.items()}
    return {name: Sampled(value, found[name]) for name, value in values.items()}


def _scores(metrics: Sequence[Metric], targets: Array, outputs: Floats) -> dict[str, float]:
    ones = np.ones((1, len(targets)))
    return {metric.name: float(metric.compute(targets, outputs, ones)[0]) for metric in metrics}


def bootstrap(
    task: Task, targets: Array, outputs: Floats, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Score]:
    """Return every score of the task with its 95 % interval. targets, outputs: rows first, as the task makes them."""
    sampled = resample(task.metrics, targets, outputs, resamples, seed)
    return {name: metric.score for name, metric in sampled.items()}
