"""At random, each class in proportion."""

from __future__ import annotations

import numpy as np

from luban.core.errors import listed
from luban.data.groups import group_ids, missing
from luban.data.shared_files import rarest_class
from luban.data.split.units import Division, Units, large_last, shown_cell

GOLDEN = (5**0.5 - 1) / 2  # its multiples fill any stretch of the unit circle evenly


def units(division: Division) -> Units:
    """Spread each class evenly over the order: its units, side by side, get places at multiples of the golden ratio."""
    cells, sharing, alike = division.table.frame[division.target], division.sharing, division.alike
    classes = group_ids(cells.to_frame())
    _, first = np.unique(alike, return_index=True)
    class_of_unit = rarest_class(alike, classes) if sharing.together else classes[first]
    is_lone = np.bincount(class_of_unit, minlength=int(classes.max()) + 1)[class_of_unit] == 1
    rng = np.random.default_rng(division.seed)
    shuffled = rng.permutation(len(first))
    by_class = shuffled[np.argsort(class_of_unit[shuffled], kind="stable")]
    by_class = by_class[~is_lone[by_class]]
    places = (np.arange(len(by_class)) * GOLDEN + rng.random()) % 1
    order = large_last(by_class[np.argsort(places, kind="stable")], np.bincount(alike), division.limit)
    counts = np.bincount(classes)
    lone = [shown_cell(cells[int(row)]) for row in np.flatnonzero((counts[classes] == 1) & ~missing(cells))]
    note = f"classes with one row, which is trained on and never scored: {listed(lone)}"
    return Units(alike, np.concatenate([order, np.flatnonzero(is_lone)]), "different inputs", (note,) if lone else ())
