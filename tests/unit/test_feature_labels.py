from __future__ import annotations

import polars as pl
import pytest

from luban.features.base import ColumnProfile, FitContext
from luban.features.labels import LabelsConfig, LabelsFeature, doubt


def fit(cells: object) -> LabelsFeature:
    return LabelsFeature.fit("genre", ("genre",), pl.DataFrame({"genre": cells}), LabelsConfig(), FitContext())


def score(cells: list[object]) -> float:
    series = pl.Series(cells)
    return LabelsFeature.match(ColumnProfile("genre", series, len(series), 0, series.n_unique()))


def test_multi_hot() -> None:
    feature = fit(["x|y", "y", "x|z", None, "y|x"])
    assert (feature.labels, feature.separator) == (("x", "y"), "|")
    values = feature.encode(pl.DataFrame({"genre": ["y", "x|y", "x|new", None, "z"]})).column.values
    assert values.tolist() == [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert feature.spec().size == 4
    assert feature.num_unseen(pl.DataFrame({"genre": ["x|new", "y", "q"]})) == 2
    assert feature.describe() == "2 labels, 1.8 a row, separated by '|', 20.0% missing"


@pytest.mark.parametrize(
    "cells",
    [
        ["Action|Drama", "Drama", "Comedy|Action", "Comedy"] * 5,
        ["red, green", "green", "red", "blue, red"] * 5,
        ["甜；辣", "辣", "甜；酸", "酸；辣"] * 5,
        [["a"], ["a", "b"]],
        ["['red', 'green']", "['green']", "[]", "['red']"] * 5,
        ['["a","b"]', '["b"]', "[]"] * 5,
        ["[0 1 0]", "[1 0 0]", "[1 1 0]"] * 5,
        ["red/green", "green", "red", "blue", "blue/red", "green/blue", "blue/green/red"] * 5,
        ["[12, 7]", "[7]", "[12]"] * 5,
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
        ["[0.25, 1.5]", "[2.5, 0.125]"] * 5,
        ["New York", "Los Angeles", "New Orleans"] * 5,
        ["very good", "good", "bad", "very bad"] * 5,
    ],
)
def test_other_columns(cells: list[object]) -> None:
    assert score(cells) == 0


def test_labels_that_training_never_lacked_have_no_untrained_component() -> None:
    frame = pl.DataFrame({"genre": [None, "new", "[]", "x"]})
    whole = fit(["x;y", "y", "x"])
    assert whole.encode(frame).column.values.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert whole.num_unseen(frame) == 1
    assert whole.remarks(frame) == ["column 'genre': 1 of 4 rows are empty (25%), which training never lacked"]
    holed = fit(["x;y", "y", "x", None, "rare"])
    assert holed.encode(frame).column.values.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_other_rows_may_be_written_otherwise() -> None:
    feature = fit(["x|y", "y", "x|z", "z", "y|x"])
    for cells in (["x;z", "y"], ["['x', 'z']", "['y']"], ["x, z", "y"], ['["z","x"]', "y"], [["x", "z"], ["y"]]):
        frame = pl.DataFrame({"genre": cells})
        found = feature.suited(frame).encode(frame).column.values[:, 2:].tolist()
        assert [{label for label, said in zip(feature.labels, row, strict=True) if said} for row in found] == [
            {"x", "z"},
            {"y"},
        ]


def test_an_older_state_takes_empty_lists_for_missing_cells() -> None:
    state = fit([["x"], ["x", "y"], [], ["y"]]).state()
    names = ("name", "columns", "labels", "separator", "labels_a_row")
    old = {name: value for name, value in state.items() if name in names}
    frame = pl.DataFrame({"genre": [[], ["x"]]}, schema={"genre": pl.List(pl.String)})
    assert LabelsFeature.from_state(old, {}).encode(frame).column.values.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert LabelsFeature.from_state(state, {}).encode(frame).column.values.tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]


def test_cells_that_may_be_several_labels_are_told() -> None:
    cells = pl.Series(["cat", "dog", "cat/dog"])
    profile = ColumnProfile("pet", cells, 3, 0, 3)
    assert doubt(profile, "category", "data.columns.pet=labels") == (
        "column 'pet': 'cat/dog' may be several labels, and is taken for one value as it stands. "
        "Set data.columns.pet=labels if it is several"
    )
    assert doubt(profile, "text", "") == ""
    assert doubt(ColumnProfile("pet", cells[:2], 2, 0, 2), "category", "") == ""
