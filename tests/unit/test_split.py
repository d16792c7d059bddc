"""Parts are disjoint and complete, nothing alike stands in two of them, and the shares are those asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import ConfigError, DataError, LubanError, SchemaError
from luban.data.groups import group_ids
from luban.data.split.config import SplitConfig
from luban.data.split.overlap import drop_overlap
from luban.data.split.split import split
from luban.data.split.units import Split
from luban.data.table import Table


def table(columns: dict[str, Any], name: str = "rows.csv") -> Table:
    frame = pl.DataFrame(columns)
    return Table(frame, name, None, np.arange(1, len(frame) + 1))


def parts_of(found: Split) -> list[set[int]]:
    return [set(part.tolist()) for part in (found.train, found.validation, found.test)]


def check_partition(found: Split, rows: int, alike: Sequence[Any]) -> None:
    parts = parts_of(found)
    assert sum(len(part) for part in parts) == rows
    assert set.union(*parts) == set(range(rows))
    for part in (found.train, found.validation, found.test):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    inputs = [{alike[row] for row in part} for part in parts]
    assert not inputs[0] & inputs[1]
    assert not inputs[0] & inputs[2]
    assert not inputs[1] & inputs[2]


@settings(max_examples=50, deadline=None)
@given(
    cells=st.lists(st.integers(0, 60), min_size=10, max_size=120),
    method=st.sampled_from(["auto", "random", "stratified", "group", "time"]),
    seed=st.integers(0, 5),
    has_test=st.booleans(),
)
def test_parts_are_disjoint_complete_and_part_nothing_alike(
    cells: list[int], method: Any, seed: int, has_test: bool
) -> None:
    rows = table({"x": [f"t{cell}" for cell in cells], "g": [cell // 3 for cell in cells], "y": [c % 3 for c in cells]})
    column = "g" if method in ("group", "time") else None
    config = SplitConfig(method=method, column=column, seed=seed, validation=0.2, test=0.2)
    units = len(set(rows.frame[column or "x"]))
    if units < 3 - has_test:
        with pytest.raises(DataError, match="different"):
            split(rows, "y", ["x"], config, has_test=has_test, stratify=True)
        return
    found = split(rows, "y", ["x"], config, has_test=has_test, stratify=True)
    alike = rows.frame["g" if column else "x"].to_list()
    check_partition(found, len(cells), alike)
    assert len(found.train)
    # A class that stands in few units is trained on, even where that leaves another part empty.
    num_scarce = sum(len({x for x in cells if x % 3 == label}) < 5 for label in {x % 3 for x in cells})
    if method not in ("auto", "stratified") or not num_scarce:
        assert len(found.validation)
        assert (len(found.test) == 0) == has_test
    again = split(rows, "y", ["x"], config, has_test=has_test, stratify=True)
    assert parts_of(again) == parts_of(found)


@pytest.mark.parametrize("method", ["random", "stratified"])
def test_shares_are_those_asked_for(method: Any) -> None:
    rng = np.random.default_rng(0)
    classes = rng.choice(["a", "b", "c"], 1000, p=[0.7, 0.25, 0.05])
    rows = table({"x": np.arange(1000), "y": classes})
    config = SplitConfig(method=method, validation=0.15, test=0.2)
    found = split(rows, "y", ["x"], config, has_test=False, stratify=True)
    assert [len(found.train), len(found.validation), len(found.test)] == [650, 150, 200]
    if method == "stratified":
        for label in "abc":
            total = (classes == label).sum()
            assert abs((classes[found.test] == label).sum() - 0.2 * total) <= 2
            assert abs((classes[found.validation] == label).sum() - 0.15 * total) <= 2


def test_seeds_differ() -> None:
    rows = table({"x": np.arange(100), "y": [0, 1] * 50})
    for method in ("random", "stratified"):
        first, second = (
            split(rows, "y", ["x"], SplitConfig(method=method, seed=seed), has_test=False, stratify=True)
            for seed in (0, 1)
        )
        assert parts_of(first) != parts_of(second)


def test_auto_says_what_it_does() -> None:
    rows = table({"x": np.arange(50), "y": [0, 1] * 25})
    classes = split(rows, "y", ["x"], SplitConfig(), has_test=False, stratify=True)
    numbers = split(rows, "y", ["x"], SplitConfig(), has_test=False, stratify=False)
    assert classes.notes == ("split at random, each class of 'y' in proportion",)
    assert numbers.notes == ("split at random",)


def test_small_classes_are_trained_on() -> None:
    labels = ["common"] * 300 + [f"pair{i // 2}" for i in range(40)] + ["lone"]
    rows = table({"x": np.arange(341), "y": labels})
    for seed in range(5):
        config = SplitConfig(validation=0.3, test=0.3, seed=seed)
        found = split(rows, "y", ["x"], config, has_test=False, stratify=True)
        assert {labels[row] for row in found.train} == set(labels)
        assert "classes with one row, which is trained on and never scored: 'lone'" in found.notes
        assert sum("pair" in labels[row] for row in found.test) > 4


def test_rows_that_repeat_are_counted() -> None:
    rows = table({"x": [*range(90), *[7] * 10], "z": [0] * 100, "y": [0, 1] * 50})
    found = split(rows, "y", ["x", "z"], SplitConfig(), has_test=False, stratify=True)
    check_partition(found, 100, rows.frame["x"].to_list())
    assert "rows that repeat the inputs of another: 10; rows that are alike stay in one part" in found.notes


def test_a_crowd_of_rows_that_are_alike_is_trained_on() -> None:
    rows = table({"x": [*range(40), *[99] * 60], "y": [0, 1] * 50})
    for method in ("random", "stratified"):
        found = split(rows, "y", ["x"], SplitConfig(method=method), has_test=False, stratify=True)
        assert [len(found.train), len(found.validation), len(found.test)] == [80, 10, 10]


def test_lists_and_bytes_are_compared_too() -> None:
    frame = pl.DataFrame({"l": [["a"], ["b"], ["a"], None, []], "b": [b"1", b"1", b"1", b"", None]})
    assert group_ids(frame).tolist() == [0, 1, 0, 2, 3]
    assert group_ids(frame.select("b")).tolist() == [0, 0, 0, 1, 2]
    assert group_ids(frame.select([])).tolist() == []


def test_groups_are_joined_by_rows_that_are_alike() -> None:
    x = np.arange(100)
    x[[5, 95]] = 1000  # of groups 0 and 9
    rows = table({"x": x, "g": np.repeat(np.arange(10), 10), "y": x})
    found = split(rows, "y", ["x"], SplitConfig(method="group", column="g"), has_test=False, stratify=False)
    joined = np.repeat(np.arange(10), 10) % 9
    check_partition(found, 100, joined.tolist())
    assert [len(found.train), len(found.validation), len(found.test)] == [80, 10, 10]


def test_a_row_without_a_group_is_its_own() -> None:
    rows = table({"x": range(40), "g": [None, ""] * 5 + ["a", "b", "c"] * 10, "y": range(40)})
    found = split(rows, "y", ["x"], SplitConfig(method="group", column="g"), has_test=False, stratify=False)
    assert found.notes == ("rows without 'g': 10; each is a group of its own",)
    assert len(found.test) == 4


@pytest.mark.parametrize("kind", ["numbers", "dates", "text", "numbers as text"])
def test_time_puts_the_latest_rows_last(kind: str) -> None:
    order = np.random.default_rng(0).permutation(100) // 2  # every moment twice
    days = pl.Series(order).cast(pl.Int32).cast(pl.Date)
    cells = {
        "numbers": pl.Series(order),
        "dates": days,
        "text": days.cast(pl.String),
        "numbers as text": pl.Series(order).cast(pl.String),
    }
    rows = table({"x": range(100), "t": cells[kind], "y": range(100)})
    found = split(rows, "y", ["x"], SplitConfig(method="time", column="t"), has_test=False, stratify=False)
    check_partition(found, 100, order.tolist())
    assert order[found.train].max() < order[found.validation].min()
    assert order[found.validation].max() < order[found.test].min()
    assert [len(found.validation), len(found.test)] == [10, 10]


def test_time_counts_a_row_with_the_latest_that_is_like_it() -> None:
    x = [*range(49), 0]
    rows = table({"x": x, "t": range(50), "y": x})
    found = split(rows, "y", ["x"], SplitConfig(method="time", column="t"), has_test=False, stratify=False)
    assert 0 in found.test
    assert found.notes[:2] == (
        "split by time: 't' runs from 0 to 49",
        "rows that count with a later row of the same inputs: 1",
    )


@pytest.mark.parametrize("cell", ["soon", None, "inf"])
def test_a_time_that_cannot_be_read_is_named(cell: str | None) -> None:
    rows = table({"x": range(20), "t": [*map(str, range(19)), cell], "y": range(20)})
    shown = f"'{cell}'" if cell else "a missing cell"
    message = rf"rows.csv, row 20, column 't': expected a date or a number to split by time, found {shown}"
    with pytest.raises(DataError, match=message):
        split(rows, "y", ["x"], SplitConfig(method="time", column="t"), has_test=False, stratify=False)


def test_a_column_may_name_the_parts() -> None:
    words = ["train"] * 10 + ["Training", "dev", "Val", "VALID", "validation ", "test", "TEST"]
    rows = table({"x": range(17), "part": words, "y": range(17)})
    config = SplitConfig(method="column", column="part")
    found = split(rows, "y", ["x"], config, has_test=False, stratify=False)
    assert [part.tolist() for part in (found.train, found.validation, found.test)] == [
        [*range(11)],
        [11, 12, 13, 14],
        [15, 16],
    ]
    assert not found.notes


def test_rows_of_earlier_parts_that_stand_in_later_ones_are_set_aside() -> None:
    rows = table({"x": [1, 2, 3, 4, 4, 1, 3], "part": ["train"] * 4 + ["val"] * 2 + ["test"], "y": range(7)})
    found = split(rows, "y", ["x"], SplitConfig(method="column", column="part"), has_test=False, stratify=False)
    assert [part.tolist() for part in (found.train, found.validation, found.test)] == [[1], [4, 5], [6]]
    assert found.notes == ("rows set aside because their inputs stand in a validation or test row: 3",)


def test_parts_that_the_column_does_not_name_come_from_training() -> None:
    rows = table({"x": range(60), "part": ["train"] * 50 + ["test"] * 10, "y": [0, 1] * 30})
    config = SplitConfig(method="column", column="part", validation=0.2)
    found = split(rows, "y", ["x"], config, has_test=False, stratify=True)
    check_partition(found, 60, range(60))
    assert [len(found.train), len(found.validation), len(found.test)] == [40, 10, 10]
    assert "column 'part' names no validation rows: they are taken from the training rows" in found.notes
    only_train = table({"x": range(60), "part": ["train"] * 60, "y": [0, 1] * 30})
    found = split(only_train, "y", ["x"], config, has_test=False, stratify=True)
    assert [len(found.train), len(found.validation), len(found.test)] == [42, 12, 6]
    found = split(only_train, "y", ["x"], config, has_test=True, stratify=True)
    assert [len(found.train), len(found.validation), len(found.test)] == [48, 12, 0]


def test_none_scores_on_the_training_rows_and_says_so() -> None:
    rows = table({"x": range(4), "y": range(4)})
    found = split(rows, "y", ["x"], SplitConfig(method="none"), has_test=False, stratify=False)
    assert found.train.tolist() == found.validation.tolist() == found.test.tolist() == [0, 1, 2, 3]
    assert "scores are on the training rows" in found.notes[0]
    assert len(split(rows, "y", ["x"], SplitConfig(method="none"), has_test=True, stratify=False).test) == 0


def test_shares_of_zero_leave_a_part_empty() -> None:
    rows = table({"x": range(20), "y": range(20)})
    found = split(rows, "y", ["x"], SplitConfig(validation=0, test=0), has_test=False, stratify=False)
    assert parts_of(found) == [set(range(20)), set(), set()]


@pytest.mark.parametrize(
    ("columns", "settings", "message", "error"),
    [
        (
            {"x": range(7)},
            {},
            r"rows.csv: expected at least 10 rows to split, found 7. .*data.split.method=none",
            DataError,
        ),
        ({"x": [1, 2] * 10}, {}, r"expected at least 3 different inputs to split, found 2", DataError),
        (
            {"x": range(20), "g": [1] * 20},
            {"method": "group", "column": "g"},
            r"expected at least 3 different groups in 'g' to split, found 1",
            DataError,
        ),
        (
            {"x": range(20), "g": [1] * 20},
            {"method": "time", "column": "g"},
            r"expected at least 3 different times in 'g' to split, found 1",
            DataError,
        ),
        (
            {"x": range(20), "p": ["train"] * 19 + ["holdout"]},
            {"method": "column", "column": "p"},
            r"rows.csv, row 20, column 'p': expected train, validation or test, found 'holdout'",
            DataError,
        ),
        (
            {"x": range(3), "p": ["test"] * 3},
            {"method": "column", "column": "p"},
            r"column 'p': expected training rows, found none whose inputs",
            DataError,
        ),
        (
            {"x": range(20)},
            {"validation": 0.5, "test": 0.5},
            r"data.split: expected validation and test to leave",
            ConfigError,
        ),
        ({"x": range(20)}, {"method": "stratified"}, r"data.split.method: expected a target with classes", ConfigError),
        (
            {"x": range(20)},
            {"method": "group"},
            r"data.split.column: expected the name of a column for .*=group",
            ConfigError,
        ),
        (
            {"x": range(20)},
            {"column": "x"},
            r"data.split.column: expected no column for data.split.method=auto, fou",
            ConfigError,
        ),
        (
            {"x": range(20)},
            {"method": "time", "column": "z"},
            r"rows.csv, data.split.column 'z': expected the name",
            SchemaError,
        ),
    ],
)
def test_what_cannot_be_split_is_refused(
    columns: dict[str, Any], settings: dict[str, Any], message: str, error: type[LubanError]
) -> None:
    rows = table({**columns, "y": range(len(columns["x"]))})
    with pytest.raises(error, match=message):
        split(rows, "y", ["x"], SplitConfig(**settings), has_test=False, stratify=False)


def test_two_kinds_of_test_rows_are_refused() -> None:
    rows = table({"x": range(3), "p": ["train", "train", "test"], "y": range(3)})
    with pytest.raises(DataError, match=r"expected no test rows beside the table for testing that was given, found 1"):
        split(rows, "y", ["x"], SplitConfig(method="column", column="p"), has_test=True, stratify=False)


def test_training_rows_that_stand_in_the_test_table_are_dropped() -> None:
    train = table({"a": ["1", "2", "3", "4"], "b": [["x"], ["y"], ["z"], ["y"]], "y": [0, 0, 1, 1]}, "train.csv")
    test = table({"a": [4, 2, 3], "b": [["y"], ["x"], ["z"]], "y": [1, 0, 0]}, "test.parquet")
    keep, notes = drop_overlap(train, test, ["a", "b"])
    assert keep.tolist() == [0, 1]
    assert notes == ("training rows set aside because their inputs stand in test.parquet: 2 of 4",)
    assert drop_overlap(train.take(keep), test, ["a", "b"])[1] == ()


def test_tables_that_cannot_be_compared_are_refused() -> None:
    train, test = table({"a": ["1"], "b": [["x"]]}, "train.csv"), table({"a": ["1"], "b": ["x"]}, "test.csv")
    with pytest.raises(DataError, match=r"test.csv, column 'b': expected cells of type List\(String\) as in train.csv"):
        drop_overlap(train, test, ["a", "b"])
    with pytest.raises(DataError, match=r"train.csv: expected training rows that are not in test.csv, found all 1"):
        drop_overlap(train, test, ["a"])


def test_banking77_keeps_its_77_classes_in_every_part(shared_data: Path) -> None:
    frame = pl.read_csv(shared_data / "banking77" / "train.csv")
    rows = Table(frame, "train.csv", None, np.arange(1, len(frame) + 1))
    found = split(rows, "category", ["text"], SplitConfig(), has_test=False, stratify=True)
    check_partition(found, len(frame), frame["text"].to_list())
    assert len(found.test) == pytest.approx(1000, abs=3)
    for part in (found.train, found.validation, found.test):
        assert frame["category"][part].n_unique() == 77
