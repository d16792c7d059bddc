"""By groups, which stay whole."""

from __future__ import annotations

from luban.data.groups import groups_of, joined, missing
from luban.data.split import notes
from luban.data.split.random import by_chance
from luban.data.split.units import Division, Units


def units(division: Division) -> Units:
    """Join the groups that share a row with the same inputs; a row without a group is one of its own."""
    column = division.column
    cells = division.table.frame[column]
    num_missing = int(missing(cells).sum())
    found = by_chance(
        joined(division.alike, groups_of(cells)), division.limit, division.seed, f"different groups in '{column}'"
    )
    note = notes.ungrouped(column, num_missing)
    return Units(found.of_row, found.order, found.noun, (note,) if num_missing else ())
