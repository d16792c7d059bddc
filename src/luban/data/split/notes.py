"""What a split tells of itself: what was chosen, set aside or moved, and that the rows are too few."""

from __future__ import annotations

from collections.abc import Sequence

from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence, several
from luban.data.table import Table

MIN_ROWS = 10
MANY_COLUMNS = 1_000  # each of which would be looked at, and told of, in vain


def require_rows(table: Table) -> None:
    """Raise DataError where a table is too small to be split."""
    if len(table) < MIN_ROWS:
        raise DataError(
            table.name,
            expected=f"at least {MIN_ROWS} rows to split",
            found=f"{len(table)}",
            action="Add rows, or set data.split.method=none to score on the training rows",
        )


def require_rows_of_wide(table: Table, method: str) -> None:
    """Raise DataError before a table of thousands of columns is looked at that is too small to be split."""
    if len(table.columns) > MANY_COLUMNS and method not in ("none", "column"):
        require_rows(table)


def at_random(target: str | None) -> Sentence:
    """target: whose classes are in proportion, if any."""
    if target is None:
        return sentence("split.random", "split at random")
    return sentence("split.stratified", "split at random, each class of '{target}' in proportion", target=target)


def alike(rows: int) -> Sentence:
    return sentence(
        "split.alike", "rows that repeat the inputs of another: {rows}; rows that are alike stay in one part", rows=rows
    )


def dropped(name: str, rows: int, total: int) -> Sentence:
    return sentence(
        "split.dropped",
        "training rows set aside because their inputs stand in {name}: {rows} of {total}",
        name=name,
        rows=rows,
        total=total,
    )


def left_out(rows: int) -> Sentence:
    return sentence(
        "split.left_out", "rows set aside because their inputs stand in a validation or test row: {rows}", rows=rows
    )


def ungrouped(column: str, rows: int) -> Sentence:
    return sentence(
        "split.ungrouped", "rows without '{column}': {rows}; each is a group of its own", column=column, rows=rows
    )


def by_time(column: str, first: str, last: str) -> Sentence:
    return sentence(
        "split.by_time", "split by time: '{column}' runs from {first} to {last}", column=column, first=first, last=last
    )


def no_split() -> str:
    return "no split: the scores are on the training rows and say nothing about other rows"


def after(rows: int) -> Sentence:
    return sentence("split.after", "{rows:count row} after the last moment of data.split.until left out", rows=rows)


def moved(rows: int) -> Sentence:
    return sentence("split.moved", "rows that count with a later row of the same inputs: {rows}", rows=rows)


def taken(column: str, roles: str) -> Sentence:
    """roles: that the column does not name, `test`, `validation` or `test and validation`."""
    return sentence(
        "split.taken",
        "column '{column}' names no {roles} rows: they are taken from the training rows",
        column=column,
        roles=roles,
    )


def files(together: Sequence[str], rows: int, parted: Sequence[str]) -> list[Sentence]:
    """together: columns whose files keep so many rows in one part. parted: columns whose files do not, as they stand
    in too many rows."""
    notes = []
    if together:
        notes.append(
            sentence(
                "split.shared_files",
                "rows that share a file of {columns} with a row of other inputs: {rows}; they stay in one "
                "part, whose size and classes are as near to the shares as that allows (data.split.shared_files)",
                columns=several(together),
                rows=rows,
            )
        )
    if parted:
        notes.append(
            sentence(
                "split.parted_files",
                "files of {columns} stand in so many rows that too little would be left to divide: rows that "
                "share one are parted",
                columns=several(parted),
            )
        )
    return notes
