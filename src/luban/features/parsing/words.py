"""Texts as lists of words, each with its place: given as lists, or split at spaces and punctuation."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from luban.features.cells import CJK, strings

# A Chinese or Japanese character, since nothing parts the words there; a run of other letters and digits; or one sign.
WORD = rf"{CJK}|[\w--{CJK}]+|[^\w\s]"


def is_listed(cells: pl.Series) -> bool:
    """Tell whether cells are lists of words already."""
    dtype = cells.dtype
    if not isinstance(dtype, pl.List | pl.Array):
        return False
    return not dtype.inner.is_nested() and dtype.inner not in (pl.Binary, pl.Object)


def words_of(cells: pl.Series) -> pl.Series:
    """Return the words of each cell, a list of strings; null where the cell is missing or empty."""
    if is_listed(cells):
        words = cells.cast(pl.List(pl.String)).list.eval(pl.element().fill_null(""))
        return words.set(words.list.len() == 0, None) if len(words) else words
    texts = cells if cells.dtype == pl.String else strings(cells)
    words = texts.str.extract_all(WORD)
    return words.set((words.list.len() == 0).fill_null(value=True), None) if len(words) else words


def spaced(cells: pl.Series) -> pl.Series:
    """Return texts, those of lists with spaces between the words."""
    return words_of(cells).list.join(" ") if is_listed(cells) else strings(cells)


def places_of(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Return where each word of a text starts and ends, in characters. words: all of the text's, in order."""
    places, last = [], 0
    for word in words:
        start = text.index(word, last)
        last = start + len(word)
        places.append((start, last))
    return places
