"""Columns that a glance settles: short numbers and single words, which a closer look would take for the same.

All columns are looked at together, where a closer look costs milliseconds each: that decides in a table of thousands.

Shapes: C columns · R rows
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.data.table import Table
from luban.features.epoch import is_time_name
from luban.features.identifier import NEARLY, is_identifier_name
from luban.features.media import file_namer

MAX_ROWS = 10_000  # in more, a closer look takes no longer than the cells themselves
CELLS_AT_ONCE = 2_000_000
# No leading zeros, and nothing that may be a date: neither eight digits nor a year with a month.
SHORT = (
    r"^[+-]?(?:(?:0|[1-9][0-9]{0,2})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?|[1-9][0-9]{3}|[1-9][0-9]{3,6}\.[0-9]{3,})$"
)
MOST = 9_999  # of numbers that are typed, for the same reason
WORD, NUMBER_WORD = r"^[A-Za-z]{1,20}$", r"^(?i:nan|inf|infinity)$"
FEW_SHARE, HALF, FEW = 0.2, 0.5, 20  # of different values, as for a category

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Glance:
    """kind: of the column. num_unique: different cells, as a profile counts them."""

    kind: str
    num_unique: int


@dataclass(frozen=True)
class Seen:
    """What the cells of a column have in common. count, unique: of cells that are there. first: of them. is_short: all
    numbers are; are_words: all cells. may_count: the numbers may count the rows, or cells mean 'missing'."""

    count: int
    unique: int
    first: str
    is_short: bool
    are_words: bool
    may_count: bool


def settle(table: Table, columns: Sequence[str], missing_values: Collection[str]) -> dict[str, Glance]:
    """Return the columns that need no closer look."""
    if not 0 < len(table) <= MAX_ROWS:
        return {}
    names_file = file_namer(table.folder)
    settled = {}
    for name, seen in _look(table.frame.select(name for name in columns if _is_plain(name)), missing_values):
        if seen.unique + (seen.count < len(table)) <= 1:
            continue
        is_many = seen.unique >= NEARLY * seen.count
        if seen.is_short and not (is_many and (seen.may_count or names_file(seen.first))):
            settled[name] = Glance("number", seen.unique)
        elif seen.are_words and _are_few(seen.unique, seen.count):
            settled[name] = Glance("category", seen.unique)
    return settled


def _is_plain(name: str) -> bool:
    return not (is_identifier_name(name) or is_time_name(name))


def _are_few(unique: int, count: int) -> bool:
    share = unique / max(count, 1)
    return share <= FEW_SHARE or (share <= HALF and unique <= FEW)


def _look(frame: pl.DataFrame, missing_values: Collection[str]) -> Iterator[tuple[str, Seen]]:
    """Yield what there is to see in each column of texts or numbers."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_integer() or dtype.is_float()]
    at_once = max(1, CELLS_AT_ONCE // max(frame.height, 1))
    for start in range(0, len(texts), at_once):
        part = texts[start : start + at_once]
        yield from zip(part, _texts(frame.select(part), missing_values), strict=True)
    for start in range(0, len(numbers), at_once):
        part = numbers[start : start + at_once]
        yield from zip(part, _numbers(frame.select(part)), strict=True)


def _texts(frame: pl.DataFrame, missing_values: Collection[str]) -> list[Seen]:
    cell = pl.col("cell")
    cells = frame.unpivot(value_name="cell").select(cell.str.strip_chars())  # column after column
    looks = cells.select(
        there=(cell != "").fill_null(False),
        mark=cell.is_in(list(missing_values)).fill_null(False),
        short=cell.str.contains(SHORT).fill_null(False),
        word=(cell.str.contains(WORD) & ~cell.str.contains(NUMBER_WORD)).fill_null(False),
        value=cell.cast(pl.Float64, strict=False),
        key=cell.hash(),
    )
    there, mark, short, word, value, key = (column.to_numpy().reshape(frame.width, -1) for column in looks)
    unique = _num_unique(np.where(there, key, 0), there)
    is_number = there & ~mark
    is_short = (short | ~is_number).all(axis=1) & is_number.any(axis=1)
    are_words = (word | ~there).all(axis=1)
    may_count = _may_count(np.where(is_number, value, np.nan)) | (mark & there).any(axis=1)
    firsts = cells["cell"].gather(np.arange(frame.width) * frame.height + there.argmax(axis=1))
    found = zip(there.sum(axis=1), unique, firsts, is_short, are_words, may_count, strict=True)
    return [Seen(int(count), int(many), first or "", *map(bool, rest)) for count, many, first, *rest in found]


def _numbers(frame: pl.DataFrame) -> list[Seen]:
    values = frame.select(pl.all().cast(pl.Float64)).to_numpy().T
    there = ~np.isnan(values)
    unique = _num_unique(np.where(there, values, np.inf), there)
    is_short = (~there | (np.abs(values) <= MOST)).all(axis=1) & there.any(axis=1)
    firsts = [column.drop_nulls().head(1) for column in frame]
    found = zip(there.sum(axis=1), unique, firsts, is_short, _may_count(values), strict=True)
    return [
        Seen(int(count), int(many), str(first.item()) if len(first) else "", bool(short), False, bool(rises))
        for count, many, first, short, rises in found
    ]


def _num_unique(keys: npt.NDArray[np.generic], there: Mask) -> npt.NDArray[np.int64]:
    """Return (C,) how many different cells are there. keys: (C, R), one and the same for cells that are not."""
    ordered = np.sort(keys, axis=1)
    different = (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1) + 1
    return np.asarray(different - ~there.all(axis=1), np.int64)


def _may_count(values: Floats) -> Mask:
    """Return (C,) whether the numbers may count the rows: whole ones from 0 or 1 on that never fall and leave few out.

    values: (C, R), NaN where there is none.
    """
    none = np.isnan(values)
    highest = np.fmax.accumulate(values, axis=1)
    rise = (none | ((values == np.floor(values)) & (values >= highest))).all(axis=1)
    first, last = np.where(none, np.inf, values).min(axis=1), highest[:, -1]
    return np.asarray(rise & ((first == 0) | (first == 1)) & (last < first + values.shape[1]))
