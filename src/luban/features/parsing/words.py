"""Texts as lists of words, each with its place: given as lists, or split at spaces and punctuation."""

from __future__ import annotations

import re

import polars as pl

from luban.features.cells import strings

WORD = r"\w+|[^\w\s]"  # a run of letters and digits, or one sign


def is_listed(cells: pl.Series) -> bool:
    """Tell whether cells are lists of words already."""
    return isinstance(cells.dtype, pl.List | pl.Array)


def words_of(cells: pl.Series) -> pl.Series:
    """Return the words of each cell, a list of strings; null where the cell is missing or empty."""
    if is_listed(cells):
        words = cells.cast(pl.List(pl.String))
        return words.set(words.list.len() == 0, None) if len(words) else words
    texts = cells.cast(pl.String)
    words = texts.str.extract_all(WORD)
    return words.set((words.list.len() == 0).fill_null(value=True), None) if len(words) else words


def spaced(cells: pl.Series) -> pl.Series:
    """Return texts, those of lists with spaces between the words."""
    return words_of(cells).list.join(" ") if is_listed(cells) else strings(cells)


def places_of(text: str) -> list[tuple[int, int]]:
    """Return where each word of a text starts and ends, in characters."""
    return [match.span() for match in re.finditer(WORD, text)]
