from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import DataError
from luban.features.base import ColumnProfile, FitContext
from luban.features.date import AMBIGUOUS_DAYS, DAYS, TIMES, DateConfig, DateFeature, find_formats, parse_dates


def fit(cells: object, config: DateConfig | None = None, missing_values: frozenset[str] = frozenset()) -> DateFeature:
    frame = pl.DataFrame({"when": cells})
    return DateFeature.fit("when", ("when",), frame, config or DateConfig(), FitContext(missing_values=missing_values))


@pytest.mark.parametrize(
    "cell",
    [
        "2016-07-13 05:30:00", "2016-07-13T05:30:00.250", "2016-07-13 05:30", "2016/7/13 05:30", "13.07.2016 05:30:00",
        "2016年7月13日 5时30分", "2016-07-13T07:30:00+02:00", "2016-07-13T05:30:00Z", "13 Jul 2016 05:30",
        "Jul 13, 2016 05:30", "13/07/2016 05:30", "07/13/2016 05:30", "07-13-2016 05:30:00", "2016.07.13 05:30",
    ],
)  # fmt: skip
def test_ways_to_write_a_date(cell: str) -> None:
    (day_format,) = find_formats(pl.Series([cell] * 3))
    (found, *_) = parse_dates(pl.Series([cell]), day_format).to_list()
    assert found.replace(microsecond=0) == datetime(2016, 7, 13, 5, 30)


@pytest.mark.parametrize("cell", ["12.5", "2016", "1-2", "3/4", "01/07/16", "2016-13-45", "v1.2.3", "tomorrow", "1e5"])
def test_other_cells_are_no_dates(cell: str) -> None:
    assert find_formats(pl.Series([cell] * 3)) == ()


def test_one_column_may_mix_days_and_times() -> None:
    feature = fit(["2016-07-01", "2016-07-02 12:00", "2016-07-03T00:00:00"])
    found = feature.encode(pl.DataFrame({"when": ["2016-07-01", "2016-07-02 12:00", "2016-07-03"]}))
    assert not found.bad
    assert found.column.values[:, 0].tolist() == [0, 0.75, 1]


def test_components() -> None:
    feature = fit([date(2016, 1, 1), date(2016, 12, 31)])
    column = feature.encode(pl.DataFrame({"when": [datetime(2016, 4, 1, 6), None]})).column
    values = column.values.astype(np.float64)
    assert values.shape == (2, 8)
    assert values[0, 0] == pytest.approx(91.25 / 365)
    np.testing.assert_allclose(values[0, 1:3], [1, 0], atol=1e-6)  # April, a quarter into the year
    weekday = 2 * np.pi * 4 / 7
    np.testing.assert_allclose(values[0, 3:5], [np.sin(weekday), np.cos(weekday)], atol=1e-6)  # a Friday
    np.testing.assert_allclose(values[0, 5:7], [1, 0], atol=1e-6)  # six in the morning
    assert values[1].tolist() == [0] * 7 + [1]


def test_time_zones_keep_the_time_on_the_clock() -> None:
    series = pl.Series([datetime(2016, 7, 1, 6, tzinfo=UTC)]).dt.convert_time_zone("Asia/Shanghai")
    assert parse_dates(series, None).to_list() == [datetime(2016, 7, 1, 14)]


def test_bad_and_missing_cells() -> None:
    feature = fit(["2016-07-01", "2016-07-02", "?"] * 50, missing_values=frozenset({"?"}))
    found = feature.encode(pl.DataFrame({"when": ["?", "", "soon", "2016-07-02"]}))
    assert found.bad == {2: "expected a date like 2016-12-31, found 'soon'. Add it to data.missing_values"}
    assert found.column.values[:, -1].tolist() == [1, 1, 1, 0]
    assert feature.describe() == "2016-07-01 to 2016-07-02, written like 2016-12-31, 33.3% missing"


def test_days_and_months_that_cannot_be_told_apart_must_be_said() -> None:
    cells = ["03/04/2016", "05/06/2016"]
    message = (
        "column 'when': expected dates that tell the day from the month, found none past the 12th "
        "('03/04/2016' could be either). Set features.date.day_first to true or false."
    )
    with pytest.raises(DataError) as error:
        fit(cells)
    assert str(error.value) == message
    assert fit(cells, DateConfig(day_first=True)).day_format == "%d/%m/%Y"
    assert fit(cells, DateConfig(day_first=False)).day_format == "%m/%d/%Y"
    assert fit([*cells, "13/04/2016"]).day_format == "%d/%m/%Y"


