"""How the cells of a column of dates are read, whatever their type: strings, numbers, or dates to Polars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl

from luban.data.table import Table
from luban.features import epoch
from luban.features.cells import strings
from luban.features.parsing import dates
from luban.features.parsing.date_grammar import Order
from luban.features.parsing.dates import TIME_OF_DAY

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Format:
    """How the cells of a column are read. day_format: how days are written in strings, `TIME_OF_DAY` for times without
    one, a name in `epoch.NAMES` for numbers; None for typed columns. order: of day, month and year as numbers, where it
    is known; several where the cells leave it open."""

    day_format: str | None
    orders: tuple[Order, ...] = ()

    @property
    def order(self) -> Order | None:
        return self.orders[0] if len(self.orders) == 1 else None if self.orders else dates.order_of(self.day_format)


def is_typed(dtype: pl.DataType) -> bool:
    """Tell whether cells of this type are dates, or times of the day, to Polars."""
    return dtype in (pl.Date, pl.Time) or isinstance(dtype, pl.Datetime)


def parse_dates(series: pl.Series, day_format: str | None, order: Order | None = None) -> pl.Series:
    """Return Datetime cells without a time zone, as the clock on the wall shows them; null where there is none.

    day_format, order: as in `Format`.
    """
    if isinstance(series.dtype, pl.Datetime):
        found = series.dt.replace_time_zone(None).dt.cast_time_unit("us")
        return _time_of_day(found) if day_format == TIME_OF_DAY else found
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("us"))
    if series.dtype == pl.Time:
        of_day = (series.cast(pl.Int64) // 1000).cast(pl.Datetime("us"))
        return of_day if day_format == TIME_OF_DAY else of_day.clear(len(series))
    if day_format in epoch.NAMES:
        return epoch.parse_epoch(series, day_format)
    return dates.parse_text(series, order or dates.order_of(day_format), day_format)


def _time_of_day(times: pl.Series) -> pl.Series:
    return (times.cast(pl.Int64) % MICROSECONDS_A_DAY).cast(pl.Datetime("us"))


def find_format(series: pl.Series) -> Format | None:
    """Return how nearly all cells write dates, typed cells included; None where they are none. Numbers are dates where
    all are days like 20160713."""
    if is_typed(series.dtype):
        return Format(TIME_OF_DAY if series.dtype == pl.Time else None)
    if series.dtype != pl.String and not _are_compact(series):
        return None
    found = dates.find_writing(series)
    return None if found is None else Format(found.day_format, found.orders)


def reader(series: pl.Series) -> Callable[[pl.Series], pl.Series] | None:
    """Return what reads cells like these as `parse_dates` does; None where they are no dates. Where they leave the
    order of day and month open, the day is taken to stand first."""
    found = find_format(series)
    if found is None:
        return None
    order = found.orders[0] if found.orders else None
    return lambda cells: parse_dates(cells, found.day_format, order)


def in_time(table: Table, column: str | None, order: Order | None) -> Table:
    """Return a table whose column of dates is typed, where all its cells can be read and the order of day and month is
    known, so that its rows can be put in order; otherwise as it is."""
    if column is None or column not in table.names:
        return table
    cells = table.frame[column]
    found = find_format(cells) if cells.dtype == pl.String else None
    known = order if found is not None and order in found.orders else None if found is None else found.order
    if found is None or (len(found.orders) > 1 and known is None):
        return table
    times = parse_dates(cells, found.day_format, known)
    is_read = times.null_count() == strings(cells).null_count() == 0
    return replace(table, frame=table.frame.with_columns(times.alias(column))) if is_read else table


def _are_compact(series: pl.Series) -> bool:
    numbers = series.drop_nulls() if series.dtype.is_numeric() else series.clear()
    numbers = numbers.filter(numbers.is_finite()) if numbers.dtype.is_float() else numbers
    if not len(numbers) or (numbers.dtype.is_float() and not bool((numbers == numbers.floor()).all())):
        return False
    lowest, highest = int(numbers.min()), int(numbers.max())  # type: ignore[arg-type]
    return any(1900 * size <= lowest and highest < 2101 * size for size in (10**4, 10**8, 10**10))


def find_numbers(series: pl.Series) -> Format | None:
    """Return as what numbers are moments, should they be known to be some; None where they cannot be."""
    found = epoch.find_epoch(series) or epoch.find_spreadsheet(series)
    return Format(found) if found else None


def example(day_format: str | None) -> str:
    """Return one minute before the year 2017 in a format."""
    moment = datetime(2016, 12, 31, 23, 59, tzinfo=UTC)
    if day_format in epoch.FORMATS:
        return str(int(datetime(2016, 12, 31, tzinfo=UTC).timestamp()) * epoch.UNITS[epoch.FORMATS[day_format]])
    if day_format == epoch.SPREADSHEET:
        return str(epoch.SPREADSHEET_1970 + (moment - EPOCH).days)
    return moment.strftime(day_format or "%Y-%m-%d")


def is_doubtful(found: Format) -> bool:
    """Tell whether cells may be dates of several orders whose years have two digits, or something else altogether."""
    return len(found.orders) > 1 and "%y" in (found.day_format or "")


def reordered(day_format: str | None, order: Order) -> str:
    """Return a format of three numbers with these in another order; another format as it is."""
    assert day_format is not None
    if dates.order_of(day_format) is None:
        return day_format
    sign, year = day_format[2], "%y" if "%y" in day_format else "%Y"
    return sign.join({"d": "%d", "m": "%m", "y": year}[letter] for letter in order)
