"""Rows drawn at random, where all of them would take too long."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def sample_rows(count: int, limit: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the positions of all rows, or of `limit` of them drawn at random, in order."""
    if count <= limit:
        return np.arange(count)
    return np.sort(rng.choice(count, limit, replace=False))
