"""What a slice, or a group of rows, is called: `city is 'Rome' and age is 51 to 80`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from luban.report.language.words import Words

BIN = re.compile(r"(?P<low>\S+)(?: to (?P<high>\S+))?(?: (?P<unit>words|characters|long))?")


def slice_name(item: Mapping[str, Any], words: Words) -> str:
    """Return what a slice of `metrics.json` is, its columns told apart by its parts.

    A file of a version that wrote no parts is read as one column with one value.
    """
    parts = item.get("parts") or [item]
    texts = [
        words.plain("slice.part", column=part["column"], value=value_name(str(part["value"]), words)) for part in parts
    ]
    return words.plain("slice.joint").join(texts)


def value_name(value: str, words: Words) -> str:
    """Return a value in the marks of a language: data are in quotation marks, all else is a word of ours or a bin."""
    if is_quoted(value):
        return words.plain("slice.quoted", value=value[1:-1])
    if words.has(f"slice.{value}"):
        return words.plain(f"slice.{value}")
    found = BIN.fullmatch(value)
    if found is None:
        return value
    low, high, unit = found["low"], found["high"], found["unit"]
    return words.plain(
        f"slice.{unit or 'bin'}", value=low if high is None else words.plain("slice.range", low=low, high=high)
    )


def is_quoted(value: str) -> bool:
    return len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""


def unquoted(value: object) -> str:
    """Return a value without the quotation marks that tell it from words of ours."""
    text = str(value)
    return text[1:-1] if is_quoted(text) and len(text) > 2 else text


def group_name(value: object, words: Words) -> str:
    """Return a group in the language of the page: data without quotation marks, all else a word of ours or a bin."""
    text = str(value)
    return unquoted(text) if is_quoted(text) else value_name(text, words)


def between(values: list[str], words: Words) -> str:
    return " / ".join(group_name(value, words) for value in values)
