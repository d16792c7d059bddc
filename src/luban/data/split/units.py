"""Units of rows that may not be parted, in the order in which they are dealt out, and what is cut off its front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from luban.core.errors import DataError
from luban.data.groups import Rows, groups_of
from luban.data.shared_files import Joined
from luban.data.split.config import SplitConfig
from luban.data.table import Table


@dataclass(frozen=True)
class Split:
    """Positions in the table, int64 and ascending. notes: what was chosen or set aside, a sentence each."""

    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Division:
    """What a method divides. sharing: the units of rows that stay in one part whatever the method. limit: rows of the
    smallest part, which a unit should not overfill."""

    table: Table
    target: str
    config: SplitConfig
    sharing: Joined
    limit: int

    @property
    def alike(self) -> Rows:
        """(rows,): the unit of each row."""
        return self.sharing.unit_of_row

    @property
    def seed(self) -> int:
        return self.config.seed or 0

    @property
    def column(self) -> str:
        return str(self.config.column)


@dataclass(frozen=True)
class Units:
    """of_row: (rows,) the unit of each row, from 0. order: units, the first ones go to test. noun: what a unit is."""

    of_row: Rows
    order: Rows
    noun: str
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> Rows:
        return np.bincount(self.of_row, minlength=len(self.order))


def large_last(order: Rows, sizes: Rows, limit: int) -> Rows:
    """Move units that alone overfill the smallest part behind the others, so that they are trained on."""
    is_large = sizes[order] > limit
    return np.concatenate([order[~is_large], order[is_large]])


def cut(table: Table, units: Units, test_rows: int, validation_rows: int) -> npt.NDArray[Any]:
    """Return (rows,) the name of each row's part. A unit is in a part if its middle row is, and no part is empty."""
    sizes = units.sizes[units.order]
    needed = 1 + bool(test_rows) + bool(validation_rows)
    if len(sizes) < needed:
        raise DataError(
            table.name,
            expected=f"at least {needed} {units.noun} to split",
            found=f"{len(sizes)}",
            action="Add rows, or set data.split.method=none to score on the training rows",
        )
    middles = np.cumsum(sizes) - sizes / 2
    parts = np.full(len(sizes), "train", dtype="<U10")
    start, filled, left = 0, 0.0, needed
    for part, rows in (("test", test_rows), ("validation", validation_rows)):
        if rows:
            left -= 1
            end = int(np.searchsorted(middles, filled + rows))
            end = min(max(end, start + 1), len(sizes) - left)
            parts[start:end] = part
            start, filled = end, float(sizes[:end].sum())
    of_unit = np.empty_like(parts)
    of_unit[units.order] = parts
    return of_unit[units.of_row]


def represent(parts: npt.NDArray[Any], unit_of_row: Rows, classes: Rows) -> npt.NDArray[Any]:
    """Bring a unit of each class that is not trained on into the training rows."""
    trained = np.bincount(classes, weights=parts == "train") > 0
    for label in np.flatnonzero(~trained):
        unit = unit_of_row[np.argmax(classes == label)]
        parts = np.where(unit_of_row == unit, "train", parts)
    return parts


def units_of(table: Table, config: SplitConfig) -> Rows | None:
    """Return the group of each row, where rows are divided by groups that the table has: no evidence apart, and drawn
    as wholes when scores are resampled."""
    column = str(config.column)
    return groups_of(table.frame[column]) if config.method == "group" and column in table.names else None


def shown_cell(cell: object, *, quote: bool = False) -> str:
    """Return a cell as a message shows it."""
    if cell is None:
        return "a missing cell" if quote else "(missing)"
    return f"'{str(cell)[:40]}'" if quote else str(cell)[:40]
