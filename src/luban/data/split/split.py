"""Training, validation and test rows: random, stratified, by group, by time, by a column; rows with the same inputs
always stand together, and so do rows that share an image or a sound.

Every method names units of rows that may not be parted and an order of the units; the parts are then cut off the front
of that order: test, validation, and what is left is training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from luban.core.errors import DataError
from luban.data.groups import group_ids
from luban.data.shared_files import Joined, join_files
from luban.data.split import group, notes, random, stratified, time
from luban.data.split.config import ROLES, SplitConfig, check
from luban.data.split.units import Division, Split, Units, cut, represent, shown_cell
from luban.data.table import Table

METHODS: dict[str, Callable[[Division], Units]] = {
    "random": random.units,
    "stratified": stratified.units,
    "group": group.units,
    "time": time.units,
}
PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test",),
}


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
    check(table, config, stratify)
    if config.method == "none":
        every = np.arange(len(table))
        return Split(every, every, every[:0] if has_test else every, (notes.no_split(),))
    if config.until is not None:
        return _until(table, target, inputs, config, has_test=has_test, stratify=stratify, files=files)
    if config.method == "column":
        return _by_column(table, target, inputs, config, has_test=has_test, stratify=stratify, files=files)
    notes.require_rows(table)
    num_alike, sharing = _units(table, inputs, config, files)
    test_rows = 0 if has_test else _part_size(config.test, len(table))
    validation_rows = _part_size(config.validation, len(table))
    limit = min((size for size in (test_rows, validation_rows) if size), default=len(table))
    is_auto = config.method == "auto"
    method = ("stratified" if stratify else "random") if is_auto else config.method
    units = METHODS[method](Division(table, target, config, sharing, limit))
    parts = cut(table, units, test_rows, validation_rows)
    if method == "stratified":
        parts = represent(parts, units.of_row, group_ids(table.frame.select(target)))
    told = list(units.notes)
    if is_auto:
        told.insert(0, notes.at_random(target if method == "stratified" else None))
    if num_alike:
        told.append(notes.alike(num_alike))
    told += notes.files(sharing.together, sharing.rows, sharing.parted)
    train, validation, test = (np.flatnonzero(parts == part) for part in ROLES)
    return Split(train, validation, test, tuple(told))


def _units(table: Table, inputs: list[str], config: SplitConfig, files: Sequence[str]) -> tuple[int, Joined]:
    """Return how many rows repeat the inputs of another, and the units of rows that stay in one part."""
    alike = group_ids(table.frame.select(inputs))
    num_alike = len(table) - int(alike.max()) - 1
    return num_alike, join_files(table, alike, files) if config.shared_files == "together" else Joined(alike)


def _until(
    table: Table,
    target: str,
    inputs: list[str],
    config: SplitConfig,
    *,
    has_test: bool,
    stratify: bool,
    files: Sequence[str],
) -> Split:
    """Take the parts that end at stated moments; rows that are alike stay in the latest of theirs."""
    column = str(config.column)
    dealt = time.chronological(table, column, config, given=("test",) if has_test else ())
    words = np.full(len(table), "", dtype="<U10")
    for role in ROLES:
        words[getattr(dealt, role)] = role
    kept = np.flatnonzero(words != "").astype(np.int64)
    part = "\0part"  # a name that no column has
    named = replace(table, frame=table.frame.with_columns(pl.Series(part, words))).take(kept)
    rest = config.model_copy(update={"method": "column", "column": part, "until": None})
    found = _by_column(named, target, inputs, rest, has_test=has_test, stratify=stratify, files=files)
    return Split(kept[found.train], kept[found.validation], kept[found.test], (*dealt.notes, *found.notes))


def _part_size(share: float, rows: int) -> int:
    return max(1, round(share * rows)) if share else 0


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
            found=shown_cell(table.frame[column][position], quote=True),
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
    told: list[str] = [notes.left_out(num_left_out)] if num_left_out else []
    told += notes.files(sharing.together, sharing.rows, sharing.parted)
    lacks_test, lacks_validation = not len(test) and not has_test and config.test > 0, not len(validation)
    if lacks_test or (lacks_validation and config.validation > 0):
        shares = {"test": config.test * lacks_test, "validation": config.validation * lacks_validation}
        rest = config.model_copy(update={"method": "auto", "column": None, **shares})
        part = split(table.take(train), target, inputs, rest, has_test=not lacks_test, stratify=stratify, files=files)
        named = " and ".join(name for name, share in shares.items() if share)
        told += [notes.taken(column, named), *part.notes]
        train, validation, test = (
            train[part.train],
            train[part.validation] if lacks_validation else validation,
            train[part.test] if lacks_test else test,
        )
    return Split(train, validation, test, tuple(told))
