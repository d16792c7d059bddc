"""By time, the latest rows to test on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.errors import DataError
from luban.data.split import notes
from luban.data.split.units import Division, Units, shown_cell
from luban.data.table import Table


def units(division: Division) -> Units:
    """Latest first. Rows that are alike count with the latest of them, so that no row of the future is trained on."""
    table, column, alike = division.table, division.column, division.alike
    times = times_of(table, column)
    latest = np.full(int(alike.max()) + 1, -np.inf)
    np.maximum.at(latest, alike, times)
    moments, of_row = np.unique(latest[alike], return_inverse=True)
    earliest, last = (shown_cell(table.frame[column][int(row)]) for row in (times.argmin(), times.argmax()))
    told = [notes.by_time(column, earliest, last)]
    if num_moved := int((latest[alike] > times).sum()):
        told.append(notes.moved(num_moved))
    order = np.arange(len(moments))[::-1]
    return Units(of_row, order, f"different times in '{column}'", tuple(told))


def times_of(table: Table, column: str) -> npt.NDArray[np.float64]:
    """Return (rows,) dates or numbers as numbers; raises DataError for a cell that is neither."""
    cells = table.frame[column]
    times = cells.to_physical() if cells.dtype.is_temporal() else cells.cast(pl.Float64, strict=False)
    if cells.dtype == pl.String and times.null_count() > cells.null_count():
        try:
            dates = cells.str.to_datetime(strict=False, time_unit="us", time_zone="UTC").to_physical()
        except pl.exceptions.ComputeError:  # no way of writing dates that Polars knows
            dates = times
        times = dates if dates.null_count() < times.null_count() else times
    numbers = times.cast(pl.Float64).fill_null(np.nan).to_numpy()
    unreadable = np.flatnonzero(~np.isfinite(numbers))
    if len(unreadable):
        position = int(unreadable[0])
        raise DataError(
            f"{table.name}, row {table.row_numbers[position]}, column '{column}'",
            expected="a date or a number to split by time",
            found=shown_cell(cells[position], quote=True),
            action="Mend or remove the row, or write dates as 2024-01-31",
        )
    return numbers
