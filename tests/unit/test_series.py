"""Tables of series: their order, their gaps, and the steps behind them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from luban.core.errors import ConfigError, DataError, SchemaError
from luban.data.series.order import FILLED, Layout, extended, find_time, in_order, require_series
from luban.data.series.steps import Frequency
from luban.data.table import Table

START = datetime(2024, 1, 1)


def table(hours: list[int], **columns: Any) -> Table:
    frame = pl.DataFrame({"time": [START + timedelta(hours=hour) for hour in hours], **columns})
    return Table(frame, "rows.csv", None, np.arange(1, len(frame) + 1))


def hours_of(found: Table) -> list[float]:
    return [(cell - START) / timedelta(hours=1) for cell in found.frame["time"].to_list()]


def test_rows_are_put_in_the_order_of_series_and_time() -> None:
    rows = table([2, 0, 1, 1, 0], place=["b", "b", "b", "a", "a"], y=[3, 1, 2, 5, 4])
    found, layout, notes = in_order(rows, Layout("time", "place"), ["y"])
    assert found.frame["y"].to_list() == [4, 5, 1, 2, 3]
    assert found.row_numbers.tolist() == [5, 4, 2, 3, 1]
    assert layout.frequency == Frequency(1, "h")
    assert notes == ["the rows are put in the order of 'time'"]


def test_series_one_after_the_other_are_in_order_already() -> None:
    rows = table([0, 1, 2, 0, 1], place=["b", "b", "b", "a", "a"], y=[1, 2, 3, 4, 5])
    found, _, notes = in_order(rows, Layout("time", "place"), ["y"])
    assert found.frame["place"].to_list() == ["a", "a", "b", "b", "b"]
    assert notes == []


def test_gaps_are_told_and_nothing_follows_across() -> None:
    found, layout, notes = in_order(table([0, 1, 2, 5, 6, 7, 9]), Layout("time"), [])
    assert layout.follows(found).tolist() == [False, True, True, False, True, True, False]
    assert len(notes) == 1
    assert notes[0].startswith("2 places in 'time' where the next row is not one step of 1h later")


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("forward", [1, 1, 1, 4, 4, 6]),
        ("interpolate", [1, 2, 3, 4, 5, 6]),
        ("zero", [1, 0, 0, 4, 0, 6]),
    ],
)
def test_gaps_are_filled_if_asked(fill: Any, expected: list[float]) -> None:
    rows = table([0, 3, 4, 5], y=[1.0, 4.0, None, 6.0], name=["a", "b", "c", "d"])
    found, layout, notes = in_order(rows, Layout("time", frequency=Frequency(1, "h"), fill=fill), ["y"])
    assert found.frame["y"].to_list() == expected
    assert found.frame["name"].to_list() == ["a", "a", "a", "b", "c", "d"]
    assert hours_of(found) == [0, 1, 2, 3, 4, 5]
    assert found.row_numbers.tolist() == [1, 1, 1, 2, 3, 4]
    assert layout.follows(found)[1:].all()
    assert notes == [f"2 steps and 1 cell that were missing are filled ({fill})"]


def test_rows_off_the_steps_are_brought_to_them() -> None:
    frame = pl.DataFrame(
        {"time": [START + timedelta(minutes=each) for each in (0, 58, 121, 125, 240)], "y": [1, 2, 3, 4, 5]}
    )
    rows = Table(frame, "rows.csv", None, np.arange(1, 6))
    found, _, _ = in_order(rows, Layout("time", frequency=Frequency(1, "h"), fill="forward"), ["y"])
    assert found.frame["y"].to_list() == [1, 2, 4, 4, 5]
    assert hours_of(found) == [0, 1, 2, 3, 4]


def test_gaps_are_filled_within_each_series() -> None:
    rows = table([0, 2, 0, 1, 3], place=["a", "a", "b", "b", "b"], y=[None, 2.0, 3.0, None, 5.0])
    found, _, _ = in_order(rows, Layout("time", "place", Frequency(1, "h"), "interpolate"), ["y"])
    assert found.frame["y"].to_list() == [None, None, 2, 3, pytest.approx(11 / 3), pytest.approx(13 / 3), 5]


def test_rows_are_added_behind_each_series() -> None:
    rows = table([0, 1, 2, 0, 1, 2], place=["a"] * 3 + ["b"] * 3, y=[1, 2, 3, 4, None, None], promo=[0, 0, 0, 0, 1, 1])
    layout = Layout("time", "place", Frequency(1, "h"))
    found, last = extended(rows, layout, ["y"], 3)
    assert last.tolist() == [2, 6]
    assert hours_of(found) == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    assert found.frame["place"].to_list() == ["a"] * 6 + ["b"] * 4
    assert found.frame["promo"].to_list() == [0, 0, 0, None, None, None, 0, 1, 1, None]
    assert layout.follows(found)[[3, 4, 5, 7, 8, 9]].all()


def test_a_moment_that_stands_twice_is_told() -> None:
    with pytest.raises(
        DataError,
        match="expected each moment once in a series, found '2024-01-01 01:00:00' in rows 2 and 4, and 1 such pairs",
    ):
        in_order(table([0, 1, 2, 1]), Layout("time"), [])
    with pytest.raises(DataError, match="expected each moment once of 'a', .* Remove the rows that stand twice"):
        in_order(table([0, 1, 1], place=["b", "a", "a"]), Layout("time", "place"), [])


def test_a_frequency_that_cannot_be_told_is_asked_for() -> None:
    with pytest.raises(
        DataError, match=r"so that the frequency can be told, found distances like .* Set task.forecast.frequency"
    ):
        in_order(table([0, 1, 3, 7, 15, 40]), Layout("time"), [])


def test_a_moment_that_is_missing_or_unreadable_is_told() -> None:
    frame = pl.DataFrame({"time": [START, None], "word": ["a", "b"]})
    rows = Table(frame, "rows.csv", None, np.arange(1, 3))
    with pytest.raises(DataError, match="row 2, column 'time': expected a moment in each row, found 1 missing"):
        in_order(rows, Layout("time"), [])
    with pytest.raises(DataError, match="column 'word': expected dates, or whole numbers, .* found cells like 'a'"):
        in_order(rows, Layout("word"), [])
    with pytest.raises(SchemaError, match="task.forecast.key 'place': expected the name of a column"):
        in_order(table([0, 1]), Layout("time", "place"), [])


def test_a_gap_of_ages_is_not_filled() -> None:
    with pytest.raises(DataError, match="expected at most 50,000,000 rows once the gaps are filled, found 72,000,001"):
        in_order(table([0, 20_000]), Layout("time", frequency=Frequency(1, "s"), fill="zero"), [])


def test_the_column_of_time_is_the_only_one_of_dates() -> None:
    assert find_time(table([0]), ["time"]) == "time"
    with pytest.raises(ConfigError, match="found several columns of dates, 'a', 'b'. Set task.forecast.time"):
        find_time(table([0]), ["a", "b"])
    with pytest.raises(ConfigError, match="found none among 'time'. Set task.forecast.time"):
        find_time(table([0]), [])


def test_series_that_are_too_short_are_told() -> None:
    require_series(table([0]), True, "3 rows", 1)
    with pytest.raises(
        DataError, match="expected a series with 3 rows and no gap, found 1 at most. Give longer series"
    ):
        require_series(table([0]), False, "3 rows", 1)


def test_steps_behind_the_last_known_one_stay_open() -> None:
    rows = table([0, 2, 3, 4], y=[1.0, 3.0, None, None], z=[1.0, None, 2.0, None], promo=[1, 0, 1, 0])
    found, _, _ = in_order(rows, Layout("time", frequency=Frequency(1, "h"), fill="interpolate"), ["y", "z"])
    assert found.frame["y"].to_list() == [1, 2, 3, 3, None]
    assert found.frame["z"].to_list() == [1, pytest.approx(4 / 3), pytest.approx(5 / 3), 2, None]
    assert found.frame[FILLED].to_list() == [False, True, True, True, True]
    assert found.frame["promo"].to_list() == [1, 1, 0, 1, 0]
