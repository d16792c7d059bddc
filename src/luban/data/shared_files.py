"""Rows that share a file: one image or sound that several rows with other inputs name.

A model that was trained on one of them has seen the others' file: apart, they make a score too good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from luban.data.groups import Rows, groups_of, joined
from luban.data.table import Table

FEWEST_UNITS = 10  # that are left to divide
LARGEST_UNIT = 0.5  # of the rows


@dataclass(frozen=True)
class Joined:
    """unit_of_row: (rows,) a number, equal for rows that stay together. rows: how many share a file of the columns
    `together`. parted: columns whose files join so many rows that too few units would be left to divide, such as a
    placeholder's."""

    unit_of_row: Rows
    rows: int = 0
    together: tuple[str, ...] = ()
    parted: tuple[str, ...] = ()


def join_files(table: Table, alike: Rows, columns: Sequence[str]) -> Joined:
    """Join the units of rows that share a file. alike: (rows,) the units so far; they come back as they are where no
    file is shared, and a column is left out where fewer than ten units or one of half of the rows would be left."""
    units, together, parted = alike, [], []
    is_sharing = np.zeros(len(alike), np.bool_)
    for column in columns:
        files = groups_of(table.frame[column])
        rows = sharing(files, alike)
        if not len(rows):
            continue
        wider = joined(units, files)
        sizes = np.bincount(wider)
        if len(sizes) < FEWEST_UNITS or sizes.max() > LARGEST_UNIT * len(wider):
            parted.append(column)
        else:
            units, is_sharing[rows] = wider, True
            together.append(column)
    return Joined(units, int(is_sharing.sum()), tuple(together), tuple(parted))


def sharing(files: Rows, alike: Rows) -> Rows:
    """Return the positions of rows whose file stands in a row of another unit, too. files, alike: (rows,) numbers."""
    first = np.unique(files, return_index=True)[1]
    is_shared = np.zeros(int(files.max(initial=-1)) + 1, np.bool_)
    leading = np.zeros(len(is_shared), np.int64)
    leading[files[first]] = alike[first]
    is_shared[files[alike != leading[files]]] = True
    return np.flatnonzero(is_shared[files])


def rarest_class(unit_of_row: Rows, classes: Rows) -> Rows:
    """Return (units,) the class of each unit that is rarest among all rows: by it, rare classes are spread evenly."""
    order = np.argsort(np.bincount(classes)[classes], kind="stable")
    _, at = np.unique(unit_of_row[order], return_index=True)
    found: Rows = classes[order][at]
    return found
