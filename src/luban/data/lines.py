"""Files of one row a line: plain text and JSON Lines; and JSON arrays of objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from luban.core.errors import DataError
from luban.core.sentence import sentence
from luban.data.batches import BATCH_CHARACTERS, BATCH_ROWS, Reading, clashing_columns
from luban.data.encodings import LONE_SURROGATE, MAX_LINE, Encoding, next_line, open_text

TEXT_COLUMN = "text"
INT64 = range(-(2**63), 2**63)
MAX_DIGITS = 40  # a longer number is read as a float at once
MAX_ARRAY_BYTES = 512 * 2**20  # an array is one JSON value, which is parsed as a whole
Row = tuple[int, Any, int, str]  # its number, its content, its size in characters, why it cannot be read


def read_text(path: Path, encoding: Encoding, reading: Reading) -> Iterator[pl.DataFrame]:
    """Yield batches of the column `text`: the lines that are not blank, numbered by their place in the file."""
    if encoding.is_sniffed and encoding.label != "UTF-8":
        note = sentence(
            "read.lines_encoding",
            "{name}: read as plain text in {encoding}, one row a line that is not blank",
            name=reading.name,
            encoding=encoding.label,
        )
    else:
        note = sentence("read.lines", "{name}: read as plain text, one row a line that is not blank", name=reading.name)
    reading.notes.append(note)
    lines = ((number, line, len(line), _unreadable(line, encoding)) for number, line in _lines(path, encoding))
    for numbers, cells in _batches(lines, reading, TEXT_COLUMN):
        reading.accept(numbers)
        yield pl.DataFrame({TEXT_COLUMN: cells}, schema={TEXT_COLUMN: pl.String})


def read_json(path: Path, encoding: Encoding, reading: Reading) -> Iterator[pl.DataFrame]:
    """Yield batches of the rows of a JSON Lines file or of a JSON array of objects.

    The types of the columns are those of the values; a column of numbers and text is text. Raises DataError where the
    file is one JSON value that is no array of objects.
    """
    with open_text(path, encoding) as stream:
        is_array = stream.read(1024).lstrip("\ufeff \t\r\n").startswith("[")
    objects = _array(path, encoding, reading.name) if is_array else _object_lines(path, encoding)
    for numbers, rows in _batches(objects, reading, ""):
        reading.accept(numbers)
        with clashing_columns(reading.name):
            yield pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _lines(path: Path, encoding: Encoding) -> Iterator[tuple[int, str]]:
    with open_text(path, encoding) as stream:
        for number, line in enumerate(iter(partial(next_line, stream), ""), start=1):
            text = line.rstrip("\r\n").removeprefix("\ufeff")
            if text.strip():
                yield number, text


def _unreadable(line: str, encoding: Encoding) -> str:
    if encoding.is_damaged and LONE_SURROGATE.search(line):
        return f"the line holds bytes that are not {encoding.label}"
    if "\0" in line:
        return "the line holds a NUL character"
    return f"the line is longer than {MAX_LINE:,} characters" if len(line) >= MAX_LINE else ""


def _batches(rows: Iterable[Row], reading: Reading, column: str) -> Iterator[tuple[list[int], list[Any]]]:
    numbers: list[int] = []
    batch: list[Any] = []
    characters = 0
    for number, row, size, problem in rows:
        if problem:
            reading.reject(number, column, problem)
            continue
        numbers.append(number)
        batch.append(row)
        characters += size
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield numbers, batch
            numbers, batch, characters = [], [], 0
    if batch:
        yield numbers, batch


def _object_lines(path: Path, encoding: Encoding) -> Iterator[Row]:
    for number, line in _lines(path, encoding):
        problem = _unreadable(line, encoding)
        row: Any = None
        if not problem:
            try:
                row = _decode(line)
            except (ValueError, RecursionError) as error:
                problem = f"the line is not JSON ({error})"
        yield number, row, len(line), problem or _not_a_row(row)


def _array(path: Path, encoding: Encoding, name: str) -> Iterator[Row]:
    if path.stat().st_size > MAX_ARRAY_BYTES:
        raise DataError(
            name,
            expected=f"a JSON array of at most {MAX_ARRAY_BYTES:,} bytes",
            found=f"{path.stat().st_size:,}",
            action="Write it as JSON Lines, one object a line",
        )
    with open_text(path, encoding) as stream:
        content = stream.read().removeprefix("\ufeff")
    try:
        rows = _decode(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            name,
            expected="a JSON array of objects",
            found=f"an error ({error})",
            action="Mend the file, or write it as JSON Lines, one object a line",
        ) from error
    for number, row in enumerate(rows, start=1):
        yield number, row, 0, _not_a_row(row)


def _not_a_row(row: object) -> str:
    if not isinstance(row, dict):
        return f"expected a JSON object, found {type(row).__name__}"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "a cell holds half of a surrogate pair"
    return ""


def _decode(text: str) -> Any:
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int | float:
    """Return a whole number, as a float where 64 bits do not hold it, as most readers of JSON do."""
    if len(digits) < MAX_DIGITS and int(digits) in INT64:
        return int(digits)
    return float(digits)
