"""Tables in text, CSV and its relatives: the dialect is sniffed, and no row is dropped without being said.

The standard library's reader does the parsing, in its strict mode: it is exact about record boundaries, and it stops at
a stray quote where lenient readers swallow the rows behind it.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from luban.core.errors import ConfigError, DataError, SchemaError, listed
from luban.core.sentence import sentence
from luban.data.batches import BATCH_CHARACTERS, BATCH_ROWS, Reading
from luban.data.decimals import Decimal, recognise, with_points
from luban.data.encodings import LONE_SURROGATE, MAX_LINE, Encoding, next_line, open_text
from luban.data.header import LEAST_ROWS, TITLE_WIDTH, check_header, refuse_title
from luban.data.table import REJECTED_LIMIT

SEPARATORS = (",", "\t", ";", "|")
NO_SEPARATOR = "\ud800"  # of a single column: half of a surrogate pair, which no decoded text holds
SPELLED_OUT = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
MAX_CELL = 16 * 2**20  # characters
SNIFFED_ROWS = 1_000
HOPELESS_ROWS = 10_000  # so many rejected rows, and more than are read: the dialect is not what the file is in


@dataclass(frozen=True)
class Dialect:
    """How a file tells its cells apart.

    separator: None for a single column. is_quoted: quotes enclose cells. skips_spaces: those after a separator are not
    part of the cell. escapes: a backslash makes the next character an ordinary one.
    """

    separator: str | None = None
    is_quoted: bool = True
    skips_spaces: bool = False
    escapes: bool = False

    def reader_options(self) -> dict[str, Any]:
        return {
            "delimiter": self.separator or NO_SEPARATOR,
            "quoting": csv.QUOTE_MINIMAL if self.is_quoted else csv.QUOTE_NONE,
            "skipinitialspace": self.skips_spaces,
            "escapechar": "\\" if self.escapes else None,
            "strict": True,
        }


PLAIN, UNQUOTED = Dialect(), Dialect(is_quoted=False)
STYLES = (PLAIN, Dialect(skips_spaces=True), Dialect(escapes=True))  # the first of equals wins


@dataclass(frozen=True)
class Trial:
    """How a dialect fits the first rows. consistency: share of the rows with as many cells as the header."""

    dialect: Dialect
    header: list[str]
    num_rows: int
    consistency: float


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
    describe(trial.dialect, encoding, separator, decimal, reading)
    finished = with_points if reading.decimal == "comma" else _as_it_is
    with open_text(path, encoding) as stream, cell_limit():
        records = parse(stream, trial.dialect)
        next(records)
        batch = Batch(names, encoding, reading)
        for number, (cells, problem, size) in enumerate(_without_blanks(records, len(names)), start=1):
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
        for name in self.names:
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


def sniff(path: Path, encoding: Encoding, separator: str | None, name: str) -> Trial:
    """Return the dialect under which the first rows agree best with the header.

    Raises DataError where there is no header, or where the separator that is set is not the file's.
    """
    wanted = None if separator is None else _separator(separator)
    single = _best_style(path, encoding, None)
    if single is None:
        raise DataError(
            name, expected="a table with a header", found="an empty file", action="Check how the file was written"
        )
    several = [
        trial
        for candidate in ((wanted,) if wanted else SEPARATORS)
        if (trial := _best_style(path, encoding, candidate)) is not None and len(trial.header) > 1
    ]
    if wanted and not several:
        sniffed = sniff(path, encoding, None, name)
        if sniffed.dialect.separator:
            raise DataError(
                name,
                expected=f"the separator {_shown(wanted)}, as data.separator says",
                found=f"{_shown(sniffed.dialect.separator)} in the header",
                action="Correct data.separator, or leave it out to have it recognised",
            )
    return max(several, key=lambda trial: (trial.consistency, len(trial.header)), default=single)


def is_table(path: Path, encoding: Encoding) -> bool:
    """Tell a table from prose: names in the header, and as many cells in nearly all of the first rows."""
    if _best_style(path, encoding, None) is None:
        return False
    trial = sniff(path, encoding, None, path.name)
    names = trial.header
    are_names = len(set(names)) == len(names) and all(name and name == name.strip() for name in names)
    return len(names) > 1 and are_names and trial.num_rows > 0 and trial.consistency >= 1 - REJECTED_LIMIT


def column_names(header: list[str], name: str) -> list[str]:
    """Return the names of the columns: stripped, `column_3` where the third is empty."""
    names = [cell.removeprefix("\ufeff").strip() or f"column_{place}" for place, cell in enumerate(header, start=1)]
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
    dialect: Dialect, encoding: Encoding, separator: str | None, decimal: Decimal | None, reading: Reading
) -> None:
    """Note what was chosen for the user and is not what a CSV file usually is."""
    is_told = encoding.is_sniffed and encoding.label != "UTF-8"
    how = []
    if separator is None and dialect.separator and (is_told or dialect.separator != ","):
        mark = _shown(dialect.separator)
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
    if not dialect.is_quoted:
        how.append(sentence("read.quotes", "with quotes as ordinary characters"))
    if how:
        reading.notes.append(sentence("read.table", "{name}: read {how}", name=reading.name, how=how))


class Lines:
    """The lines of a stream, which remember the record that they make up, so that it can be begun again."""

    def __init__(self, stream: TextIO) -> None:
        self._read = partial(next_line, stream)
        self._pending: deque[str] = deque()
        self.record: list[str] = []

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else self._read()
        if not line:
            raise StopIteration
        self.record.append(line)
        return line

    def put_back(self) -> None:
        """Give the lines of the record again, all but the first."""
        self._pending.extendleft(reversed(self.record[1:]))


def parse(stream: TextIO, dialect: Dialect) -> Iterator[tuple[list[str], str, int]]:
    """Yield the cells of each record, why it cannot be read where that is so, and its size in characters.

    After one that cannot be read, reading goes on at the line after its first, so that an open quote costs one row.
    """
    lines = Lines(stream)
    options = dialect.reader_options()
    reader = csv.reader(lines, **options)
    while True:
        lines.record.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield [], _reason(str(error), len(lines.record)), 0
            lines.put_back()
            reader = csv.reader(lines, **options)
            continue
        if cells:
            size = sum(map(len, lines.record))
            is_cut = size >= MAX_LINE and any(len(line) >= MAX_LINE for line in lines.record)
            yield cells, f"a line is longer than {MAX_LINE:,} characters" if is_cut else "", size


@contextmanager
def cell_limit() -> Iterator[None]:
    """Set the limit of the standard library's reader, which is one for the whole process, and set it back."""
    before = csv.field_size_limit(MAX_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _reason(error: str, num_lines: int) -> str:
    if "field larger" in error:
        within = f"{MAX_CELL:,} characters"
        return f"a quote is not closed within {within}" if num_lines > 1 else f"a cell is longer than {within}"
    if "unexpected end" in error:
        return "a quote is opened and never closed"
    if "expected after" in error:
        return "a quote is not closed, or a quote inside a quoted cell is not doubled"
    return error


def _without_blanks(records: Iterator[tuple[list[str], str, int]], width: int) -> Iterator[tuple[list[str], str, int]]:
    for cells, problem, size in records:
        if width == 1 or len(cells) != 1 or cells[0].strip():
            yield cells, problem, size


def _best_style(path: Path, encoding: Encoding, separator: str | None) -> Trial | None:
    """Return the way of quoting that suits a separator best; None where the file has no header."""
    best: Trial | None = None
    for style in STYLES:
        trial = _try(path, encoding, replace(style, separator=separator))
        if trial is not None and (best is None or trial.consistency > best.consistency):
            best = trial
        if best is None or best.consistency == 1.0:
            return best
    if best is None or best.consistency >= 1 - REJECTED_LIMIT:  # a stray quote or two do not make a file unquoted
        return best
    unquoted = _try(path, encoding, replace(UNQUOTED, separator=separator))
    return unquoted if unquoted is not None and unquoted.consistency > best.consistency else best


def _rows_below(path: Path, encoding: Encoding, trial: Trial, name: str) -> list[list[str]]:
    """Return the first rows that are as long as the header. Raises DataError where that does not name the columns."""
    records = _first_records(path, encoding, trial.dialect)[1:]
    rows = [cells for cells, _, _ in records if len(cells) == len(trial.header)]
    if trial.dialect.separator is not None:
        check_header(trial.header, rows, name)
        return rows
    for separator in SEPARATORS:  # a line without one may stand above a table
        records = _first_records(path, encoding, replace(trial.dialect, separator=separator))[1:]
        width, count = Counter(len(cells) for cells, _, _ in records).most_common(1)[0] if records else (0, 0)
        if width >= TITLE_WIDTH and count >= LEAST_ROWS and count >= (1 - REJECTED_LIMIT) * len(records):
            refuse_title(trial.header[0], next(cells for cells, _, _ in records if len(cells) == width), name)
    return rows


def _first_records(path: Path, encoding: Encoding, dialect: Dialect) -> list[tuple[list[str], str, int]]:
    with open_text(path, encoding) as stream, cell_limit():
        return list(islice(parse(stream, dialect), SNIFFED_ROWS + 1))


def _try(path: Path, encoding: Encoding, dialect: Dialect) -> Trial | None:
    records = _first_records(path, encoding, dialect)
    if not records:
        return None
    header, problem, _ = records[0]
    rows = list(_without_blanks(iter(records[1:]), len(header)))
    is_hopeless = bool(problem) or (not dialect.is_quoted and _quotes_enclose([cells for cells, _, _ in records]))
    fitting = sum(len(cells) == len(header) for cells, _, _ in rows)
    consistency = fitting / len(rows) if rows else 1.0
    return Trial(dialect, header, len(rows), 0.0 if is_hopeless else consistency)


def _quotes_enclose(rows: list[list[str]]) -> bool:
    """Tell whether cells that were read with quotes as ordinary characters are enclosed in them more often than not."""
    quoted = [cell for cells in rows for cell in cells if cell.startswith('"')]
    enclosed = sum(len(cell) > 1 and cell.endswith('"') for cell in quoted)
    return 2 * enclosed > len(quoted)


def _separator(setting: str) -> str:
    separator = SPELLED_OUT.get(setting.lower(), setting)
    if len(separator) != 1 or separator in '"\\\r\n\0':
        raise ConfigError(
            "data.separator",
            expected="one character, or a word: comma, semicolon, pipe, tab",
            found=repr(setting),
            action="Correct it, or leave it out to have the separator recognised",
        )
    return separator


def _shown(separator: str) -> str:
    return "tab" if separator == "\t" else f"'{separator}'"
