"""Tables in text, CSV and its relatives: batches of strings, and no row is dropped without being said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from luban.core.errors import DataError, SchemaError, listed
from luban.core.sentence import sentence
from luban.data.batches import BATCH_CHARACTERS, BATCH_ROWS, Reading
from luban.data.decimals import Decimal, recognise, with_points
from luban.data.dialects import (
    SEPARATORS,
    Trial,
    cell_limit,
    first_records,
    fitted,
    parse,
    shown,
    sniff,
    without_blanks,
)
from luban.data.encodings import LONE_SURROGATE, Encoding, open_text
from luban.data.header import LEAST_ROWS, TITLE_WIDTH, check_header, refuse_title
from luban.data.table import REJECTED_LIMIT

HOPELESS_ROWS = 10_000  # so many rejected rows, and more than are read: the dialect is not what the file is in
INDEX = "Unnamed: 0"  # what pandas calls a first column without a name: the numbers of the rows


def read(
    path: Path, encoding: Encoding, separator: str | None, reading: Reading, decimal: Decimal | None = None
) -> Iterator[pl.DataFrame]:
    """Yield batches of String columns, null where a cell is empty; rows that cannot be read go to `reading`.

    Raises DataError where the first line is no header or there is no row, SchemaError where two columns have one name.
    """
    trial = sniff(path, encoding, separator, reading.name)
    if not trial.header:
        raise DataError(
            f"{reading.name}, header",
            expected="the names of the columns",
            found="a line that cannot be read, since a quote in it is not closed",
            action="Mend the header",
        )
    names = column_names(trial.header, reading.name)
    if any(map(LONE_SURROGATE.search, names)):
        raise DataError(
            f"{reading.name}, header",
            expected=f"text in {encoding.label}",
            found="bytes that are none",
            action="Set data.encoding to the encoding of the file",
        )
    rows = _rows_below(path, encoding, trial, reading.name)
    if decimal is None and trial.dialect.separator not in (None, ","):  # there, quotes enclose lists of numbers, too
        readable = [cells for cells in rows if not any(map(LONE_SURROGATE.search, cells))]
        reading.decimal = recognise(pl.DataFrame(readable, schema=dict.fromkeys(names, pl.String), orient="row"))
    else:
        reading.decimal = decimal or "point"
    describe(trial, encoding, separator, decimal, reading)
    finished = with_points if reading.decimal == "comma" else _as_it_is
    with open_text(path, encoding) as stream, cell_limit():
        records = parse(stream, trial.dialect)
        next(records)
        batch = Batch(names, encoding, reading)
        for number, (found, problem, size) in enumerate(without_blanks(records, len(names)), start=1):
            cells = fitted(found, len(names))
            if problem:
                reading.reject(number, "", problem)
            elif len(cells) != len(names):
                reading.reject(number, "", f"it has {len(cells)} cells where the header has {len(names)}")
            elif cells == trial.header and len(names) > 1:
                reading.reject(number, "", "it repeats the header")
            else:
                batch.add(number, cells, size)
            if batch.is_full():
                yield finished(batch.to_frame())
                batch = Batch(names, encoding, reading)
            if len(reading.rejected) > HOPELESS_ROWS and 2 * len(reading.rejected) > number:
                break
        if batch.numbers:
            yield finished(batch.to_frame())


def _as_it_is(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


class Batch:
    """Rows on their way to a frame, held cell after cell: lists of lists would keep the garbage collector busy."""

    def __init__(self, names: list[str], encoding: Encoding, reading: Reading) -> None:
        self.names, self.encoding, self.reading = names, encoding, reading
        self.numbers: list[int] = []
        self.cells: list[str] = []
        self.characters = 0

    def add(self, number: int, cells: list[str], size: int) -> None:
        self.numbers.append(number)
        self.cells += cells
        self.characters += size

    def is_full(self) -> bool:
        return len(self.numbers) >= BATCH_ROWS or self.characters >= BATCH_CHARACTERS

    def to_frame(self) -> pl.DataFrame:
        """Return the rows as strings, null where a cell is empty, and reject those with a cell that is not text."""
        bad = self._undecodable() if self.encoding.is_damaged else {}
        columns = {name: self.cells[place :: len(self.names)] for place, name in enumerate(self.names)}
        frame = pl.DataFrame(columns, schema=dict.fromkeys(self.names, pl.String))
        has_nul = frame.select(pl.all().str.contains("\0", literal=True).any()).row(0)
        for name in (name for name, holds in zip(self.names, has_nul, strict=True) if holds):
            for position in frame[name].str.contains("\0", literal=True).arg_true():
                bad.setdefault(position, (name, "the cell holds a NUL character"))
        for position, (name, reason) in bad.items():
            self.reading.reject(self.numbers[position], name, reason)
        if bad:
            kept = [position for position in range(len(self.numbers)) if position not in bad]
            frame, self.numbers = frame[kept], [self.numbers[position] for position in kept]
        self.reading.accept(self.numbers)
        return frame.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())

    def _undecodable(self) -> dict[int, tuple[str, str]]:
        """Find the cells with bytes that did not decode, and empty them, since no frame can hold them."""
        bad: dict[int, tuple[str, str]] = {}
        for place, cell in enumerate(self.cells):
            if LONE_SURROGATE.search(cell):
                position, column = divmod(place, len(self.names))
                bad[position] = (self.names[column], f"the cell holds bytes that are not {self.encoding.label}")
                self.cells[place] = ""
        return bad


def column_names(header: list[str], name: str) -> list[str]:
    """Return the names of the columns: stripped, `column_3` where the third is empty, and `Unnamed: 0` where the first
    is."""
    found = [cell.removeprefix("\ufeff").strip() for cell in header]
    names = [name or (f"column_{place + 1}" if place else INDEX) for place, name in enumerate(found)]
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise SchemaError(
            f"{name}, header",
            expected="a name of its own for each column",
            found=f"{listed(twice)} more than once",
            action="Rename the columns; where the file has no header, add one",
        )
    return names


def describe(
    trial: Trial, encoding: Encoding, separator: str | None, decimal: Decimal | None, reading: Reading
) -> None:
    """Note what was chosen for the user and is not what a CSV file usually is."""
    dialect = trial.dialect
    is_told = encoding.is_sniffed and encoding.label != "UTF-8"
    how = []
    if separator is None and dialect.separator and (is_told or dialect.separator != ","):
        mark = shown(dialect.separator)
        if is_told:
            how.append(
                sentence(
                    "read.both", "as {encoding} with separator {separator}", encoding=encoding.label, separator=mark
                )
            )
        else:
            how.append(sentence("read.separator", "with separator {separator}", separator=mark))
    elif is_told:
        how.append(sentence("read.encoding", "as {encoding}", encoding=encoding.label))
    if decimal is None and reading.decimal == "comma":
        how.append(sentence("read.decimal", "with decimal commas"))
    if dialect.skips_spaces:
        how.append(sentence("read.spaces", "without the spaces after separators"))
    if dialect.escapes:
        how.append(sentence("read.escapes", "with backslashes as escapes"))
    if dialect.quote is None:
        how.append(sentence("read.quotes", "with quotes as ordinary characters"))
    if dialect.quote == "'":
        how.append(sentence("read.single_quotes", "with single quotes around cells"))
    if dialect.mends:
        how.append(sentence("read.mended", "with the quotes that lines have lost at their ends"))
    if dialect.declared:
        how.append(sentence("read.declared", "without the first line, which names the separator"))
    if trial.is_trailing:
        how.append(sentence("read.trailing", "without the empty cells behind the last column"))
    if how:
        reading.notes.append(sentence("read.table", "{name}: read {how}", name=reading.name, how=how))


def _rows_below(path: Path, encoding: Encoding, trial: Trial, name: str) -> list[list[str]]:
    """Return the first rows that are as long as the header. Raises DataError where that does not name the columns."""
    records = first_records(path, encoding, trial.dialect)[1:]
    rows = [cells for cells, _, _ in records if len(cells) == len(trial.header)]
    if trial.dialect.separator is not None:
        check_header(trial.header, rows, name)
        return rows
    for separator in SEPARATORS:  # a line without one may stand above a table
        records = first_records(path, encoding, replace(trial.dialect, separator=separator))[1:]
        width, count = Counter(len(cells) for cells, _, _ in records).most_common(1)[0] if records else (0, 0)
        if width >= TITLE_WIDTH and count >= LEAST_ROWS and count >= (1 - REJECTED_LIMIT) * len(records):
            refuse_title(trial.header[0], next(cells for cells, _, _ in records if len(cells) == width), name)
    return rows
