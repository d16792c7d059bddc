"""95 % intervals that hold near perfect scores and for few rows.

Shares: Wilson (1927), recommended by Brown, Cai and DasGupta (2001). Other scores between 0 and 1: Wilson's with the
number of rows that the score's variance is worth (Korn and Graubard 1998 for shares of clustered rows). Differences of
two of them: Newcombe (1998, method 10). Means and functions of means: the studentised bootstrap (Efron and Tibshirani
1993, section 12.5; Davison and Hinkley 1997, section 5.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np

from luban.tasks.base import Floats

Z = NormalDist().inv_cdf(0.975)
LOW, HIGH = 2.5, 97.5  # percentiles
HALF = 0.5  # of a row: what is added of either kind where a spread is measured, as Jeffreys' prior does


@dataclass(frozen=True)
class Score:
    """value: on the rows as they are. low, high: the 95 % interval. NaN where the score is not defined."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, samples: Floats) -> Self:
        """Percentiles of resamples, (R,), of which those that are not defined are passed over."""
        defined = samples[~np.isnan(samples)]
        low, high = np.percentile(defined, [LOW, HIGH]) if len(defined) else (math.nan, math.nan)
        return cls(float(value), float(low), float(high))

    def times(self, sign: int) -> Score:
        """Return the score in the other direction for a sign of -1."""
        return self if sign > 0 else Score(-self.value, -self.high, -self.low)

    def to_json(self) -> dict[str, float | None]:
        """Return JSON values; null where the score is not defined."""
        named = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(number) else number for name, number in named.items()}


UNDEFINED = Score(math.nan, math.nan, math.nan)


def wilson(value: float, rows: float) -> Score:
    """Return a score between 0 and 1 with Wilson's interval. rows: that its variance is worth, which need not be whole:
    those of a share, or value * (1 - value) / variance."""
    if math.isnan(value) or not rows > 0:
        return Score(value, math.nan, math.nan)
    share = min(max(value, 0.0), 1.0)
    centre = (share + Z * Z / (2 * rows)) / (1 + Z * Z / rows)
    half = Z / (1 + Z * Z / rows) * math.sqrt(share * (1 - share) / rows + Z * Z / (4 * rows * rows))
    # Rounding would leave the ends of perfect scores a little beside them.
    low, high = (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)
    return Score(value, min(value, low), max(value, high))


def proportion(successes: int, rows: int) -> Score:
    """Return a share of rows with Wilson's interval; undefined without rows."""
    return wilson(successes / rows, rows) if rows else UNDEFINED


def mean_share(values: Floats) -> Score:
    """Return the mean of numbers between 0 and 1, one a row. values: (rows,).

    Its variance is measured with half a row at 0 and half a row at 1 beside the others: of shares of one row each it is
    Wilson's interval but for that half, and rows that are all alike still have one.
    """
    if not len(values):
        return UNDEFINED
    rows, total = len(values), float(values.sum())
    mean = (total + HALF) / (rows + 1)
    variance = (float((values**2).sum()) + HALF) / (rows + 1) - mean**2
    return wilson(total / rows, rows * mean * (1 - mean) / variance if variance > 0 else rows)


def independent_difference(one: Score, other: Score) -> Score:
    """Return one less the other, of rows that have nothing in common, from the intervals of both."""
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Score(value, low, high)


def studentised(value: float, error: float, estimates: Floats, errors: Floats, centre: float) -> Score:
    """Return the interval of the studentised bootstrap. estimates, errors: (R,), of the resamples; centre: what they
    are resamples of, and value: what the interval is about, with its standard error."""
    with np.errstate(all="ignore"):
        pivots = (estimates - centre) / errors
    pivots = pivots[np.isfinite(pivots)]
    if math.isnan(value) or not len(pivots):
        return Score(value, value, value) if error == 0 else Score(value, math.nan, math.nan)
    low, high = np.percentile(pivots, [LOW, HIGH])
    return Score(value, min(value, value - float(high) * error), max(value, value - float(low) * error))


def shown(number: float) -> str:
    """Return a score as sentences show it: three decimals, or other digits where its unit asks for them."""
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    if abs(number) >= 10:
        return f"{number:.4g}"
    return f"{number:.3f}" if number == 0 or abs(number) >= 0.01 else f"{number:.2g}"
