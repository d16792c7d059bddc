"""At random."""

from __future__ import annotations

import numpy as np

from luban.data.groups import Rows
from luban.data.split.units import Division, Units, large_last


def by_chance(alike: Rows, limit: int, seed: int, noun: str = "different inputs") -> Units:
    """Deal out units in a drawn order. alike: (rows,) the unit of each row."""
    order = np.random.default_rng(seed).permutation(int(alike.max()) + 1)
    return Units(alike, large_last(order, np.bincount(alike), limit), noun)


def units(division: Division) -> Units:
    return by_chance(division.alike, division.limit, division.seed)
