"""Whether probabilities are what they say, and the temperature that brings them nearer to it.

Guo et al., On Calibration of Modern Neural Networks (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor

from luban.evaluation.answers import answer_of
from luban.evaluation.scores.bootstrap import RESAMPLES, ratio, sums_of_resamples
from luban.evaluation.scores.intervals import HIGH, LOW, Score
from luban.tasks.base import Array, Floats, LossConfig, Task

NUM_BINS = 10
MIN_ROWS = 50  # that a temperature is fitted on
MAX_LOG_TEMPERATURE = 3.0
CHI_SQUARE_95 = 3.841  # of one degree of freedom: twice the gain in log likelihood that chance reaches in 5 % of cases


@dataclass(frozen=True)
class Bin:
    """Probabilities from low to high. confidence: their mean. accuracy: how often they came true."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """ece: the expected calibration error of the model as it is stored; ece_uncalibrated: at a temperature of 1.

    fitted_rows: the validation rows that the temperature was fitted on.
    """

    ece: Score
    ece_uncalibrated: Score
    temperature: float
    fitted_rows: int
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": "ece",
            "ece": self.ece.to_json(),
            "ece_uncalibrated": self.ece_uncalibrated.to_json(),
            "temperature": self.temperature,
            "fitted_rows": self.fitted_rows,
            "bins": [vars(bin_) for bin_ in self.bins],
        }


def fit_temperature(task: Task, logits: Tensor, targets: Array) -> float:
    """Return the temperature that makes the targets of validation rows most likely, by L-BFGS on its logarithm.

    Returns 1 where the rows are fewer than 50, or the gain is one that chance reaches in 5 % of cases (the likelihood
    ratio test of one parameter). logits: (rows, output_dim).
    """
    if not answer_of(task).has_probabilities or len(targets) < MIN_ROWS:
        return 1.0
    values, truth, plain = logits.double(), torch.from_numpy(targets), task.configured(LossConfig())

    def loss_and_slope(log_temperature: npt.NDArray[np.float64]) -> tuple[float, float]:
        parameter = torch.tensor(float(log_temperature.item()), dtype=torch.float64, requires_grad=True)
        loss = plain.row_loss(values / parameter.exp(), truth).mean()
        (slope,) = torch.autograd.grad(loss, parameter)
        return float(loss.detach()), float(slope)

    bounds = [(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE)]
    found = minimize(loss_and_slope, np.zeros(1), jac=True, method="L-BFGS-B", bounds=bounds)
    gain = loss_and_slope(np.zeros(1))[0] - float(found.fun)
    return math.exp(found.x.item()) if 2 * len(targets) * gain > CHI_SQUARE_95 else 1.0


def calibrate(
    task: Task, targets: Array, outputs: Floats, temperature: float, fitted_rows: int, seed: int = 0
) -> Calibration | None:
    """Measure how well outputs are calibrated; None where they are no probabilities. outputs: at the temperature."""
    answer = answer_of(task)
    after = answer.events(targets, outputs)
    before = after if temperature == 1 else answer.events(targets, answer.at_temperature(outputs, 1 / temperature))
    if after is None or before is None:
        return None
    ece, uncalibrated = errors([after, before], len(targets), seed)
    return Calibration(ece, uncalibrated, temperature, fitted_rows, reliability(*after))


def bins_of(confidence: Floats) -> npt.NDArray[np.int64]:
    """Return the bin of each probability: ten of equal width, an edge belonging to the one below."""
    edges = np.linspace(0, 1, NUM_BINS + 1)
    return np.searchsorted(edges[1:-1], confidence).astype(np.int64)


def reliability(confidence: Floats, came_true: npt.NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Return the reliability curve, without empty bins. confidence, came_true: one an event."""
    place = bins_of(confidence)
    counts = np.bincount(place, minlength=NUM_BINS)
    means = ratio(np.bincount(place, confidence, NUM_BINS), counts)
    shares = ratio(np.bincount(place, came_true, NUM_BINS), counts)
    return tuple(
        Bin(index / NUM_BINS, (index + 1) / NUM_BINS, int(counts[index]), float(means[index]), float(shares[index]))
        for index in np.flatnonzero(counts)
    )


def errors(
    found: list[tuple[Floats, npt.NDArray[np.bool_]]], rows: int, seed: int = 0, resamples: int = RESAMPLES
) -> list[Score]:
    """Return the expected calibration error of each list of events: the mean distance of confidence and accuracy over
    bins.

    The interval is the basic one of the bootstrap (Davison and Hinkley 1997, section 5.2), cut at 0: a sum of distances
    is larger on resamples than on the rows themselves, and percentiles would lie above the truth.
    """
    gaps = np.concatenate([_gaps(confidence, came_true, rows) for confidence, came_true in found], axis=1)
    events_a_row = len(found[0][0]) / rows
    samples = sums_of_resamples(gaps, resamples, seed)
    scores = []
    for index in range(len(found)):
        own = slice(index * NUM_BINS, (index + 1) * NUM_BINS)
        value = float(np.abs(gaps[:, own].sum(axis=0)).sum()) / rows / events_a_row
        drawn = np.abs(samples[:, own]).sum(axis=1) / rows / events_a_row
        low, high = np.percentile(drawn, [LOW, HIGH])
        scores.append(Score(value, max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)))
    return scores


def _gaps(confidence: Floats, came_true: npt.NDArray[np.bool_], rows: int) -> Floats:
    """(rows, bins): what each row adds to the difference of accuracy and confidence in each bin."""
    row = np.arange(len(confidence)) // max(1, len(confidence) // rows)
    gaps = np.bincount(row * NUM_BINS + bins_of(confidence), came_true - confidence, rows * NUM_BINS)
    return gaps.astype(np.float64).reshape(rows, NUM_BINS)
