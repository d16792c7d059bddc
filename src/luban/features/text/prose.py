"""How much a column of strings reads like language: what tells text, category and identifier apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import polars as pl

from luban.features.cells import CJK, share, strings

PHRASE_WORDS, SENTENCE_WORDS = 3.0, 5.0
MOST = 0.5
CJK_WORD_CHARACTERS = 2  # a Chinese word is about two characters long


@dataclass(frozen=True)
class Prose:
    """words: the mean number a cell. has_spaces: most cells have several words. has_letters: most cells have some."""

    words: float
    has_spaces: bool
    has_letters: bool

    @property
    def is_phrase(self) -> bool:
        return self.words >= PHRASE_WORDS

    @property
    def is_sentence(self) -> bool:
        return self.words >= SENTENCE_WORDS

    @classmethod
    def of(cls, sample: pl.Series) -> Self:
        cells = strings(sample).drop_nulls()
        if not len(cells):
            return cls(0.0, False, False)
        spaced = cells.str.replace_all(CJK, " ").str.count_matches(r"\S+")
        words = spaced + cells.str.count_matches(CJK) / CJK_WORD_CHARACTERS
        return cls(
            words=float(words.sum()) / len(cells),
            has_spaces=share(cells.str.contains(r"\S\s+\S")) >= MOST,
            has_letters=share(cells.str.contains(r"\p{L}")) >= MOST,
        )
