"""By time, the latest rows to test on: by shares, or until stated moments."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.errors import ConfigError, DataError, listed
from luban.data.split import notes
from luban.data.split.config import ROLES, SplitConfig
from luban.data.split.units import Division, Split, Units, shown_cell
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


def chronological(table: Table, column: str, config: SplitConfig, *, given: Collection[str]) -> Split:
    """Divide the steps of series by their moment alone, the earliest to train on: what repeats in a series is no copy.

    given: the parts that other tables are. Raises DataError where a part has no step.
    """
    times = times_of(table, column)
    if config.until is not None:
        bounds = bounds_of(table.frame[column], config.until)
    else:
        shares = {role: 0.0 if role in given else getattr(config, role) for role in ("validation", "test")}
        moments = np.unique(times)
        count = len(moments)
        train, validation = (round(count * (1 - total)) for total in (sum(shares.values()), shares["test"]))
        bounds = [float(moments[place]) if place < count else np.inf for place in (train, validation)]
    ends = [*bounds, np.inf][:3]
    parts = np.searchsorted(np.asarray(ends), times, side="right")
    train_rows, validation_rows, test_rows = (np.flatnonzero(parts == place) for place in range(3))
    for role, found in zip(ROLES, (train_rows, validation_rows, test_rows), strict=True):
        if not len(found) and role not in given and (role == "train" or getattr(config, role) > 0):
            raise DataError(
                f"{table.name}, column '{column}'",
                expected=f"{role} rows",
                found="none",
                action="Set data.split.until or the shares in data.split to other values",
            )
    first, last = (shown_cell(table.frame[column][int(row)]) for row in (times.argmin(), times.argmax()))
    told = [notes.by_time(column, first, last)]
    if left := int((parts == 3).sum()):
        told.append(notes.after(left))
    return Split(train_rows, validation_rows, test_rows, tuple(told))


def bounds_of(cells: pl.Series, until: Sequence[str]) -> list[float]:
    """Return moments as numbers, as `times_of` does. Raises ConfigError where one cannot be read, or they do not
    ascend."""
    found = []
    for text in until:
        if cells.dtype.is_temporal():
            dates = pl.Series([text]).str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d)$", "$1 00:00:00")
            moment = dates.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False).cast(pl.Datetime("us"))
            moment = moment.cast(cells.dtype).to_physical()
        else:
            moment = pl.Series([text]).cast(pl.Float64, strict=False)
        found.append(moment.cast(pl.Float64).fill_null(np.nan)[0])
    if np.isnan(found).any() or sorted(set(found)) != found:
        raise ConfigError(
            "data.split.until",
            expected="two or three moments in ascending order, like 2024-01-31 or 2024-01-31 13:00:00",
            found=listed(f"'{text}'" for text in until),
            action="Correct the setting",
        )
    return found


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
