"""Training rows whose inputs stand in the test rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from luban.core.errors import DataError
from luban.data.contents import contents, holds_files
from luban.data.groups import Rows
from luban.data.split import notes
from luban.data.table import Table


def drop_overlap(train: Table, test: Table, inputs: list[str]) -> tuple[Rows, tuple[str, ...]]:
    """Return the positions of the training rows whose inputs do not stand in the test table, and a note if some do.

    Cells that name files are compared by what is in the files. Raises DataError where no training row is left.
    """
    columns = [_comparable(train, test, name) for name in inputs]
    hashes, test_hashes = (pl.DataFrame(side).hash_rows().to_numpy() for side in zip(*columns, strict=True))
    keep = np.flatnonzero(~np.isin(hashes, test_hashes))
    num_dropped = len(train) - len(keep)
    if not len(keep):
        raise DataError(
            train.name,
            expected=f"training rows that are not in {test.name}",
            found=f"all {len(train)} there as well",
            action="Give other rows for testing",
        )
    if not num_dropped:
        return keep, ()
    return keep, (notes.dropped(test.name, num_dropped, len(train)),)


def _comparable(train: Table, test: Table, name: str) -> tuple[pl.Series, pl.Series]:
    """Return a column of both tables in one type: of strings where a CSV file meets a typed table."""
    test.require(name)
    if holds_files(train, name) and holds_files(test, name):
        return contents((train, test), name)
    mine, other = train.frame[name], test.frame[name]
    if mine.dtype == other.dtype and not isinstance(mine.dtype, pl.Categorical):
        return mine, other
    if mine.dtype.is_nested() or other.dtype.is_nested() or pl.Binary in (mine.dtype, other.dtype):
        raise DataError(
            f"{test.name}, column '{name}'",
            expected=f"cells of type {mine.dtype} as in {train.name}",
            found=f"{other.dtype}",
            action="Give both tables in the same format",
        )
    return mine.cast(pl.String), other.cast(pl.String)
