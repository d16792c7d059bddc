"""Training, validation and test rows: random, stratified, by group, by time, by a column; rows with the same inputs
always stand together, and so do rows that share an image or a sound.

Every method names units of rows that may not be parted and an order of the units; the parts are then cut off the front
of that order: test, validation, and what is left is training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from luban.core.errors import ConfigError, DataError, listed
from luban.core.settings import Seed, Settings, Word
from luban.data.contents import contents, holds_files
from luban.data.groups import Rows, group_ids, groups_of, joined, missing
from luban.data.shared_files import Joined, join_files, rarest_class
from luban.data.split import notes as split_notes
from luban.data.table import Table

Method = Literal["auto", "random", "stratified", "group", "time", "column", "none"]

BY_COLUMN = ("group", "time", "column")
GOLDEN = (5**0.5 - 1) / 2  # its multiples fill any stretch of the unit circle evenly
PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test",),
}


class SplitConfig(Settings):
    """How the rows are divided.

    method: `auto` is stratified for classes and random otherwise; `none` scores on the training rows. validation, test:
    shares of the rows. column: of the groups, of the time, or of the words train, validation and test.
    seed: of the draw; None takes the run's. shared_files: rows that share an image or a sound stay in one part, as long
    as enough is left to divide; where a method is named and this is not, they are parted as it says.
    """

    method: Method = "auto"
    validation: float = Field(default=0.1, ge=0, lt=1)
    test: float = Field(default=0.1, ge=0, lt=1)
    column: Word | None = None
    seed: Seed | None = None
    shared_files: Literal["together", "apart"] = "together"

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_named(cls, values: Any) -> Any:
        if isinstance(values, dict) and "method" in values and "shared_files" not in values:
            return values | {"shared_files": "apart"}
        return values


@dataclass(frozen=True)
class Split:
    """Positions in the table, int64 and ascending. notes: what was chosen or set aside, a sentence each."""

    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Units:
    """of_row: (rows,) the unit of each row, from 0. order: units, the first ones go to test. noun: what a unit is."""

    of_row: Rows
    order: Rows
    noun: str
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> Rows:
        return np.bincount(self.of_row, minlength=len(self.order))


def split(
    table: Table,
    target: str,
    inputs: list[str],
    config: SplitConfig,
    *,
    has_test: bool,
    stratify: bool,
    files: Sequence[str] = (),
) -> Split:
    """Divide the rows of a table.

    has_test: a table for testing was given, so that none is cut off here. stratify: the target has classes. files: the
    inputs whose cells are images or sounds.
    The parts are disjoint and hold every row; `column` alone sets rows aside, whose inputs stand in a later part.
    Raises ConfigError for settings that contradict, DataError where the rows are too few or the column is unreadable.
    """
    _check(table, config, stratify)
    if config.method == "none":
        every = np.arange(len(table))
        note = "no split: the scores are on the training rows and say nothing about other rows"
        return Split(every, every, every[:0] if has_test else every, (note,))
    if config.method == "column":
        return _by_column(table, target, inputs, config, has_test=has_test, stratify=stratify, files=files)
    split_notes.require_rows(table)
    num_alike, sharing = _units(table, inputs, config, files)
    alike = sharing.unit_of_row
    test_rows = 0 if has_test else _part_size(config.test, len(table))
    validation_rows = _part_size(config.validation, len(table))
    limit = min((size for size in (test_rows, validation_rows) if size), default=len(table))
    is_stratified = config.method == "stratified" or (config.method == "auto" and stratify)
    if config.method == "time":
        units = _by_time(table, str(config.column), alike)
    elif config.method == "group":
        units = _by_group(table, str(config.column), alike, limit, config.seed or 0)
    elif is_stratified:
        units = _stratified(table, target, sharing, limit, config.seed or 0)
    else:
        units = _random(alike, limit, config.seed or 0)
    parts = _cut(table, units, test_rows, validation_rows)
    if is_stratified:
        parts = _represent(parts, units.of_row, group_ids(table.frame.select(target)))
    notes = list(units.notes)
    if config.method == "auto":
        notes.insert(0, split_notes.at_random(target if is_stratified else None))
    if num_alike:
        notes.append(split_notes.alike(num_alike))
    notes += split_notes.files(sharing.together, sharing.rows, sharing.parted)
    train, validation, test = (np.flatnonzero(parts == part) for part in ("train", "validation", "test"))
    return Split(train, validation, test, tuple(notes))


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
    return keep, (split_notes.dropped(test.name, num_dropped, len(train)),)


def _units(table: Table, inputs: list[str], config: SplitConfig, files: Sequence[str]) -> tuple[int, Joined]:
    """Return how many rows repeat the inputs of another, and the units of rows that stay in one part."""
    alike = group_ids(table.frame.select(inputs))
    num_alike = len(table) - int(alike.max()) - 1
    return num_alike, join_files(table, alike, files) if config.shared_files == "together" else Joined(alike)


def _check(table: Table, config: SplitConfig, stratify: bool) -> None:
    if config.validation + config.test >= 1:
        raise ConfigError(
            "data.split",
            expected="validation and test to leave rows for training",
            found=f"{config.validation} and {config.test}",
            action="Lower one of them",
        )
    if config.method == "stratified" and not stratify:
        raise ConfigError(
            "data.split.method",
            expected="a target with classes",
            found="'stratified'",
            action="Use random, group or time",
        )
    if (config.method in BY_COLUMN) != (config.column is not None):
        needed = f"the name of a column for data.split.method={config.method}"
        raise ConfigError(
            "data.split.column",
            expected=f"no column for data.split.method={config.method}" if config.column else needed,
            found=f"'{config.column}'" if config.column else "none",
            action=f"Set data.split.method to one of {listed(BY_COLUMN)}" if config.column else "Set data.split.column",
        )
    if config.column is not None:
        table.require(config.column, "data.split.column")


def _part_size(share: float, rows: int) -> int:
    return max(1, round(share * rows)) if share else 0


def _large_last(order: Rows, sizes: Rows, limit: int) -> Rows:
    """Move units that alone overfill the smallest part behind the others, so that they are trained on."""
    is_large = sizes[order] > limit
    return np.concatenate([order[~is_large], order[is_large]])


def _random(alike: Rows, limit: int, seed: int, noun: str = "different inputs") -> _Units:
    order = np.random.default_rng(seed).permutation(int(alike.max()) + 1)
    return _Units(alike, _large_last(order, np.bincount(alike), limit), noun)


def _stratified(table: Table, target: str, sharing: Joined, limit: int, seed: int) -> _Units:
    """Spread each class evenly over the order: its units, side by side, get places at multiples of the golden ratio."""
    classes = group_ids(table.frame.select(target))
    alike = sharing.unit_of_row
    _, first = np.unique(alike, return_index=True)
    class_of_unit = rarest_class(alike, classes) if sharing.together else classes[first]
    is_lone = np.bincount(class_of_unit, minlength=int(classes.max()) + 1)[class_of_unit] == 1
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(first))
    by_class = shuffled[np.argsort(class_of_unit[shuffled], kind="stable")]
    by_class = by_class[~is_lone[by_class]]
    places = (np.arange(len(by_class)) * GOLDEN + rng.random()) % 1
    order = _large_last(by_class[np.argsort(places, kind="stable")], np.bincount(alike), limit)
    counts = np.bincount(classes)
    cells = table.frame[target]
    lone = [_shown(cells[int(row)]) for row in np.flatnonzero((counts[classes] == 1) & ~missing(cells))]
    note = f"classes with one row, which is trained on and never scored: {listed(lone)}"
    return _Units(alike, np.concatenate([order, np.flatnonzero(is_lone)]), "different inputs", (note,) if lone else ())


def _by_group(table: Table, column: str, alike: Rows, limit: int, seed: int) -> _Units:
    """Join the groups that share a row with the same inputs; a row without a group is one of its own."""
    cells = table.frame[column]
    num_missing = int(missing(cells).sum())
    units = _random(joined(alike, groups_of(cells)), limit, seed, f"different groups in '{column}'")
    note = split_notes.ungrouped(column, num_missing)
    return _Units(units.of_row, units.order, units.noun, (note,) if num_missing else ())


def _by_time(table: Table, column: str, alike: Rows) -> _Units:
    """Latest first. Rows that are alike count with the latest of them, so that no row of the future is trained on."""
    times = _times(table, column)
    latest = np.full(int(alike.max()) + 1, -np.inf)
    np.maximum.at(latest, alike, times)
    moments, of_row = np.unique(latest[alike], return_inverse=True)
    earliest, last = (_shown(table.frame[column][int(row)]) for row in (times.argmin(), times.argmax()))
    notes = [split_notes.by_time(column, earliest, last)]
    if num_moved := int((latest[alike] > times).sum()):
        notes.append(split_notes.moved(num_moved))
    order = np.arange(len(moments))[::-1]
    return _Units(of_row, order, f"different times in '{column}'", tuple(notes))


def _times(table: Table, column: str) -> npt.NDArray[np.float64]:
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
            found=_shown(cells[position], quote=True),
            action="Mend or remove the row, or write dates as 2024-01-31",
        )
    return numbers


def _cut(table: Table, units: _Units, test_rows: int, validation_rows: int) -> npt.NDArray[Any]:
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


def _represent(parts: npt.NDArray[Any], unit_of_row: Rows, classes: Rows) -> npt.NDArray[Any]:
    """Bring a unit of each class that is not trained on into the training rows."""
    trained = np.bincount(classes, weights=parts == "train") > 0
    for label in np.flatnonzero(~trained):
        unit = unit_of_row[np.argmax(classes == label)]
        parts = np.where(unit_of_row == unit, "train", parts)
    return parts


def _by_column(
    table: Table,
    target: str,
    inputs: list[str],
    config: SplitConfig,
    *,
    has_test: bool,
    stratify: bool,
    files: Sequence[str],
) -> Split:
    """Take the parts as the column names them; a part that it does not name is cut off the training rows."""
    column = str(config.column)
    part_of = {word: part for part, words in PART_NAMES.items() for word in words}
    words = table.frame[column].cast(pl.String).str.strip_chars().str.to_lowercase()
    parts = words.replace_strict(part_of, default=None, return_dtype=pl.String)
    if parts.null_count():
        position = int(parts.is_null().arg_true()[0])
        raise DataError(
            f"{table.name}, row {table.row_numbers[position]}, column '{column}'",
            expected="train, validation or test",
            found=_shown(table.frame[column][position], quote=True),
            action="Mend the cell, or split in another way",
        )
    sharing = _units(table, inputs, config, files)[1]
    alike = sharing.unit_of_row
    test, validation, train = (np.flatnonzero((parts == part).to_numpy()) for part in ("test", "validation", "train"))
    if has_test and len(test):
        raise DataError(
            f"{table.name}, column '{column}'",
            expected="no test rows beside the table for testing that was given",
            found=f"{len(test)}",
            action="Leave one of the two out",
        )
    num_rows = len(table)
    validation = validation[~np.isin(alike[validation], alike[test])]
    train = train[~np.isin(alike[train], alike[np.concatenate([test, validation])])]
    num_left_out = num_rows - len(test) - len(validation) - len(train)
    if not len(train):
        raise DataError(
            f"{table.name}, column '{column}'",
            expected="training rows",
            found=f"none whose inputs are not those of a validation or test row, in {num_rows} rows",
            action="Mark rows as train, or split in another way",
        )
    notes: list[str] = [split_notes.left_out(num_left_out)] if num_left_out else []
    notes += split_notes.files(sharing.together, sharing.rows, sharing.parted)
    lacks_test, lacks_validation = not len(test) and not has_test and config.test > 0, not len(validation)
    if lacks_test or (lacks_validation and config.validation > 0):
        shares = {"test": config.test * lacks_test, "validation": config.validation * lacks_validation}
        rest = config.model_copy(update={"method": "auto", "column": None, **shares})
        part = split(table.take(train), target, inputs, rest, has_test=not lacks_test, stratify=stratify, files=files)
        named = " and ".join(name for name, share in shares.items() if share)
        notes += [split_notes.taken(column, named), *part.notes]
        train, validation, test = (
            train[part.train],
            train[part.validation] if lacks_validation else validation,
            train[part.test] if lacks_test else test,
        )
    return Split(train, validation, test, tuple(notes))


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


def _shown(cell: object, *, quote: bool = False) -> str:
    """Return a cell as a message shows it."""
    if cell is None:
        return "a missing cell" if quote else "(missing)"
    return f"'{str(cell)[:40]}'" if quote else str(cell)[:40]
