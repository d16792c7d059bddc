"""How alike another seed would rank the parts, from how much the weights change as some of the samples are left out.

Shapes: G groups of samples · K parts · R simulated pairs of seeds
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

GROUPS = 8  # of the samples
SIMULATED = 200
Floats = npt.NDArray[np.float64]


def expected_correlation(weights: Floats, without: Floats) -> float:
    """Return the rank correlation (Spearman) to expect between two seeds' weights. weights: (K,), of all samples.
    without: (G, K), each without one group of them.

    The weights' variance is that of the jackknife over groups (Efron and Tibshirani 1993, chapter 11). Pairs of seeds
    are simulated with it, around weights that are drawn together so far that noise spreads them as widely as they are.
    """
    groups, parts = without.shape
    noise = np.sqrt((groups - 1) / groups * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    if not noise.any():
        return 1.0
    spread = max(float(weights.var(ddof=1)), 1e-30) if parts > 1 else 1e-30
    centre = weights * np.sqrt(max(0.0, 1 - float((noise**2).mean()) / spread))
    seeds = centre + noise * np.random.default_rng(0).normal(size=(2, SIMULATED, parts))
    ranks = rankdata(seeds, axis=2) - (parts + 1) / 2
    squares = (ranks**2).sum(axis=2)
    correlations = (ranks[0] * ranks[1]).sum(axis=1) / np.sqrt(np.maximum(squares[0] * squares[1], 1e-30))
    return float(correlations.mean())