def test_a_column_that_holds_no_dates() -> None:
    with pytest.raises(DataError) as error:
        fit(["soon", "later"])
    assert str(error.value) == (
        "column 'when': expected dates written one way, like 2016-12-31, 2016/12/31, 2016年12月31日, found 'soon'. "
        "Write the dates like 2016-12-31, or choose another kind for the column."
    )


def test_match() -> None:
    for cells in (pl.Series([date(2020, 1, 1)]), pl.Series([datetime(2020, 1, 1)]), pl.Series(["2020-01-01"])):
        assert DateFeature.match(ColumnProfile("when", cells, 1, 0, 1)) > 0.9
    assert DateFeature.match(ColumnProfile("when", pl.Series([20200101]), 1, 0, 1)) == 0


@given(
    st.datetimes(datetime(1600, 1, 1), datetime(2999, 12, 31)),
    st.sampled_from([*DAYS, *(day for pair in AMBIGUOUS_DAYS for day in pair)]),
    st.sampled_from(TIMES),
)
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(moment: datetime, day_format: str, time: str) -> None:
    written = moment.strftime(f"{day_format}{time}".replace("%.f", ".%f"))
    (found,) = parse_dates(pl.Series([written]), day_format).to_list()
    assert found.date() == moment.date()
    if "%S" in time:
        assert found == moment
    elif time:
        assert (found.hour, found.minute) == (moment.hour, moment.minute)


@given(st.lists(st.text(max_size=30) | st.none(), max_size=10))
@settings(max_examples=50, deadline=None)
def test_any_cells_encode(cells: list[str | None]) -> None:
    feature = fit(["2016-07-01", "2016-07-02"])
    encoded = feature.encode(pl.DataFrame({"when": cells}, schema={"when": pl.String}))
    assert np.isfinite(encoded.column.values).all()


SECONDS = [1_468_387_800, 1_468_474_200, 1_500_000_000]  # 2016-07-13 05:30, a day later, 2017-07-14


def column_profile(name: str, cells: pl.Series) -> ColumnProfile:
    return ColumnProfile(name, cells, len(cells), 0, cells.n_unique())


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000])
@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String])
def test_numbers_since_1970_are_dates_where_the_name_says_time(scale: int, dtype: pl.DataType) -> None:
    cells = pl.Series([second * scale for second in SECONDS], dtype=pl.Int64).cast(dtype)
    for name in ("timestamp", "created_at", "EventTime", "time_ms", "Date", "下单时间", "ts"):
        assert DateFeature.match(column_profile(name, cells)) > 0.95
    for name in ("amount", "user_id", "times", "what", "state"):
        assert DateFeature.match(column_profile(name, cells)) == 0
    feature = fit(cells)
    frame = pl.DataFrame({"when": pl.Series([*cells, None, cells[0]], dtype=dtype)})
    found = feature.encode(frame)
    assert not found.bad
    assert feature.describe().startswith("2016-07-13 to 2017-07-14")
    written = fit([datetime.fromtimestamp(second, UTC).replace(tzinfo=None) for second in SECONDS])
    expected = written.encode(pl.DataFrame({"when": [datetime(2016, 7, 13, 5, 30)]})).column.values
    np.testing.assert_allclose(found.column.values[4], expected[0], atol=1e-6)
    assert found.column.values[3].tolist() == [0] * 7 + [1]
    again = DateFeature.from_state(feature.state(), feature.files())
    np.testing.assert_array_equal(again.encode(frame).column.values, found.column.values)


@pytest.mark.parametrize(
    "cells",
    [[12.5, 33.0, 60.0], [1.5e9, 1.5e9 + 0.5, 1.6e9], [20_160_713, 20_160_714, 20_170_714], [1e18, 2e18, 3e18], [None]],
    ids=["small", "fractions", "days as digits", "nanoseconds", "missing"],
)
def test_other_numbers_are_no_dates(cells: list[float]) -> None:
    series = pl.Series(cells, dtype=pl.Float64).drop_nulls()
    assert DateFeature.match(column_profile("timestamp", series)) == 0


def test_a_cell_that_is_no_number_since_1970_is_named() -> None:
    feature = fit([str(second) for second in SECONDS])
    found = feature.encode(pl.DataFrame({"when": ["1468387800", "soon", "1e99"]}))
    expected = "expected a date like 1483142400, found '{}'. Add it to data.missing_values"
    assert found.bad == {1: expected.format("soon"), 2: expected.format("1e99")}
