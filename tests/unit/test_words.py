"""Columns of words: how they are read, and which piece begins each."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from luban.core.tensors import Ragged
from luban.features.base import FitContext
from luban.features.parsing.words import places_of, words_of
from luban.features.text.feature import TextConfig
from luban.features.words import INSIDE, WordsFeature

SENTENCES = [["Anna", "saw", "New", "York"], ["unbelievable", "!"], ["小", "明", "去", "北京"], ["saw", "Anna"]] * 3


def words(sentences: list[Any] = SENTENCES, **settings: Any) -> WordsFeature:
    frame = pl.DataFrame({"tokens": sentences})
    return WordsFeature.fit("tokens", ("tokens",), frame, TextConfig(**settings), FitContext())


def encoded(feature: WordsFeature, cells: pl.Series | list[Any]) -> list[tuple[list[int], list[int]]]:
    """Return the pieces of each row and their marks."""
    series = cells if isinstance(cells, pl.Series) else pl.Series(cells)
    column = feature.encode(pl.DataFrame({"tokens": series})).column
    ragged = feature.prepare(column.take(np.arange(len(series))))
    assert isinstance(ragged, Ragged)
    assert ragged.marks is not None
    sizes = ragged.lengths.tolist()
    parts = zip(torch.split(ragged.values, sizes), torch.split(ragged.marks, sizes), strict=True)
    return [(ids.tolist(), marks.tolist()) for ids, marks in parts]


@pytest.mark.parametrize("tokenizer", ["bpe", "words", "characters"])
def test_the_first_piece_of_each_word_begins_it(tokenizer: str) -> None:
    feature = words(tokenizer=tokenizer)
    tokens = feature.text.encoder.tokenizer
    for row, (ids, marks) in zip(SENTENCES, encoded(feature, SENTENCES), strict=True):
        assert (ids[0], ids[-1]) == (tokens.token_to_id("[CLS]"), tokens.token_to_id("[SEP]"))
        assert marks[0] == marks[-1] == INSIDE
        assert [mark for mark in marks if mark != INSIDE] == list(range(len(row)))
        begins = [place for place, mark in enumerate(marks) if mark != INSIDE]
        for place, word in enumerate(row):
            end = begins[place + 1] if place + 1 < len(row) else len(ids) - 1
            alone = tokens.encode(word, add_special_tokens=False).ids
            assert ids[begins[place] : end] == alone


def test_the_pieces_of_bpe_are_those_of_the_whole_text() -> None:
    feature = words(tokenizer="bpe")
    row = ["Anna", "saw", "unbelievable", "York"]
    assert encoded(feature, [row])[0][0] == feature.text.encoder.tokenizer.encode(" ".join(row)).ids


def test_a_row_is_cut_before_the_first_word_that_does_not_fit() -> None:
    feature = words(tokenizer="characters", max_length=8)  # six characters beside the two ends
    (ids, marks), (whole, begins), (none, no_marks) = encoded(
        feature, [["York", "abc", "x"], ["abc", "abc", "x"], ["unbelievable", "x"]]
    )
    assert (len(ids), marks) == (6, [-1, 0, -1, -1, -1, -1])
    assert (len(whole), begins) == (8, [-1, 0, -1, -1, 1, -1, -1, -1])
    assert (len(none), no_marks) == (2, [-1, -1])
    assert feature.text.cut_share == pytest.approx(0.75)


@pytest.mark.parametrize("tokenizer", ["bpe", "words", "characters"])
@pytest.mark.parametrize("odd", ["", " ", "\u200b", "\ufe0f", "\u0301", "[SEP]", "[PAD]", "😀", "\0", "\u3000"])
def test_each_word_has_a_piece_whatever_it_is(tokenizer: str, odd: str) -> None:
    feature = words(tokenizer=tokenizer)
    ((ids, marks),) = encoded(feature, [["saw", odd, "Anna"]])
    assert [mark for mark in marks if mark != INSIDE] == [0, 1, 2]
    assert len(ids) == len(marks)
    assert not set(ids[1:-1]) & set(feature.text.encoder.control_ids.tolist())


def test_missing_and_empty_cells_have_no_word() -> None:
    feature = words()
    ends = encoded(feature, pl.Series([[], None], dtype=pl.List(pl.String)))
    assert ends[0] == ends[1]
    assert ends[0][1] == [INSIDE, INSIDE]
    assert encoded(feature, pl.Series(["", None, "  "], dtype=pl.String)) == [ends[0]] * 3


def test_a_missing_word_in_a_list_keeps_its_place() -> None:
    rows = encoded(words(), [["saw", None, "Anna"], ["Anna"]])
    assert [[mark for mark in marks if mark != INSIDE] for _, marks in rows] == [[0, 1, 2], [0]]


def test_texts_are_split_at_spaces_and_signs_and_chinese_by_character() -> None:
    text = " 小明去New York，了。 हिन्दी e\u0301té x² a_b 2.5"
    found = words_of(pl.Series([text]))[0].to_list()
    assert found == [*"小明去", "New", "York", *"，了。", "हिन्दी", "e\u0301té", "x", "²", "a_b", "2", ".", "5"]
    assert [text[start:end] for start, end in places_of(text, found)] == found


def test_a_feature_of_its_state_encodes_alike() -> None:
    feature = words()
    again = WordsFeature.from_state(json.loads(json.dumps(feature.state())), feature.files())
    assert encoded(again, SENTENCES) == encoded(feature, SENTENCES)
    assert again.spec() == feature.spec()
