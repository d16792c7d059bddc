"""Files of one row a line: plain text and JSON Lines; and JSON of other layouts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from luban.core.errors import DataError
from luban.core.sentence import sentence
from luban.data.batches import BATCH_CHARACTERS, BATCH_ROWS, Reading, clashing_columns
from luban.data.encodings import LONE_SURROGATE, MAX_LINE, Encoding, next_line, open_text
from luban.data.json_layouts import decode, is_lines, read_rows

TEXT_COLUMN = "text"
LOOKED_LINES, LOOKED_CHARACTERS = 100, 2**20  # of a JSON file, that tell its layout
MOST_CELLS, LEAST_SHARE = 10_000_000, 0.01  # of cells that objects with different keys may make, and that they fill
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
    lines = ((number, line, len(line), unreadable(line, encoding)) for number, line in text_lines(path, encoding))
    for numbers, cells in batched(lines, reading, TEXT_COLUMN):
        reading.accept(numbers)
        yield pl.DataFrame({TEXT_COLUMN: cells}, schema={TEXT_COLUMN: pl.String})


def read_json(path: Path, encoding: Encoding, reading: Reading) -> Iterator[pl.DataFrame]:
    """Yield batches of the rows of a JSON file: one object a line, or one of the layouts of `json_layouts`.

    The types of the columns are those of the values; a column of numbers and text is text. Raises DataError where the
    file is of no such layout, and where nearly every object has keys of its own.
    """
    if is_lines(_first_lines(path, encoding)):
        objects: Iterable[Row] = _object_lines(path, encoding)
    else:
        found, layout = read_rows(path, encoding, reading.name)
        objects = ((number, row, 0, _not_a_row(row)) for number, row in enumerate(found, start=1))
        if layout:
            reading.notes.append(sentence("read.json", "{name}: read {how}", name=reading.name, how=layout))
    keys: set[str] = set()
    num_rows = num_cells = 0
    for numbers, rows in batched(objects, reading, ""):
        keys.update(*rows)
        num_rows, num_cells = num_rows + len(rows), num_cells + sum(map(len, rows))
        _check_keys(len(keys), num_rows, num_cells, reading.name)
        reading.accept(numbers)
        with clashing_columns(reading.name):
            yield pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _check_keys(num_keys: int, num_rows: int, num_cells: int, name: str) -> None:
    if num_keys * num_rows > MOST_CELLS and num_cells < LEAST_SHARE * num_keys * num_rows:
        raise DataError(
            name,
            expected="objects that share their keys, which are the columns",
            found=f"{num_keys:,} keys in {num_rows:,} objects of {num_cells / num_rows:.1f} on average",
            action="Write what differs from object to object as values, not as keys",
        )


def _first_lines(path: Path, encoding: Encoding) -> Iterator[str]:
    size = 0
    for _, line in islice(text_lines(path, encoding), LOOKED_LINES):
        yield line
        size += len(line)
        if size > LOOKED_CHARACTERS:
            return


def text_lines(path: Path, encoding: Encoding, *, blank: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file without their ends, and their numbers. blank: also those with nothing on them."""
    with open_text(path, encoding) as stream:
        for number, line in enumerate(iter(partial(next_line, stream), ""), start=1):
            text = line.rstrip("\r\n").removeprefix("\ufeff")
            if blank or text.strip():
                yield number, text


def unreadable(line: str, encoding: Encoding) -> str:
    """Return why a line cannot be read; nothing where it can."""
    if encoding.is_damaged and LONE_SURROGATE.search(line):
        return f"the line holds bytes that are not {encoding.label}"
    if "\0" in line:
        return "the line holds a NUL character"
    return f"the line is longer than {MAX_LINE:,} characters" if len(line) >= MAX_LINE else ""


def batched(rows: Iterable[Row], reading: Reading, column: str) -> Iterator[tuple[list[int], list[Any]]]:
    """Yield the numbers and the contents of rows batch by batch; those that cannot be read go to `reading`."""
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
    for number, line in text_lines(path, encoding):
        problem = unreadable(line, encoding)
        row: Any = None
        if not problem:
            try:
                row = decode(line[:-1] if line.endswith("},") else line)
            except (ValueError, RecursionError) as error:
                problem = f"the line is not JSON ({error})"
        yield number, row, len(line), problem or _not_a_row(row)


def _not_a_row(row: object) -> str:
    if not isinstance(row, dict):
        return f"expected a JSON object, found {type(row).__name__}"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "a cell holds half of a surrogate pair"
    return ""
