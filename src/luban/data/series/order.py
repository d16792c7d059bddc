"""Tables of time series: rows in the order of time, one series after the other, and the gaps between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.errors import ConfigError, DataError, listed
from luban.core.sentence import Sentence, sentence
from luban.data.series.steps import Frequency, Integers, Moments, find_frequency, moments_of, typed_as
from luban.data.table import Table

Fill = Literal["none", "forward", "interpolate", "zero"]
FILLED = "\0filled"  # a column of rows one of whose numbers was not there
MOST_STEPS = 50_000_000  # of a table whose gaps are filled


@dataclass(frozen=True)
class Layout:
    """How a table holds series. time: the column of moments. key: of what tells series apart, where there are several.
    frequency: from one row to the next; told by the rows if None. fill: what stands for steps that are not there."""

    time: str
    key: str | None = None
    frequency: Frequency | None = None
    fill: Fill = "none"

    def groups(self, table: Table) -> Integers:
        """Return a number for the series of each row."""
        if self.key is None:
            return np.zeros(len(table), np.int64)
        return (table.frame[self.key].rank("dense") - 1).fill_null(-1).to_numpy().astype(np.int64)

    def follows(self, table: Table) -> npt.NDArray[np.bool_]:
        """Return for each row of a table in order whether it is one step after the row before it, of the same
        series."""
        assert self.frequency is not None
        moments, groups = moments_of(table.frame[self.time]), self.groups(table)
        found = np.zeros(len(table), np.bool_)
        if len(table) > 1:
            found[1:] = (self.frequency.moved(moments[:-1], 1) == moments[1:]) & (groups[1:] == groups[:-1])
        return found


def in_order(table: Table, layout: Layout, numbers: Sequence[str]) -> tuple[Table, Layout, list[Sentence]]:
    """Return a table with its rows in the order of series and time, the layout with its frequency, and what was done.

    numbers: columns whose gaps are filled, where that is asked. Raises SchemaError where a column is not there,
    DataError for a moment that cannot be read or stands twice, and where the frequency cannot be told.
    """
    table.require(layout.time, "task.forecast.time")
    if layout.key is not None:
        table.require(layout.key, "task.forecast.key")
    _require_moments(table, layout)
    notes: list[Sentence] = []
    groups, moments = layout.groups(table), moments_of(table.frame[layout.time])
    order = np.lexsort((moments, groups))
    if (order != np.arange(len(table))).any():
        if ((np.diff(moments) < 0) & (np.diff(groups) == 0)).any():
            notes.append(sentence("series.sorted", "the rows are put in the order of '{time}'", time=layout.time))
        table, groups, moments = table.take(order), groups[order], moments[order]
    same = np.diff(groups) == 0
    _require_once(table, layout, moments, same)
    frequency = layout.frequency or _told(table, layout, moments, same)
    layout = replace(layout, frequency=frequency)
    follows = layout.follows(table)
    starts = np.concatenate([[True], ~same]) if len(table) else np.zeros(0, np.bool_)
    broken = int((~follows & ~starts).sum())
    if broken and layout.fill == "none":
        notes.append(
            sentence(
                "series.gaps",
                "{gaps:count place} in '{time}' where the next row is not one step of {step} later: no window goes "
                "across (task.forecast.fill fills them)",
                gaps=broken,
                time=layout.time,
                step=str(frequency),
            )
        )
    if layout.fill != "none":
        before = len(table)
        missing = int(sum(table.frame[name].null_count() for name in numbers))
        table, added = filled(table, layout, numbers)
        if merged := before + added - len(table):
            notes.append(
                sentence(
                    "series.merged",
                    "{rows:count row} that fall on a step of {step} with another one are left out",
                    rows=merged,
                    step=str(frequency),
                )
            )
        if added or missing:
            notes.append(
                sentence(
                    "series.filled",
                    "{steps:count step} and {cells:count cell} that were missing are filled ({how})",
                    steps=added,
                    cells=missing,
                    how=layout.fill,
                )
            )
    return table, layout, notes


def _require_moments(table: Table, layout: Layout) -> None:
    """Raise DataError where a cell of the time or the key says nothing."""
    cells = table.frame[layout.time]
    is_whole = cells.dtype.is_integer() or cells.dtype == pl.Date or isinstance(cells.dtype, pl.Datetime)
    if not is_whole:
        raise DataError(
            f"{table.name}, column '{layout.time}'",
            expected="dates, or whole numbers, that all can be read as one way of writing them",
            found=f"cells like '{next(iter(cells.drop_nulls()), '')}'",
            action="Write dates as 2024-01-31 13:00, or name another column in task.forecast.time",
        )
    for name in filter(None, (layout.time, layout.key)):
        missing = table.frame[name].is_null()
        if missing.any():
            place = int(missing.arg_max() or 0)
            raise DataError(
                f"{table.name}, row {table.row_numbers[place]}, column '{name}'",
                expected="a moment in each row" if name == layout.time else "the name of a series in each row",
                found=f"{int(missing.sum())} missing",
                action="Mend or remove these rows",
            )


def _require_once(table: Table, layout: Layout, moments: Moments, same: npt.NDArray[np.bool_]) -> None:
    """Raise DataError where a moment stands twice in a series. The rows are in order."""
    again = np.flatnonzero((np.diff(moments) == 0) & same)
    if not len(again):
        return
    place = int(again[0])
    one, other = sorted(int(row) for row in table.row_numbers[[place, place + 1]])
    cell, series = table.frame[layout.time][place], ""
    if layout.key is not None:
        series = f" of '{table.frame[layout.key][place]}'"
    raise DataError(
        f"{table.name}, column '{layout.time}'",
        expected=f"each moment once{series or ' in a series'}",
        found=f"'{cell}' in rows {one} and {other}, and {len(again)} such pairs in all",
        action="Remove the rows that stand twice"
        if layout.key is not None
        else "Set task.forecast.key to the column that tells series apart, write the moments in UTC where clocks were "
        "set back, or remove the rows that stand twice",
    )


def told_frequency(table: Table, layout: Layout) -> Frequency | None:
    """Return the frequency that rows in any order tell, or None where they tell none or cannot be read."""
    cells = table.frame[layout.time]
    if not (cells.dtype.is_integer() or isinstance(cells.dtype, pl.Datetime)) or cells.null_count():
        return None
    groups, moments = layout.groups(table), moments_of(cells)
    order = np.lexsort((moments, groups))
    groups, moments = groups[order], moments[order]
    return find_frequency(moments, np.diff(groups) == 0, dated=cells.dtype.is_temporal())


def _told(table: Table, layout: Layout, moments: Moments, same: npt.NDArray[np.bool_]) -> Frequency:
    """Return the frequency that the rows tell."""
    is_dated = table.frame[layout.time].dtype.is_temporal()
    found = find_frequency(moments, same, dated=is_dated)
    if found is not None:
        return found
    distances = np.diff(moments)[same]
    texts = [str(np.timedelta64(int(step), "us").astype("timedelta64[s]")) for step in np.unique(distances)[:3]]
    raise DataError(
        f"{table.name}, column '{layout.time}'",
        expected="rows that mostly are equally far apart, so that the frequency can be told",
        found=f"distances like {listed(texts if is_dated else np.unique(distances)[:3])}"
        if len(distances)
        else "one row",
        action="Set task.forecast.frequency, like 1h or 1d, with task.forecast.fill to bring the rows to it",
    )


def filled(table: Table, layout: Layout, numbers: Sequence[str]) -> tuple[Table, int]:
    """Bring the rows of each series to equal steps, the last row of those that fall on one, and fill what is missing.

    What is no number is that of the row before. The column FILLED tells which rows lacked a number. Also returns how
    many steps were added. Raises DataError where that would be too many rows.
    """
    assert layout.frequency is not None
    frequency = layout.frequency
    groups, moments = layout.groups(table), moments_of(table.frame[layout.time])
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(groups) != 0]))
    series = np.cumsum(np.isin(np.arange(len(table)), firsts)) - 1
    steps = frequency.counted(moments[firsts][series], moments)
    last = np.zeros(len(firsts), np.int64)
    np.maximum.at(last, series, steps)
    starts = np.concatenate([[0], np.cumsum(last + 1)])
    if starts[-1] > MOST_STEPS:
        raise DataError(
            table.name,
            expected=f"at most {MOST_STEPS:,} rows once the gaps are filled",
            found=f"{int(starts[-1]):,}",
            action="Set a longer task.forecast.frequency, or task.forecast.fill=none",
        )
    source = np.full(int(starts[-1]), -1, np.int64)
    source[starts[series] + steps] = np.arange(len(table))
    of_step = np.repeat(np.arange(len(firsts)), last + 1)
    known = np.maximum.accumulate(source)
    frame = table.frame[known]
    is_new = pl.Series(source < 0)
    cells = [pl.when(is_new).then(None).otherwise(pl.col(name)).alias(name) for name in numbers if name != layout.time]
    number = np.arange(len(source)) - starts[of_step]
    whole = frequency.moved(moments[firsts][of_step], number)
    time = typed_as(pl.Series(layout.time, whole), frame[layout.time].dtype)
    frame = frame.with_columns(*cells, time).with_columns(pl.Series("\0series", of_step))
    lacked = [pl.col(name).is_null() for name in numbers] or [pl.lit(value=False)]
    frame = frame.with_columns(pl.any_horizontal(lacked).alias(FILLED), (~pl.all_horizontal(lacked)).alias("\0known"))
    # Behind the last known step of a series nothing is filled: these are the steps to forecast.
    is_inside = pl.col("\0known").cast(pl.Int8).cum_max(reverse=True).over("\0series") == 1
    filled_cells = (pl.when(is_inside).then(_fill(pl.col(name), layout.fill).over("\0series")) for name in numbers)
    frame = frame.with_columns(cells.alias(name) for cells, name in zip(filled_cells, numbers, strict=True))
    found = replace(table, frame=frame.drop("\0series", "\0known"), row_numbers=table.row_numbers[known])
    return found, int(is_new.sum())


def _fill(cells: pl.Expr, how: Fill) -> pl.Expr:
    if how == "zero":
        return cells.fill_null(0)
    return (cells.interpolate() if how == "interpolate" else cells).forward_fill()


def extended(table: Table, layout: Layout, targets: Sequence[str], horizon: int) -> tuple[Table, Integers]:
    """Return a table in order with rows for `horizon` steps behind the last known one of each series, and the positions
    of those last known rows. Rows whose targets are all missing at the end of a series are such steps already."""
    assert layout.frequency is not None
    groups, moments = layout.groups(table), moments_of(table.frame[layout.time])
    known = ~table.frame.select(pl.all_horizontal(pl.col(list(targets)).is_null())).to_series().to_numpy()
    ends = np.flatnonzero(np.concatenate([np.diff(groups) != 0, [True]]))
    starts = np.concatenate([[0], ends[:-1] + 1])
    last = np.array([start + _last(known[start : end + 1]) for start, end in zip(starts, ends, strict=True)], np.int64)
    lacking = np.maximum(horizon - (ends - last), 0)
    behind = np.repeat(ends, lacking)
    number = np.concatenate([np.arange(1, count + 1) for count in lacking]) if len(lacking) else np.zeros(0, np.int64)
    dtype = table.frame[layout.time].dtype
    times = typed_as(pl.Series(layout.time, layout.frequency.moved(moments[behind], number)), dtype)
    others = {layout.time: times}
    if layout.key is not None:
        others[layout.key] = table.frame[layout.key][behind]
    added = pl.DataFrame(others)
    frame = pl.concat([table.frame, added], how="diagonal")
    rows = np.concatenate([table.row_numbers, table.row_numbers[behind]])
    place = np.concatenate([np.arange(len(table)) * (horizon + 1), behind * (horizon + 1) + number])
    order = np.argsort(place, kind="stable")
    shifted = np.concatenate([[0], np.cumsum(lacking)[:-1]]) if len(lacking) else lacking
    return replace(table, frame=frame[order], row_numbers=rows[order]), last + shifted


def _last(known: npt.NDArray[np.bool_]) -> int:
    """Return the position of the last known row; the last one where none is."""
    found = np.flatnonzero(known)
    return int(found[-1]) if len(found) else len(known) - 1


def find_time(table: Table, dated: Sequence[str]) -> str:
    """Return the only column of dates. Raises ConfigError where there is none, or several."""
    if len(dated) == 1:
        return dated[0]
    counted = [name for name in table.columns if _counts(table.frame[name])]
    raise ConfigError(
        "task.forecast.time",
        expected="the column that says when each row was",
        found=f"several columns of dates, {listed(dated)}" if dated else f"none among {listed(table.columns)}",
        action=f"Set task.forecast.time{f', to {counted[0]} for instance' if counted and not dated else ''}",
    )


def _counts(cells: pl.Series) -> bool:
    """Tell whether cells are whole numbers that ascend."""
    if cells.dtype != pl.String and not cells.dtype.is_integer():
        return False
    whole = cells.cast(pl.Int64, strict=False)
    return len(whole) > 1 and whole.null_count() == 0 and whole.is_sorted() and whole.n_unique() == len(whole)


def require_series(table: Table, found: bool, needed: str, longest: int, *, predicted: bool = False) -> None:
    """Raise DataError where no series is long enough. needed: what a series must have, in words. longest: rows
    without a gap there are. predicted: rows to predict on, for which the settings are as they are."""
    if not found:
        raise DataError(
            table.name,
            expected=f"a series with {needed} and no gap",
            found=f"{longest} at most",
            action="Give more rows, and the missing ones between them"
            if predicted
            else "Give longer series, a shorter task.forecast.lookback or task.forecast.horizon or larger shares in "
            "data.split, or fill gaps with task.forecast.fill",
        )
