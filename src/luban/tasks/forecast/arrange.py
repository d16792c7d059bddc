"""From a table as it was read to series in order: which columns say when and of what, and what they ask of others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.errors import ConfigError, DataError, listed
from luban.core.sentence import Sentence, sentence, several
from luban.core.tensors import InputSpec, TensorKind
from luban.data.series.order import Layout, extended, find_time, in_order, require_series, told_frequency
from luban.data.table import Table
from luban.features.cells import quoted
from luban.features.infer import profile
from luban.features.parsing.date_format import find_format, in_time, is_typed, reader
from luban.tasks.forecast.config import ForecastConfig
from luban.tasks.forecast.layout import known_rows, layout_of, numbers_of
from luban.tasks.forecast.windows import runs
from luban.tasks.targets import sampled_numbers

COVARIATES = (TensorKind.DENSE, TensorKind.IDS)
TIME_NAMES = ("date", "time", "timestamp", "datetime", "ds", "日期", "时间", "时刻", "年月", "年份")
LEAK = 0.999  # of a correlation of changes: the same series, but for rounding
LEAK_ROWS = 4_096  # that are looked through for leaks
READ_ROWS = 1_000  # that tell how moments are written
MOST_PAIRS = 400  # of a covariate and a target


def decided(table: Table, config: ForecastConfig) -> ForecastConfig:
    """Return settings with the column of time. Raises ConfigError where it cannot be told, SchemaError where a column
    that is named is not there."""
    for name, column in (("time", config.time), ("key", config.key), *(("known", known) for known in config.known)):
        if column is not None:
            table.require(column, f"task.forecast.{name}")
    if config.time is not None:
        return config
    named = [name for name in table.columns if name.lower() in TIME_NAMES and _can_be_time(table.frame[name])]
    dated = [name for name in table.columns if _is_dated(table.frame[name])]
    return config.model_copy(update={"time": named[0] if len(named) == 1 else find_time(table, dated)})


def _is_dated(cells: pl.Series) -> bool:
    return is_typed(cells.dtype) or (cells.dtype == pl.String and find_format(cells) is not None)


def _can_be_time(cells: pl.Series) -> bool:
    return cells.dtype.is_integer() or _is_dated(cells)


def targets_of(table: Table, config: ForecastConfig, kinds: Mapping[str, str]) -> tuple[str, ...]:
    """Return all columns of numbers that are not used otherwise. kinds: of columns, as the user says."""
    others = {config.time, config.key, *config.known, *kinds}
    found = [name for name in table.columns if name not in others and _is_number(table, name)]
    if not found:
        raise ConfigError(
            "data.target",
            expected="the columns to forecast",
            found=f"no other column of numbers that differ among {listed(table.columns)}",
            action="Name them in data.target",
        )
    return tuple(found)


def _is_number(table: Table, name: str) -> bool:
    found = profile(table, name)
    return sampled_numbers(found) is not None and found.num_unique > 1


def asked(config: ForecastConfig) -> dict[str, str]:
    """Return the kinds of the columns of time and key: neither is an input, but for a time whose parts are known."""
    found = {str(config.time): "date" if config.time in config.known else "ignore"}
    if config.key is not None:
        found[config.key] = "category" if config.key in config.known else "ignore"
    return found


def arranged(
    tables: Mapping[str, Table], targets: Sequence[str], config: ForecastConfig
) -> tuple[dict[str, Table], ForecastConfig, list[Sentence]]:
    """Return tables by role with their rows in the order of series and time, the settings with the frequency, and what
    was done. Raises DataError for moments that cannot be read or stand twice."""
    found, notes = dict[str, Table](), list[Sentence]()
    for role in ("train", *(role for role in tables if role != "train")):
        table = typed(tables[role], config, targets)
        found[role], layout, told = in_order(table, layout_of(config), targets)
        config = config.model_copy(update={"frequency": str(layout.frequency)})
        notes += told
    horizon = sentence(
        "forecast.horizon",
        "forecasts {horizon} steps of {frequency} (task.forecast.horizon)",
        horizon=config.horizon,
        frequency=config.frequency,
    )
    return found, config, [horizon, *notes]


def typed(table: Table, config: ForecastConfig, targets: Sequence[str]) -> Table:
    """Return a table whose moments are dates or whole numbers, where all cells of the column can be read as such, and
    whose targets are numbers."""
    time = str(config.time)
    table.require(time, "task.forecast.time")
    cells = table.frame[time]
    if cells.dtype.is_float() and cells.is_finite().all() and (cells == cells.floor()).all():
        table = _with(table, cells.cast(pl.Int64))
    elif cells.dtype == pl.String and (whole := cells.cast(pl.Int64, strict=False)).null_count() == cells.null_count():
        table = _with(table, whole) if find_format(cells) is None else in_time(table, time, None)
    elif cells.dtype == pl.String:
        found = find_format(cells)
        table = in_time(table, time, found.orders[0] if found is not None and found.orders else None)
    if table.frame[time].dtype == pl.String:
        _require_readable(table, time)
    if table.frame[time].dtype == pl.Date:
        table = _with(table, table.frame[time].cast(pl.Datetime("us")))
    elif isinstance(table.frame[time].dtype, pl.Datetime):
        table = _with(table, table.frame[time].dt.replace_time_zone(None).dt.cast_time_unit("us"))
    if config.fill == "none":
        return table
    for name in targets:
        if not table.frame[name].dtype.is_numeric():
            numbers = numbers_of(table.frame, [name])[:, 0]
            table = _with(table, pl.Series(name, numbers).fill_nan(None))
    return table


def require_frequency(table: Table, layout: Layout) -> None:
    """Raise DataError where rows are mostly another step apart than those of the training."""
    if layout.key is not None:
        table.require(layout.key, "task.forecast.key")
    found = told_frequency(table, layout) if layout.fill == "none" else None
    if found is not None and found != layout.frequency:
        raise DataError(
            f"{table.name}, column '{layout.time}'",
            expected=f"rows that are {layout.frequency} apart, as those of the training",
            found=f"{found} mostly",
            action="Bring the rows to the steps of the training, or train on rows like these",
        )


def _require_readable(table: Table, time: str) -> None:
    """Raise DataError where most cells are moments and one is none."""
    cells = table.frame[time]
    read = reader(cells.head(READ_ROWS))
    unread = pl.Series([False]) if read is None else read(cells).is_null() & cells.is_not_null()
    if read is not None and unread.any() and not unread.all():
        place = int(unread.arg_max() or 0)
        raise DataError(
            f"{table.name}, row {table.row_numbers[place]}, column '{time}'",
            expected="a moment, written as those of the other rows",
            found=quoted(cells[place]),
            action="Mend or remove the row",
        )


def _with(table: Table, cells: pl.Series) -> Table:
    return replace(table, frame=table.frame.with_columns(cells))


def to_predict(
    table: Table, targets: Sequence[str], config: ForecastConfig, known: Sequence[str], trained: Collection[str]
) -> tuple[Table, list[Sentence]]:
    """Return a table in order with the steps to forecast behind each series, and what is told of the series.

    known: inputs that are known in advance. trained: the series of the training. Raises DataError where no series has a
    look-back at its end, or the steps to forecast lack what is known of them.
    """
    layout, lookback, notes = layout_of(config), int(config.lookback or 1), list[Sentence]()
    table, last = extended(table, layout, targets, config.horizon)
    rows = (last[:, None] + np.arange(1, config.horizon + 1)).reshape(-1)
    for name in known:
        if name not in config.columns and (missing := table.frame[name][rows].null_count()):
            raise DataError(
                f"{table.name}, column '{name}'",
                expected=f"a cell in each of the {config.horizon} rows behind the last known step of a series, since "
                "it is known in advance",
                found=f"{missing} missing",
                action="Add these rows, with the time and what is known, and leave the targets empty",
            )
    length = runs(layout.follows(table), known_rows(numbers_of(table.frame, targets)))[last]
    longest, enough = int(length.max(initial=0)), length >= lookback
    require_series(table, bool(enough.any()), f"{lookback} known rows at its end", longest, predicted=True)
    if short := int((length < lookback).sum()):
        notes.append(
            sentence(
                "series.short",
                "{series} of {all} series with less than {rows} known rows at the end: no forecast for them",
                series=short,
                all=len(last),
                rows=lookback,
            )
        )
    if config.key is not None:
        unseen = sorted({str(key) for key in table.frame[config.key].unique()} - set(trained))
        if unseen:
            notes.append(
                sentence(
                    "series.unseen",
                    "'{key}': {names} not among the series of the training: scaled by their own first values",
                    key=config.key,
                    names=several(unseen),
                )
            )
    return table, notes


def covariates_of(
    specs: Sequence[InputSpec], config: ForecastConfig
) -> tuple[dict[str, tuple[TensorKind, int]], list[str]]:
    """Return the inputs beside the targets, with kind and size, and those of them that are known in advance. Raises
    ConfigError for one that is no number, date or category, and where what is said to be known is no input."""
    for spec in specs:
        if spec.kind not in COVARIATES:
            raise ConfigError(
                "data.columns",
                expected="numbers, dates or categories beside the targets of a forecast",
                found=f"'{spec.name}', which is encoded to {spec.kind}",
                action=f"Set data.columns.{spec.name}=ignore",
            )
    found = {spec.name: (spec.kind, spec.size) for spec in specs}
    if unused := [name for name in config.known if name not in found]:
        raise ConfigError(
            "task.forecast.known",
            expected=f"inputs: {listed(found)}" if found else "inputs beside the targets",
            found=f"'{unused[0]}', which is none (constant, ignored, or a target)",
            action="Leave it out, or set its kind in data.columns",
        )
    return found, [name for name in found if name in config.known]


def check_leaks(frame: pl.DataFrame, targets: Sequence[str], beside: Sequence[str], horizon: int, where: str) -> None:
    """Raise DataError where a column holds what a target will be: its changes are those of the target some steps later,
    or of a column that is known in advance, at the same time.

    frame: training rows in order. beside: columns of numbers that are inputs.
    """
    rows = frame.tail(LEAK_ROWS)
    for number, name in enumerate(beside):
        for target in (other for other in targets if other != name):
            if number * len(targets) > MOST_PAIRS:
                return
            one, other = (np.diff(numbers_of(rows, [column])[:, 0]) for column in (name, target))
            for lag in range(1, min(horizon, len(one) // 2) + 1):
                if _alike(one[:-lag], other[lag:]):
                    raise DataError(
                        f"{where}, column '{name}'",
                        expected="what is known at its time",
                        found=f"the values that '{target}' has {lag} step{'s' * (lag != 1)} later",
                        action=f"Set data.columns.{name}=ignore",
                    )


def _alike(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 8:
        return False
    one, other = one[known] - one[known].mean(), other[known] - other[known].mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return size > 0 and abs(float((one * other).sum())) / size >= LEAK
