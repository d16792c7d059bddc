"""The learning-rate range test: a short training at a rising rate shows which rates a network can take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from luban.core.errors import TrainingError

STEPS = 100
FIRST_RATE, LAST_RATE = 1e-7, 10.0
SMOOTHING = 0.85  # of the moving average of the losses
LIMIT = 4.0  # times the best loss at which the test stops
CALM = 10  # steps at the lowest rates, where nothing moves yet: they give the level and the noise of the loss
MIN_FALL = 0.02  # of the level that the loss must lose for a proposal
NOISE_FALL = 1.5  # and of the noise's standard deviation
WINDOW = 15  # steps over which a slope is fitted
NEARLY = 0.02  # of the whole fall, from which on the loss counts as at its lowest
SAFETY = 0.5  # times the rate between the two marks of the curve
Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RateCurve:
    """The course of a range test. smoothed: the losses' moving average. proposed: None where nothing was learned.
    reason: one sentence on why this rate, or why none."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    proposed: float | None
    reason: str


def find_rate(
    step: Callable[[float, int], float], *, first: float = FIRST_RATE, last: float = LAST_RATE, steps: int = STEPS
) -> RateCurve:
    """Train `steps` steps at rates that rise exponentially from `first` to `last` and propose one (Smith 2015,
    arXiv:1506.01186).

    step: takes a rate and the number of the step, trains, and returns the loss before the update; it may raise
    TrainingError where the loss is no longer finite. The network is spoilt afterwards: give it a copy. The test stops
    once the smoothed loss exceeds four times the best.
    """
    assert 0 < first < last
    assert steps >= 2 * CALM
    rates: list[float] = []
    losses: list[float] = []
    for index, rate in enumerate(np.geomspace(first, last, steps).tolist()):
        try:
            loss = step(rate, index)
        except TrainingError:
            break
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        smoothed = smooth(losses)
        if index >= CALM and smoothed[-1] > LIMIT * min(smoothed) > 0:
            break
    smoothed = smooth(losses)
    proposed, reason = propose(np.array(rates), np.array(losses), np.array(smoothed))
    return RateCurve(rates, losses, smoothed, proposed, reason)


def propose(rates: Curve, losses: Curve, smoothed: Curve) -> tuple[float | None, str]:
    """Return a rate and why, or None and why not. rates, losses, smoothed: (steps,).

    It is half the geometric mean of two rates: where the loss falls fastest, which is low, and where it has nearly
    fallen to its lowest, which is at the edge; each alone is moved further by noise. The factor was measured: on
    networks for tables, images and texts the proposal lies inside the range of rates that train best.
    """
    if len(rates) < 2 * CALM:
        return None, f"the loss was not finite after {len(rates)} steps, before anything could be learned"
    level, noise = float(losses[:CALM].mean()), float(losses[:CALM].std(ddof=1))
    lowest = int(smoothed.argmin())
    fall = level - float(smoothed[lowest])
    if fall <= max(MIN_FALL * abs(level), NOISE_FALL * noise) or lowest < WINDOW:
        return None, f"the loss never fell: it starts at {level:.4g}, and {float(smoothed[lowest]):.4g} is its lowest"
    exponents = np.log(rates)
    starts = range(lowest + 2 - WINDOW)
    slopes = [_slope(exponents[start : start + WINDOW], smoothed[start : start + WINDOW]) for start in starts]
    steepest = float(rates[int(np.argmin(slopes)) + WINDOW // 2])
    bottom = float(rates[int(np.argmax(smoothed <= smoothed[lowest] + NEARLY * fall))])
    proposed = float(f"{SAFETY * math.sqrt(steepest * bottom):.2g}")
    return proposed, f"the loss falls fastest at {steepest:.2g} and is lowest at {bottom:.2g}"


def _slope(x: Curve, y: Curve) -> float:
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def smooth(losses: list[float]) -> list[float]:
    """Return the exponential moving average with bias correction."""
    average, smoothed = 0.0, []
    for index, loss in enumerate(losses):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smoothed.append(average / (1 - SMOOTHING ** (index + 1)))
    return smoothed
