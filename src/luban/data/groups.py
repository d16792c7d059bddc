"""Rows that belong together: numbers that are equal for rows of one group."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Rows = npt.NDArray[np.int64]


def group_ids(frame: pl.DataFrame) -> Rows:
    """Return a number for each row, equal where all cells are equal, counted from 0 in order of first appearance.

    Any type of cell will do, lists and bytes too; without columns all rows differ.
    """
    if not frame.width:
        return np.arange(frame.height)
    _, first, inverse = np.unique(frame.hash_rows().to_numpy(), return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def missing(cells: pl.Series) -> npt.NDArray[np.bool_]:
    """Return (rows,) whether a cell is null or an empty string."""
    empty = cells == "" if cells.dtype == pl.String else cells.is_null()
    return (cells.is_null() | empty).fill_null(value=True).to_numpy()


def groups_of(cells: pl.Series) -> Rows:
    """Return a number for each row, equal where the cell is; a missing cell is a group of its own."""
    groups = group_ids(cells.to_frame())
    alone = np.flatnonzero(missing(cells))
    groups[alone] = groups.max(initial=-1) + 1 + np.arange(len(alone))
    return groups


def joined(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Rows:
    """Return a number for each row, equal where rows are linked by being in one group of the first or of the second
    kind, counted from 0 in order of first appearance."""
    from scipy.sparse import coo_array  # takes long to import, and few runs join groups
    from scipy.sparse.csgraph import connected_components

    offset = int(first.max()) + 1
    size = offset + int(second.max()) + 1
    links = coo_array((np.ones(len(first)), (first, offset + second)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    return group_ids(pl.DataFrame({"unit": component[first]}))
