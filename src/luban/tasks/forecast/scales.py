"""The scale of a series: what its values, and the errors of forecasts of it, are measured in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scale = tuple[float, float, float]  # mean, standard deviation, mean error of the seasonal naive forecast


def scale_of(values: npt.NDArray[np.float64], season: int, length: npt.NDArray[np.int64] | None = None) -> Scale:
    """Return the scale of a series in order, NaN where a value is missing. A part that is zero or unknown is 1, or the
    mean 0: of a constant series, whose errors are in its own unit. length: (rows,), how many steps in a row end with
    each, where there are gaps."""
    finite = values[np.isfinite(values)]
    mean = float(finite.mean()) if len(finite) else 0.0
    std = float(finite.std()) if len(finite) else 0.0
    naive = naive_errors(values, season, np.arange(1, len(values) + 1) if length is None else length)
    std = std if np.isfinite(std) and std > 0 else 1.0
    return mean, std, naive if naive > 0 else std


def naive_errors(values: npt.NDArray[np.float64], season: int, length: npt.NDArray[np.int64]) -> float:
    """Return the mean error of the value one season before, of one step before where no stretch is so long; 0 where
    neither can be told."""
    for lag in (season, 1):
        there = np.flatnonzero(length > lag)
        off = np.abs(values[there] - values[there - lag])
        off = off[np.isfinite(off)]
        if len(off):
            return float(off.mean())
    return 0.0
