"""How a table in text tells its cells apart: the dialect is sniffed on the first rows, and records are parsed by it.

The standard library's reader does the parsing, in its strict mode: it is exact about record boundaries, and it stops at
a stray quote where lenient readers swallow the rows behind it.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from luban.core.errors import ConfigError, DataError
from luban.data.encodings import MAX_LINE, Encoding, next_line, open_text
from luban.data.table import REJECTED_LIMIT

SEPARATORS = (",", "\t", ";", "|")
NO_SEPARATOR = "\ud800"  # of a single column: half of a surrogate pair, which no decoded text holds
SPELLED_OUT = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
DECLARED = re.compile(r'^\ufeff?"?sep=(.)"?[\r\n]*$', re.IGNORECASE)  # the first line that Excel obeys
MAX_CELL = 16 * 2**20  # characters
SNIFFED_ROWS, SNIFFED_CHARACTERS = 1_000, 4 * 2**20
# Lines behind a quote that is never closed are read again. When so many characters have been, a record ends at the
# latest after so many lines, so that the time stays linear in the size of the file.
READ_AGAIN, LINES_A_RECORD = 64 * 2**20, 100
MENDED_SHARE = 0.9  # of the lines with quotes have lost some at their ends
Record = tuple[list[str], str, int]  # its cells, why it cannot be read where that is so, its size in characters


@dataclass(frozen=True)
class Dialect:
    """How a file tells its cells apart.

    separator: None for a single column. quote: what encloses cells, None for nothing. skips_spaces: those after a
    separator are not part of the cell. escapes: a backslash makes the next character an ordinary one. mends: quotes
    that a line has lost at its ends are put back. declared: the first line only says what the separator is.
    """

    separator: str | None = None
    quote: str | None = '"'
    skips_spaces: bool = False
    escapes: bool = False
    mends: bool = False
    declared: bool = False

    def reader_options(self) -> dict[str, Any]:
        return {
            "delimiter": self.separator or NO_SEPARATOR,
            "quotechar": self.quote or '"',
            "quoting": csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            "skipinitialspace": self.skips_spaces,
            "escapechar": "\\" if self.escapes else None,
            "strict": True,
        }


STYLES = (Dialect(), Dialect(skips_spaces=True), Dialect(escapes=True))  # the first of equals wins
SINGLE_QUOTED = tuple(replace(style, quote="'") for style in STYLES)
MENDED, UNQUOTED = Dialect(mends=True), Dialect(quote=None)


@dataclass(frozen=True)
class Trial:
    """How a dialect fits the first rows.

    header: the names of the columns, without empty ones behind the last where no row has a cell there. is_trailing:
    there are empty cells behind the last column. consistency: share of the rows with as many cells as the header.
    """

    dialect: Dialect
    header: list[str]
    num_rows: int
    consistency: float
    is_trailing: bool = False


def sniff(path: Path, encoding: Encoding, separator: str | None, name: str) -> Trial:
    """Return the dialect under which the first rows agree best with the header.

    Raises DataError where there is no header, or where the separator that is set is not the file's.
    """
    declared = _declared(path, encoding)
    wanted = declared if separator is None else _separator(separator)
    best = partial(_best_style, path, encoding, declared is not None)
    single = best(None)
    if single is None:
        raise DataError(
            name, expected="a table with a header", found="an empty file", action="Check how the file was written"
        )
    several = [
        trial
        for candidate in ((wanted,) if wanted else SEPARATORS)
        if (trial := best(candidate)) is not None and len(trial.header) > 1
    ]
    if separator is not None and wanted and not several:
        sniffed = sniff(path, encoding, None, name)
        if sniffed.dialect.separator:
            raise DataError(
                name,
                expected=f"the separator {shown(wanted)}, as data.separator says",
                found=f"{shown(sniffed.dialect.separator)} in the header",
                action="Correct data.separator, or leave it out to have it recognised",
            )
    return max(several, key=lambda trial: (trial.consistency, len(trial.header)), default=single)


def is_table(path: Path, encoding: Encoding) -> bool:
    """Tell a table from prose: names in the header, and as many cells in nearly all of the first rows."""
    if _best_style(path, encoding, False, None) is None:
        return False
    trial = sniff(path, encoding, None, path.name)
    names = trial.header
    are_names = len(set(names)) == len(names) and all(name and name == name.strip() for name in names)
    return len(names) > 1 and are_names and trial.num_rows > 0 and trial.consistency >= 1 - REJECTED_LIMIT


def fitted(cells: list[str], width: int) -> list[str]:
    """Return a row without the empty cells behind the last column."""
    return cells[:width] if len(cells) > width and not any(map(str.strip, cells[width:])) else cells


class Lines:
    """The lines of a stream, which remember the record that they make up, so that it can be begun again.

    finish: what is done to each line. most: characters after which the stream counts as ended. is_cut: it was.
    """

    def __init__(self, stream: TextIO, finish: Callable[[str], str] | None = None, most: int | None = None) -> None:
        self._read = partial(next_line, stream)
        self._finish = finish
        self._pending: deque[str] = deque()
        self._left, self._again = most, READ_AGAIN if most is None else most
        self.record: list[str] = []
        self.is_cut = False

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if self._again < 0 and len(self.record) >= LINES_A_RECORD:
            raise csv.Error("unexpected end of data")
        line = self._pending.popleft() if self._pending else self._fresh()
        if not line:
            raise StopIteration
        self.record.append(line)
        return line

    def _fresh(self) -> str:
        if self._left is not None and self._left < 0:
            self.is_cut = True
            return ""
        line = self._read()
        if self._left is not None:
            self._left -= len(line)
        return line if self._finish is None or not line else self._finish(line)

    def put_back(self) -> None:
        """Give the lines of the record again, all but the first."""
        self._again -= sum(map(len, self.record[1:]))
        self._pending.extendleft(reversed(self.record[1:]))


def parse(stream: TextIO, dialect: Dialect, most: int | None = None) -> Iterator[Record]:
    """Yield the records of a stream. most: characters after which it ends, with the last whole record.

    After one that cannot be read, reading goes on at the line after its first, so that an open quote costs one row.
    """
    if dialect.declared:
        next_line(stream)
    separator = dialect.separator
    lines = Lines(stream, partial(_mended, separator=separator) if dialect.mends and separator else None, most)
    options = dialect.reader_options()
    reader = csv.reader(lines, **options)
    while True:
        lines.record.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if lines.is_cut and "unexpected end" in str(error) and len(lines.record) < LINES_A_RECORD:
                return
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


def first_records(path: Path, encoding: Encoding, dialect: Dialect) -> list[Record]:
    with open_text(path, encoding) as stream, cell_limit():
        return list(islice(parse(stream, dialect, SNIFFED_CHARACTERS), SNIFFED_ROWS + 1))


def without_blanks(records: Iterable[Record], width: int) -> Iterator[Record]:
    """Leave out what are blank lines of a table of several columns."""
    for cells, problem, size in records:
        if width == 1 or len(cells) != 1 or cells[0].strip():
            yield cells, problem, size


def shown(separator: str) -> str:
    return "tab" if separator == "\t" else f"'{separator}'"


def _reason(error: str, num_lines: int) -> str:
    if "field larger" in error:
        within = f"{MAX_CELL:,} characters"
        return f"a quote is not closed within {within}" if num_lines > 1 else f"a cell is longer than {within}"
    if "unexpected end" in error:
        return "a quote is opened and never closed"
    if "expected after" in error:
        return "a quote is not closed, or a quote inside a quoted cell is not doubled"
    return error


def _mended(line: str, separator: str) -> str:
    """Return a line with the quotes that were taken off its ends: the first one in it closes a cell, the last opens
    one."""
    body = line.rstrip("\r\n")
    lost_first, lost_last = _lost_quotes(body, separator)
    return ('"' if lost_first else "") + body + ('"' if lost_last else "") + line[len(body) :]


def _lost_quotes(body: str, separator: str) -> tuple[bool, bool]:
    first, last = body.find('"'), body.rfind('"')
    if first < 0:
        return False, False
    lost_first = first > 0 and body[first - 1] != separator and body[first + 1 : first + 2] in ("", separator)
    lost_last = last < len(body) - 1 and body[last - 1 : last] in ("", separator)
    return lost_first, lost_last


def _best_style(path: Path, encoding: Encoding, declared: bool, separator: str | None) -> Trial | None:
    """Return the way of quoting that suits a separator best; None where the file has no header."""
    attempt = partial(_try, path, encoding, separator, declared)
    best = _best_of(attempt, STYLES)
    if best is None:
        return None
    records = first_records(path, encoding, replace(best.dialect, quote=None))
    if any(cell.lstrip().startswith("'") for cells, _, _ in records for cell in cells):
        single = _best_of(attempt, SINGLE_QUOTED)
        if single is not None and single.num_rows and _encloses(best, single, [cells for cells, _, _ in records]):
            best = single
    if best.consistency >= 1 - REJECTED_LIMIT:  # a stray quote or two do not make a file unquoted
        return best
    for style in ((MENDED,) if separator and _lose_quotes(path, encoding, separator) else (), (UNQUOTED,)):
        other = _best_of(attempt, style)
        if other is not None and other.consistency > best.consistency:
            best = other
    return best


def _best_of(attempt: Callable[[Dialect], Trial | None], styles: Sequence[Dialect]) -> Trial | None:
    best: Trial | None = None
    for style in styles:
        trial = attempt(style)
        if trial is not None and (best is None or trial.consistency > best.consistency):
            best = trial
        if best is None or best.consistency == 1.0:
            return best
    return best


def _encloses(plain: Trial, single: Trial, rows: list[list[str]]) -> bool:
    """Tell whether single quotes enclose cells: more rows are as long as the header then, or whole columns, or all
    names, stand in them."""
    if single.consistency != plain.consistency:
        return single.consistency > plain.consistency
    columns = list(zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True))
    return any(_stand_in(cells, "'") for cells in (rows[0], *columns))


def _stand_in(cells: Sequence[str], quote: str) -> bool:
    written = [cell.strip() for cell in cells if cell.strip()]
    return len(written) > 1 and all(len(cell) > 1 and cell[0] == cell[-1] == quote for cell in written)


def _lose_quotes(path: Path, encoding: Encoding, separator: str) -> bool:
    """Tell whether nearly all of the first lines with quotes have lost some at their ends."""
    with open_text(path, encoding) as stream:
        lines = [line.rstrip("\r\n") for line in islice(Lines(stream, most=SNIFFED_CHARACTERS), SNIFFED_ROWS + 1)]
    quoted = [line for line in lines[1:] if '"' in line]
    ends = [_lost_quotes(line, separator) for line in quoted]
    lost = [all(at) or (any(at) and f'"{separator}"' in line) for line, at in zip(quoted, ends, strict=True)]
    return sum(lost) >= MENDED_SHARE * max(len(quoted), 1)


def _try(path: Path, encoding: Encoding, separator: str | None, declared: bool, style: Dialect) -> Trial | None:
    dialect = replace(style, separator=separator, declared=declared)
    records = first_records(path, encoding, dialect)
    if not records:
        return None
    header, problem, _ = records[0]
    rows = [cells for cells, _, _ in without_blanks(records[1:], len(header))]
    named = header
    while len(named) > 1 and not named[-1].strip():
        named = named[:-1]
    beyond = [cells[len(named) :] for cells in rows]
    if any(cell.strip() for cells in beyond for cell in cells):
        named = header  # the last column has cells, but no name
    is_hopeless = bool(problem) or (dialect.quote is None and _quotes_enclose([header, *rows]))
    fitting = sum(len(fitted(cells, len(named))) == len(named) for cells in rows)
    consistency = fitting / len(rows) if rows else 1.0
    is_trailing = len(named) < len(header) or any(len(cells) > len(fitted(cells, len(named))) for cells in rows)
    return Trial(dialect, named, len(rows), 0.0 if is_hopeless else consistency, is_trailing)


def _quotes_enclose(rows: list[list[str]]) -> bool:
    """Tell whether cells that were read with quotes as ordinary characters are enclosed in them more often than not."""
    quoted = [cell for cells in rows for cell in cells if cell.startswith('"')]
    enclosed = sum(len(cell) > 1 and cell.endswith('"') for cell in quoted)
    return 2 * enclosed > len(quoted)


def _declared(path: Path, encoding: Encoding) -> str | None:
    """Return the separator that the first line names, as in `sep=;`."""
    with open_text(path, encoding) as stream:
        found = DECLARED.match(stream.readline(32))
    return found[1] if found else None


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
