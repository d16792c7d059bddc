from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.features.base import ColumnProfile, FitContext
from luban.features.labels import SEPARATORS, LabelsConfig, LabelsFeature, find_separator, split_labels


def fit(cells: object) -> LabelsFeature:
    return LabelsFeature.fit("genre", ("genre",), pl.DataFrame({"genre": cells}), LabelsConfig(), FitContext())


def score(cells: list[object]) -> float:
    series = pl.Series(cells)
    return LabelsFeature.match(ColumnProfile("genre", series, len(series), 0, series.n_unique()))


def test_cells_are_split_where_most_are() -> None:
    cells = pl.Series(["a; b ;a", "", None, ";;", "c,d;e", "b"])
    assert find_separator(cells) == ";"
    assert split_labels(cells).to_list() == [["a", "b"], None, None, None, ["c,d", "e"], ["b"]]
    assert split_labels(cells, ",").to_list()[4] == ["c", "d;e"]
    assert split_labels(cells, "").to_list()[4] == ["c,d;e"]
    assert split_labels(pl.Series(["a", "b"])).to_list() == [["a"], ["b"]]


def test_lists_are_taken_as_they_are() -> None:
    assert split_labels(pl.Series([["a;b", " c "], [], None])).to_list() == [["a;b", "c"], None, None]
    assert split_labels(pl.Series([[1, 2], [2]])).to_list() == [["1", "2"], ["2"]]


def test_multi_hot() -> None:
    feature = fit(["x|y", "y", "x|z", None, "y|x"])
    assert (feature.labels, feature.separator) == (("x", "y"), "|")
    values = feature.encode(pl.DataFrame({"genre": ["y", "x|y", "x|new", None, "z"]})).column.values
    assert values.tolist() == [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert feature.spec().size == 4
    assert feature.num_unseen(pl.DataFrame({"genre": ["x|new", "y", "q"]})) == 2
    assert feature.describe() == "2 labels, 1.8 a row, separated by '|'"


@pytest.mark.parametrize(
    "cells",
    [
        ["Action|Drama", "Drama", "Comedy|Action", "Comedy"] * 5,
        ["red, green", "green", "red", "blue, red"] * 5,
        ["甜；辣", "辣", "甜；酸", "酸；辣"] * 5,
        [["a"], ["a", "b"]],
    ],
)
def test_columns_of_labels(cells: list[object]) -> None:
    assert score(cells) > 0.8


@pytest.mark.parametrize(
    "cells",
    [
        [f"Well, on day {day} I said, no, {day * 3} is enough" for day in range(50)],
        ["1,234", "5,678", "1,678", "5,234"] * 5,
        ["48.1,11.5", "48.2,11.6"] * 5,
        ["Portland, OR", "Salem, OR", "Boise, ID"] * 5,
        ["red", "green"] * 5,
        [1, 2, 3],
        [[0.5, 1.5], [2.5]],
    ],
)
def test_other_columns(cells: list[object]) -> None:
    assert score(cells) == 0


@given(
    st.lists(st.sets(st.sampled_from("abcdef"), max_size=4).map(sorted), min_size=1, max_size=20),
    st.sampled_from(SEPARATORS),
)
@settings(max_examples=50, deadline=None)
def test_what_is_joined_is_split(rows: list[list[str]], separator: str) -> None:
    cells = pl.Series([separator.join(row) for row in rows])
    assert split_labels(cells, separator).to_list() == [row or None for row in rows]
