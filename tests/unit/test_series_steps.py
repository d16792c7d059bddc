"""Steps of time: how they are written, told by rows, counted and gone."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luban.data.series.steps import Frequency, find_frequency, moments_of, typed_as

WRITTEN = ["30s", "15m", "1h", "6h", "1d", "1bd", "1w", "2w", "1mo", "3mo", "1y", "5"]


def moments(start: datetime, every: str, count: int) -> np.ndarray:
    frequency = Frequency.of(every)
    assert frequency is not None
    return frequency.moved(np.repeat(moments_of(pl.Series([start])), count), np.arange(count))


@pytest.mark.parametrize("text", WRITTEN)
def test_a_frequency_is_read_as_it_is_written(text: str) -> None:
    assert str(Frequency.of(text)) == text


@pytest.mark.parametrize("text", ["", "h", "0h", "0", "1.5h", "-1h", "1 h", "1hour", "1H", "９h"])
def test_what_is_no_frequency_is_none(text: str) -> None:
    assert Frequency.of(text) is None


def test_a_quarter_is_three_months() -> None:
    assert Frequency.of("1q") == Frequency(3, "mo")


@pytest.mark.parametrize(
    ("text", "season"),
    [
        ("1h", 24),
        ("15m", 96),
        ("30m", 48),
        ("1d", 7),
        ("1bd", 5),
        ("1w", 52),
        ("1mo", 12),
        ("3mo", 4),
        ("1y", 1),
        ("5", 1),
    ],
)
def test_a_season_is_what_the_frequency_usually_has(text: str, season: int) -> None:
    found = Frequency.of(text)
    assert found is not None
    assert found.season == season


@pytest.mark.parametrize("every", ["30s", "15m", "1h", "6h", "1d", "1w", "1mo", "3mo", "1y"])
def test_moments_are_those_of_polars(every: str) -> None:
    start = datetime(2023, 11, 6, 7, 30)
    expected = pl.datetime_range(start, datetime(2050, 1, 1), every, eager=True).head(20)
    found = typed_as(pl.Series(moments(start, every, len(expected))), pl.Datetime("us"))
    assert found.to_list() == expected.to_list()


def test_the_last_days_of_months_follow_each_other() -> None:
    found = typed_as(pl.Series(moments(datetime(2023, 12, 31), "1mo", 4)), pl.Datetime("us"))
    assert found.dt.strftime("%m-%d").to_list() == ["12-31", "01-31", "02-29", "03-31"]


def test_working_days_leave_weekends_out() -> None:
    found = typed_as(pl.Series(moments(datetime(2024, 1, 4), "1bd", 4)), pl.Datetime("us"))
    assert found.dt.strftime("%a").to_list() == ["Thu", "Fri", "Mon", "Tue"]


@given(st.sampled_from(WRITTEN), st.integers(0, 28 * 24 * 3600), st.lists(st.integers(0, 400), min_size=1, max_size=20))
def test_steps_that_are_gone_are_counted(every: str, second: int, steps: list[int]) -> None:
    frequency = Frequency.of(every)
    assert frequency is not None
    start = np.full(len(steps), 1_700_000_000 + second - second % 86_400, np.int64) * 1_000_000
    if frequency.unit == "bd":
        start = frequency.moved(start, 0)
    np.testing.assert_array_equal(frequency.counted(start, frequency.moved(start, np.array(steps))), steps)


@pytest.mark.parametrize("every", WRITTEN)
def test_rows_tell_their_frequency_whatever_gaps_they_have(every: str) -> None:
    whole = np.arange(60) * 5 if every == "5" else moments(datetime(2023, 1, 31), every, 60)
    kept = np.delete(whole, [7, 8, 31])
    same = np.ones(len(kept) - 1, np.bool_)
    assert str(find_frequency(kept, same, dated=every != "5")) == every


def test_rows_without_a_common_distance_tell_none() -> None:
    rng = np.random.default_rng(0)
    wild = np.cumsum(rng.integers(1, 10**9, 50)) * 1_000
    assert find_frequency(wild, np.ones(49, np.bool_), dated=True) is None
    assert find_frequency(np.array([1, 2, 5, 11, 17, 29]), np.ones(5, np.bool_), dated=False) is None
    assert find_frequency(wild[:1], np.ones(0, np.bool_), dated=True) is None
