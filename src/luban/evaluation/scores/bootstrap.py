"""Resamples of rows, and what scores are on them (Efron and Tibshirani, An Introduction to the Bootstrap, 1993)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from luban.tasks.base import Floats

RESAMPLES = 1000
FEW_RESAMPLES = 200  # of trials, of which there are many
CELLS_AT_ONCE = 2**21  # weights held in memory: 16 MiB
MAX_ROWS = 8_000  # that are resampled
NORMAL_ROWS = 10_000  # from here on the sums of resamples are drawn from the normal law that they tend to
MAX_FLAGS = 8  # that are told apart as patterns


def weights_of_resamples(
    rows: int, resamples: int, seed: int, added: npt.NDArray[np.float64] | None = None
) -> Iterator[Floats]:
    """Yield how often each row is drawn in each resample, (r, rows), a bounded number of resamples at a time.

    The draws depend on `seed` and `rows` alone, so that two models scored on the same rows meet the same resamples.
    added: (m,), the masses of rows that stand beside those, which have a mass of 1; (r, rows + m) is yielded then.
    """
    rng, of_added = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    masses = np.zeros(0) if added is None else added
    share = masses.sum() / (rows + masses.sum()) if len(masses) else 0.0
    others = np.random.default_rng([seed, 2]).binomial(rows, share, resamples)
    at_once = max(1, CELLS_AT_ONCE // max(rows + len(masses), 1))
    for start in range(0, resamples, at_once):
        few = others[start : start + at_once]
        drawn = rng.integers(0, rows, (len(few), rows)) + rows * np.arange(len(few))[:, None]
        if len(masses):
            drawn = drawn[np.arange(rows) < (rows - few)[:, None]]
        weights = np.bincount(drawn.reshape(-1), minlength=len(few) * rows).reshape(len(few), rows).astype(np.float64)
        if len(masses):
            weights = np.concatenate([weights, of_added.multinomial(few, masses / masses.sum())], axis=1)
        yield weights


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
