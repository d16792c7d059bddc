from __future__ import annotations

import uuid

import polars as pl
import pytest

from luban.features import identifier
from luban.features.base import ColumnProfile


def explain(name: str, cells: list[object]) -> str:
    series = pl.Series(cells)
    return identifier.explain(ColumnProfile(name, series, len(series), 0, series.n_unique()))


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("id", [9, 4, 7]),
        ("PassengerId", [9.0, 4.0, 7.0]),
        ("Unnamed: 0", [9, 4, 7]),
        ("Unnamed: 0.1", [9, 4, 7]),
        ("__index_level_0__", ["a", "b", "c"]),
        ("", [9, 4, 7]),
        ("订单编号", [1008, 1001, 1003]),
        ("anything", list(range(50))),
        ("n", [str(row) for row in range(1, 51)]),
        ("key", [str(uuid.UUID(int=row * 7919)) for row in range(20)]),
        ("sku", [f"AB-{row * 37}" for row in range(20)]),
        ("user_id", [f"{name}son" for name in ("Ben", "Anna", "Carl")]),
    ],
)
def test_columns_that_only_name_their_rows(name: str, cells: list[object]) -> None:
    assert explain(name, cells)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("price", [0.5, 1.5, 2.5]),
        ("age", [9, 4, 7]),
        ("Unnamed: 1", [9, 4, 7]),
        ("year", list(range(1990, 2020))),
        ("user_id", [1, 2, 1, 2]),
        ("paid", [10, 20, 30]),
        ("measure", ["1.5", "2.5", "3.5"]),
        ("text", ["I like it", "Not at all", "Never 1 again"]),
        ("text", ["很好吃", "送得很快", "没有筷子"]),
        ("animal", ["cat", "dog", "mouse"]),
    ],
)
def test_columns_that_say_something(name: str, cells: list[object]) -> None:
    assert not explain(name, cells)


def test_names() -> None:
    names = ("id", "ID", "user_id", "user.id", "userId", "customerID", "index", "uuid", "学号")
    assert all(map(identifier.is_identifier_name, names))
    assert not any(map(identifier.is_identifier_name, ("paid", "valid", "grid", "stock_index", "width", "android")))
