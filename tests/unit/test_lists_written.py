"""Several labels in one cell, in the writing of programs and people."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.features.parsing.lists import (
    SEPARATORS,
    WEAK_SEPARATORS,
    Writing,
    find_writing,
    parse_list,
    split,
    suited,
    suspected,
)


@pytest.mark.parametrize(
    "cell",
    [
        "['a', 'b c']", '["a", "b c"]', '["a","b c"]', "['a' 'b c']", "['a'\n 'b c']", "{'a', 'b c'}", "('a', 'b c')",
        "array(['a', 'b c'], dtype='<U3')", "array(['a', 'b c'], dtype=object)", "np.array(['a', 'b c'])", "[a, b c]",
        "frozenset({'a', 'b c'})", "{a,b c}", "<a><b c>", "['a', 'b c', None, nan, '']", "[u'a', u'b c',]",
        "['a'; 'b c']",
    ],
)  # fmt: skip
def test_lists(cell: str) -> None:
    assert parse_list(cell) == ["a", "b c"]


@pytest.mark.parametrize(
    "cell",
    ["[]", "{}", "()", "[ ]", "set()", "frozenset()", "list()", "array([], dtype=object)", "''", '""',
     "['']", "[None]"],
)  # fmt: skip
def test_no_label(cell: str) -> None:
    assert parse_list(cell) == []
    assert split(pl.Series([cell, None, "a;b"])).to_list() == [[], None, ["a", "b"]]


@pytest.mark.parametrize(
    "cell",
    [
        "a", "a, b", "[a", "a]", "(see the note)", "[{'id': 1}]", '{"a": 1}', "[['a'], ['b']]", "['a', ['b']]", "['a'",
        "__import__('os').system('true')", "[__import__('os')]", "['a', f(1)]", "[" * 5000 + "]" * 5000,
        "['" + "a" * 200_000 + "']",
    ],
)  # fmt: skip
def test_no_lists(cell: str) -> None:
    assert parse_list(cell) is None


def test_escapes_and_quotes_within_labels() -> None:
    assert parse_list('["\\u4e2d\\u6587", "a\\"b"]') == ["中文", 'a"b']
    assert parse_list("['it\\'s', \"it's\", 'a, b', 'c]']") == ["it's", "it's", "a, b", "c]"]


def test_cells_are_split_where_most_are() -> None:
    cells = pl.Series(["a; b ;a", "", None, ";;", "c,d;e", "b"])
    assert find_writing(cells) == Writing(";")
    assert split(cells).to_list() == [["a", "b"], None, None, None, ["c,d", "e"], ["b"]]
    assert split(cells, Writing(",")).to_list()[4] == ["c", "d;e"]
    assert split(cells, Writing()).to_list()[4] == ["c,d;e"]
    assert split(pl.Series(["a", "b"])).to_list() == [["a"], ["b"]]


def test_lists_are_taken_as_they_are() -> None:
    assert split(pl.Series([["a;b", " c "], [], None])).to_list() == [["a;b", "c"], [], None]
    assert split(pl.Series([[3, 2], [2]])).to_list() == [["3", "2"], ["2"]]


@pytest.mark.parametrize(
    "cells",
    [["[0, 1, 1]", "[1, 0, 0]", "[0, 0, 0]"], ["[0 1 1]", "[1 0 0]", "[0 0 0]"], ["0 1 1", "1 0 0", "0 0 0"],
     ["[0.0, 1.0, 1.0]", "[1., 0., 0.]", "[0., 0., 0.]"],
     ["[False, True, True]", "[True, False, False]", "[False, False, False]"],
     [[0, 1, 1], [1, 0, 0], [0, 0, 0]]],
)  # fmt: skip
def test_vectors_are_labels_named_by_their_places(cells: list[object]) -> None:
    assert find_writing(pl.Series(cells)) == Writing("", 3)
    assert split(pl.Series(cells)).to_list() == [["1", "2"], ["0"], []]
    assert split(pl.Series(["[1, 2]", "[2]"]), Writing("", 3)).to_list() == [["1", "2"], ["2"]]


COMBINED = ("a b c", "a", "b", "c", "a b", "b c", "d", "a d", "c d")


@pytest.mark.parametrize("separator", WEAK_SEPARATORS)
def test_marks_are_separators_where_pieces_recur_alone_and_in_combinations(separator: str) -> None:
    cells = pl.Series([cell.replace(" ", separator) for cell in COMBINED] * 5)
    assert find_writing(cells) == Writing(separator)
    assert split(cells).to_list()[0] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "cells",
    [
        ["New York", "Los Angeles", "New Orleans"], ["very good", "good", "bad", "very bad"],
        ["self-employed", "employed"],
        ["dark red", "light red", "red", "blue", "dark blue", "light blue", "green", "dark green"],
        ["A-1", "A-2", "B-1", "B-2"],
        ["Male/Female", "Male", "Female"], ["the cat saw the dog", "a dog", "the cat"], ["13:59", "14:00"],
        ["C#", "C", "F#"],
    ],
)  # fmt: skip
def test_marks_within_labels_are_none(cells: list[str]) -> None:
    assert find_writing(pl.Series(cells * 9)) is None


def test_less_speaks_for_a_separator_of_a_column_that_is_said_to_hold_labels() -> None:
    cells = pl.Series(["cat", "dog", "cat/dog"] * 9)
    assert suspected(cells) == "/"
    assert find_writing(cells, is_told=True) == Writing("/")
    assert find_writing(pl.Series(["New York", "Los Angeles"] * 9), is_told=True) is None
    assert suspected(pl.Series(["cat", "New York"])) is None


def test_other_cells_are_read_by_the_labels_that_they_hold() -> None:
    labels = ["a", "b", "c,d"]
    assert suited(pl.Series(["a;b", "c,d"]), Writing(";"), labels) == Writing(";")
    assert suited(pl.Series(["a|b", "b"]), Writing(";"), labels) == Writing("|")
    assert suited(pl.Series(["a b", "b"]), Writing(""), labels) == Writing(" ")
    assert suited(pl.Series(["['a', 'b']"]), Writing(";"), labels) == Writing(";")
    assert suited(pl.Series(["x y", "z"]), Writing(";"), labels) == Writing(";")


LABEL = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).map(str.strip).filter(bool)


@given(st.lists(LABEL, max_size=5, unique=True))
@settings(max_examples=100, deadline=None)
def test_what_python_json_and_numpy_write_is_read(labels: list[str]) -> None:
    assert parse_list(str(labels)) == labels
    assert parse_list(json.dumps(labels)) == labels
    assert parse_list(json.dumps(labels, ensure_ascii=False, separators=(",", ":"))) == labels
    assert sorted(parse_list(str(set(labels))) or []) == sorted(labels)
    assert parse_list(str(np.array(labels, dtype=object))) == labels


@given(
    st.lists(st.sets(st.sampled_from("abcdef"), max_size=4).map(sorted), min_size=1, max_size=20),
    st.sampled_from((*SEPARATORS, *WEAK_SEPARATORS)),
)
@settings(max_examples=50, deadline=None)
def test_what_is_joined_is_split(rows: list[list[str]], separator: str) -> None:
    cells = pl.Series([separator.join(row) for row in rows])
    assert split(cells, Writing(separator)).to_list() == [row or None for row in rows]


@given(st.lists(st.text(max_size=30) | st.text("[](){}<>'\",; ab01\\", max_size=30) | st.none(), max_size=20))
@settings(max_examples=100, deadline=None)
def test_any_cells_are_read_or_left(cells: list[str | None]) -> None:
    series = pl.Series(cells, dtype=pl.String)
    for is_told in (False, True):
        assert len(split(series, find_writing(series, is_told=is_told))) == len(cells)
    suspected(series)
