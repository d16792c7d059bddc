from __future__ import annotations

import polars as pl

from luban.features.base import ColumnProfile, FitContext
from luban.features.category import CategoryConfig, CategoryFeature


def fit(cells: object, **settings: int) -> CategoryFeature:
    frame = pl.DataFrame({"city": cells})
    return CategoryFeature.fit("city", ("city",), frame, CategoryConfig(**settings), FitContext())


def ids(feature: CategoryFeature, cells: object) -> list[int]:
    found: list[int] = feature.encode(pl.DataFrame({"city": cells})).column.values.tolist()
    return found


def score(cells: list[object], name: str = "city") -> float:
    series = pl.Series(cells)
    return CategoryFeature.match(ColumnProfile(name, series, len(series), 0, series.n_unique()))


def test_ids_go_by_frequency_and_then_by_name() -> None:
    feature = fit(["Rome", "Paris", "Rome", "Oslo", "Oslo", "Rome", "Bern", None, "Paris"])
    assert feature.values == ("Rome", "Oslo", "Paris")
    assert ids(feature, [None, "", "Bern", "Mars", "Rome", "Oslo", " Paris "]) == [0, 0, 1, 1, 2, 3, 4]
    assert feature.spec().size == 5
    assert feature.describe() == "3 categories, 1 rare one in one group, 11.1% missing"
    assert feature.num_unseen(pl.DataFrame({"city": ["Rome", "Mars", None]})) == 1


def test_limits() -> None:
    cells = ["a"] * 3 + ["b"] * 2 + ["c"]
    assert fit(cells, max_categories=1).values == ("a",)
    assert fit(cells, min_count=1).values == ("a", "b", "c")


def test_integers_read_as_floats_are_the_same_categories() -> None:
    feature = fit([1, 2, 2, 1])
    assert ids(feature, [1.0, None, 2.0, 2.5, float("nan")]) == [2, 0, 3, 1, 0]
    assert ids(feature, ["1", "2"]) == [2, 3]


def test_booleans() -> None:
    assert ids(fit([True, False, True, False, True]), [False, True, None]) == [3, 2, 0]


def test_match() -> None:
    assert score([True, False]) == 1
    assert score(["red", "green"] * 50) > 0.5
    assert score([7, 8, 9] * 30, "user_id") > 0.9
    assert score([7, 8, 9] * 30, "age") == 0
    assert score([f"I waited {day} days for my card to arrive" for day in range(500)]) < 0.3
