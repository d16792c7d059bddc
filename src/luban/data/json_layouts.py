"""JSON that is not one object a line: arrays, tables under a name, tables by column, objects over several lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from luban.core.errors import DataError, listed
from luban.core.sentence import Sentence, sentence
from luban.data.encodings import Encoding, open_text

INT64 = range(-(2**63), 2**63)
MAX_DIGITS = 40  # a longer number is read as a float at once
MAX_CHARACTERS = 512 * 2**20  # of a file that is parsed as a whole
MAX_DEPTH = 3  # of objects around a table
BETWEEN = re.compile(r"[\s,]*")
JSON_LINES = "Write it as JSON Lines, one object a line"


def read_rows(path: Path, encoding: Encoding, name: str) -> tuple[list[Any], Sentence]:
    """Return the rows of a file, and how it is laid out where it is no array of objects.

    Raises DataError where it is no JSON, too large to be parsed at once, or of a layout that is no table.
    """
    with open_text(path, encoding) as stream:
        content = stream.read(MAX_CHARACTERS + 1).removeprefix("\ufeff")
    if len(content) > MAX_CHARACTERS:
        raise DataError(
            name, expected=f"JSON of at most {MAX_CHARACTERS:,} characters", found="more", action=JSON_LINES
        )
    values = _values(content, name)
    if len(values) == 1:
        return _table(values[0], name)
    if all(isinstance(value, list) for value in values):
        return _table(values, name)
    return values, sentence("read.json_objects", "as objects one behind the other")


def decode(text: str) -> Any:
    return DECODER.decode(text)


def _values(content: str, name: str) -> list[Any]:
    """Return the JSON values that follow each other."""
    values = []
    place = BETWEEN.match(content).end()  # type: ignore[union-attr]
    while place < len(content):
        try:
            value, place = DECODER.raw_decode(content, place)
        except (ValueError, RecursionError) as error:
            raise DataError(
                name,
                expected="a JSON array of objects" if content.lstrip().startswith("[") else "JSON objects",
                found=f"an error ({error})",
                action="Mend the file, or write it as JSON Lines, one object a line",
            ) from error
        values.append(value)
        place = BETWEEN.match(content, place).end()  # type: ignore[union-attr]
    return values


def _table(value: Any, name: str) -> tuple[list[Any], Sentence]:
    """Find the rows in a JSON value."""
    if isinstance(value, list):
        if value and all(isinstance(row, list) for row in value):
            return _named(value[0], value[1:], name), sentence("read.json_arrays", "as arrays below one of names")
        return value, Sentence()
    if not isinstance(value, dict):
        raise DataError(name, expected="JSON objects", found=f"one value, {value!r:.40}", action=JSON_LINES)
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        rows = _named(value["columns"], value["data"], name)
        return rows, sentence("read.json_split", "as arrays below 'columns' and 'data'")
    if (found := _inside(value, name)) is not None:
        keys, rows = found
        return rows, sentence("read.json_inside", "the objects below {key}", key=f"'{'.'.join(keys)}'")
    cells = list(value.values())
    if cells and all(isinstance(cell, dict) and cell for cell in cells):
        return _by_keys(value)
    lengths = {len(cell) for cell in cells if isinstance(cell, list)}
    if cells and all(isinstance(cell, list) for cell in cells) and len(lengths) == 1 and lengths != {0}:
        rows = [dict(zip(value, row, strict=True)) for row in zip(*cells, strict=True)]
        return rows, sentence("read.json_columns", "as columns of cells")
    return [value], Sentence()


def _named(names: Any, rows: Sequence[Any], name: str) -> list[Any]:
    """Make objects of arrays. Raises DataError where nothing names their cells."""
    are_names = bool(names) and all(isinstance(cell, str) and cell.strip() for cell in names)
    if not are_names or len(set(names)) < len(names):
        raise DataError(
            name,
            expected="JSON objects, or arrays below an array of different names",
            found=f"arrays such as {json.dumps(names, ensure_ascii=False)[:60]}",
            action=JSON_LINES,
        )
    fitting = [isinstance(row, list) and len(row) == len(names) for row in rows]
    return [dict(zip(names, row, strict=True)) if fits else row for row, fits in zip(rows, fitting, strict=True)]


def _inside(value: dict[str, Any], name: str) -> tuple[list[str], list[Any]] | None:
    """Return the keys of the outermost array of objects, and the array. Raises DataError where there are several."""
    level: list[tuple[list[str], dict[str, Any]]] = [([], value)]
    for _ in range(MAX_DEPTH):
        members = [([*keys, key], cell) for keys, members in level for key, cell in members.items()]
        found = [(keys, cell) for keys, cell in members if _are_objects(cell)]
        if len(found) > 1:
            raise DataError(
                name,
                expected="one array of objects",
                found=listed(".".join(keys) for keys, _ in found),
                action=JSON_LINES,
            )
        if found:
            return found[0]
        level = [(keys, cell) for keys, cell in members if isinstance(cell, dict)]
    return None


def _are_objects(cell: Any) -> bool:
    return isinstance(cell, list) and bool(cell) and all(isinstance(row, dict) for row in cell)


def _by_keys(value: dict[str, dict[str, Any]]) -> tuple[list[Any], Sentence]:
    """Read a table whose cells stand below two keys: that of the column and that of the row, or the other way round.

    Numbers that count are keys of rows; where both sides have them or neither has, there are more rows than columns.
    """
    inner = list(dict.fromkeys(key for cells in value.values() for key in cells))
    outer_counts, inner_counts = (all(key.isdecimal() for key in keys) for keys in (value, inner))
    if inner_counts != outer_counts:
        by_column = inner_counts
    else:
        by_column = len(inner) >= len(value)
    if not by_column:
        return list(value.values()), sentence("read.json_rows", "as rows below their keys")
    rows = [{column: cells[key] for column, cells in value.items() if key in cells} for key in inner]
    return rows, sentence("read.json_columns_keys", "as columns of cells below the keys of rows")


def _number(digits: str) -> int | float:
    """Return a whole number, as a float where 64 bits do not hold it, as most readers of JSON do."""
    if len(digits) < MAX_DIGITS and int(digits) in INT64:
        return int(digits)
    return float(digits)


DECODER = json.JSONDecoder(parse_int=_number)


def is_lines(lines: Iterator[str]) -> bool:
    """Tell by the first lines that are not blank whether each is an object: the first is whole, or most are."""
    first = next(lines, "")
    others = list(lines)
    if not others or first.lstrip().startswith("["):
        return False
    whole = [line.strip() for line in (first, *others)]
    ends = [line.startswith("{") and line.endswith("}") for line in whole]
    return (whole[0].startswith("{") and whole[0].endswith(("}", "},"))) or 2 * sum(ends) >= len(ends)
