from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import DataError
from luban.data.table import Table
from luban.features import cache
from luban.features.base import ColumnProfile, FitContext
from luban.features.date import DateConfig, DateFeature, doubt
from luban.features.parsing.date_format import in_time, parse_dates
from luban.features.schema import Schema


def fit(cells: object, config: DateConfig | None = None, missing_values: frozenset[str] = frozenset()) -> DateFeature:
    frame = pl.DataFrame({"when": cells})
    return DateFeature.fit("when", ("when",), frame, config or DateConfig(), FitContext(missing_values=missing_values))


def test_one_column_may_mix_days_and_times() -> None:
    feature = fit(["2016-07-01", "2016-07-02 12:00", "2016-07-03T00:00:00"])
    found = feature.encode(pl.DataFrame({"when": ["2016-07-01", "2016-07-02 12:00", "2016-07-03"]}))
    assert not found.bad
    assert found.column.values[:, 0].tolist() == [0, 0.75, 1]


def test_components() -> None:
    feature = fit([date(2016, 1, 1), date(2016, 12, 31), None])
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


@given(st.lists(st.text(max_size=30) | st.none(), max_size=10))
@settings(max_examples=25, deadline=None)
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
    assert found.column.values[3].tolist() == [0.5, *[0] * 7]
    again = DateFeature.from_state(feature.state(), feature.files())
    np.testing.assert_array_equal(again.encode(frame).column.values, found.column.values)


@pytest.mark.parametrize(
    "cells",
    [[12.5, 33.0, 60.0], [1.5e9, 1.5e9 + 0.5, 1.6e9], [20_161_313, 20_160_714, 20_170_714], [1e18, 2e18, 3e18], [None]],
    ids=["small", "fractions", "no days as digits", "nanoseconds", "missing"],
)
def test_other_numbers_are_no_dates(cells: list[float]) -> None:
    series = pl.Series(cells, dtype=pl.Float64).drop_nulls()
    assert DateFeature.match(column_profile("timestamp", series)) == 0


def test_a_cell_that_is_no_number_since_1970_is_named() -> None:
    feature = fit([str(second) for second in SECONDS])
    found = feature.encode(pl.DataFrame({"when": ["1468387800", "soon", "1e99"]}))
    expected = "expected a date like 1483142400, found '{}'. Add it to data.missing_values"
    assert found.bad == {1: expected.format("soon"), 2: expected.format("1e99")}


def test_days_written_as_one_number_are_dates_by_their_name_or_by_their_number() -> None:
    few = pl.Series([20_160_713, 20_160_714, 20_170_714])
    many = pl.Series([f"201607{day:02}" for day in range(1, 29)])
    assert DateFeature.match(column_profile("order_date", few)) > 0.95
    assert DateFeature.match(column_profile("what", few)) == 0
    for cells in (many, many.cast(pl.Int64), many.cast(pl.Float64), many + "T135900"):
        assert DateFeature.match(column_profile("what", cells)) > 0.95
    assert DateFeature.match(column_profile("what", pl.Series(range(20_160_700, 20_160_760)))) == 0
    feature = fit(few)
    found = feature.encode(pl.DataFrame({"when": few})).column.values[:, 0]
    np.testing.assert_allclose(found, [0, 1 / 366, 1], atol=1e-6)


def test_text_and_typed_columns_have_one_clock() -> None:
    local = [datetime(2023, 3, 30, 13, 59), datetime(2023, 11, 18, 6, 30)]
    naive = pl.Series(local)
    typed = naive.dt.replace_time_zone("Asia/Shanghai")
    written = [
        naive.dt.to_string("%Y-%m-%d %H:%M:%S"),
        naive.dt.to_string("%Y-%m-%dT%H:%M:%S+08:00"),
        naive.dt.to_string("%a, %d %b %Y %H:%M:%S +0800"),
        naive.dt.to_string("%Y-%m-%d %H:%M:%SZ"),
        naive.dt.to_string("%Y-%m-%d %H:%M CST"),
    ]
    feature = fit(naive)
    expected = feature.encode(pl.DataFrame({"when": naive})).column.values
    for cells in (typed, typed.dt.cast_time_unit("ms"), *written):
        np.testing.assert_array_equal(fit(cells).encode(pl.DataFrame({"when": cells})).column.values, expected)
        suited = feature.suited(pl.DataFrame({"when": cells}))
        np.testing.assert_array_equal(suited.encode(pl.DataFrame({"when": cells})).column.values, expected)


def test_zones_that_appear_vanish_or_differ_are_told_once() -> None:
    bare, zoned = ["2023-03-30 13:59", "2023-03-31 14:00"], ["2023-03-30T13:59+08:00", "2023-03-31T14:00+08:00"]
    typed = pl.Series([datetime(2023, 3, 30, 5, 59, tzinfo=UTC)]).dt.convert_time_zone("Asia/Shanghai")

    def remarks(trained: object, new: object) -> list[str]:
        return list(fit(trained).remarks(pl.DataFrame({"when": new})))

    assert remarks(bare, zoned) == [
        "column 'when': times have the zone '+08:00', those of training had none; hours are read as written"
    ]
    assert remarks(zoned, bare) == [
        "column 'when': times have no zone, those of training had '+08:00'; hours are read as written"
    ]
    assert remarks(zoned, ["2023-03-30T13:59Z"]) == [
        "column 'when': times have the zone '+00:00', those of training had '+08:00'; hours are read as written"
    ]
    assert (
        remarks(zoned, typed)
        == remarks(typed, zoned)
        == remarks(bare, bare)
        == remarks(["2023-03-30"], zoned[:0])
        == []
    )
    assert fit(zoned).describe() == (
        "2023-03-30 to 2023-03-31, written like 2016-12-31, hours as written, zone '+08:00'"
    )


@pytest.mark.parametrize("trained", [[date(2016, 7, 1), date(2016, 7, 31)], ["2016-07-01", "2016-07-31"]])
@pytest.mark.parametrize(
    "new", [["16.07.2016"], ["7/16/2016"], ["16-JUL-16"], ["20160716"], [1_468_627_200], [42_567], ["July 16, 2016"]]
)  # fmt: skip
def test_other_ways_of_writing_are_read_at_prediction(trained: list[object], new: list[object]) -> None:
    feature, frame = fit(trained), pl.DataFrame({"when": new})
    encoded = feature.suited(frame).encode(frame)
    assert not encoded.bad
    assert encoded.column.values[0, 0] == pytest.approx(0.5)


def test_an_order_that_the_new_cells_leave_open_is_that_of_training_or_is_told() -> None:
    frame = pl.DataFrame({"when": ["03/04/2016"]})

    def read(feature: DateFeature) -> object:
        own = feature.suited(frame)
        return own.encode(frame).bad or parse_dates(frame["when"], own.day_format, own.order)[0]

    assert read(fit(["31/03/2016", "01/04/2016"])) == datetime(2016, 4, 3)
    assert read(fit(["03/31/2016", "04/01/2016"])) == datetime(2016, 3, 4)
    assert read(fit(["2016-03-31"], DateConfig(day_first=True))) == datetime(2016, 4, 3)
    assert read(fit(["03-31-2016"])) == datetime(2016, 3, 4)
    assert read(fit(["31-03-2016"])) == datetime(2016, 4, 3)
    assert read(fit(["31.03.2016"])) == datetime(2016, 4, 3)
    assert read(fit(["2016-03-31"])) == {
        0: "expected a date that tells the day from the month, found '03/04/2016'. Write it like 2016-12-31"
    }


def test_months_that_stand_first_in_new_cells_are_read_and_told() -> None:
    feature, frame = fit(["31/03/2016", "01/04/2016"]), pl.DataFrame({"when": ["03/31/2016", "04/01/2016"]})
    assert feature.suited(frame).encode(frame).column.values[:, 0].tolist() == [0, 1]
    assert feature.suited(frame).suited(frame[1:]).order == "mdy"
    assert feature.remarks(frame) == [
        "column 'when': dates are written like 12/31/2016, in training like 31/12/2016; read as they are"
    ]


def test_times_of_the_day() -> None:
    feature = fit(["06:00", "18:00:00"])
    assert feature.describe() == "times from 06:00 to 18:00, written like 23:59"
    values = [
        feature.suited(frame).encode(frame).column.values[0].tolist()
        for frame in (
            pl.DataFrame({"when": [cell]}) for cell in ("12:00", "12:00 PM", "中午12:00", time(12), "2016-07-13 12:00")
        )
    ]
    assert all(row == values[0] for row in values)
    assert values[0][0] == pytest.approx(0.25)
    np.testing.assert_allclose(values[0][5:7], [0, -1], atol=1e-6)


def test_years_of_two_digits_are_told_and_read_where_they_can_be() -> None:
    assert fit(["03/30/23", "05/18/70"]).describe() == (
        "1970-05-18 to 2023-03-30, written like 12/31/16, years of two digits from 1969 to 2068"
    )
    cells = pl.Series(["01/07/16", "02/07/16"])
    profile = column_profile("when", cells)
    assert DateFeature.match(profile) == 0
    assert doubt(profile, "category").startswith("column 'when': the cells look like dates whose day, month and year")
    with pytest.raises(DataError, match="day_first"):
        fit(cells)
    assert fit(cells, DateConfig(day_first=True)).describe().startswith("2016-07-01 to 2016-07-02")
    assert fit(cells, DateConfig(day_first=False)).describe().startswith("2016-01-07 to 2016-02-07")


def test_numbers_that_may_be_moments_are_told_and_read_where_they_are_said_to_be() -> None:
    seconds = pl.Series(range(1_468_387_800, 1_469_387_800, 50_000))
    assert doubt(column_profile("what", seconds), "number") == (
        "column 'what': the numbers may be dates ('1468387800' = 2016-07-13); it is taken as number. "
        "Set data.columns.what=date if they are"
    )
    days = pl.Series([42_564.229167, 42_565.5])
    assert "('42564.229167' = 2016-07-13)" in doubt(column_profile("order_date", days), "number")
    assert doubt(column_profile("price", days), "number") == ""
    assert doubt(column_profile("what", pl.Series([1.0, 2.0])), "number") == ""
    feature = fit(days)
    assert feature.describe() == "2016-07-13 to 2016-07-14, written like 42735"
    assert parse_dates(days, feature.day_format)[0] == datetime(2016, 7, 13, 5, 30)


def test_a_date_that_training_never_lacked_stands_in_the_middle_of_its_time() -> None:
    whole, holed = fit(["2016-07-01", "2016-07-03"]), fit(["2016-07-01", "2016-07-03", None])
    frame = pl.DataFrame({"when": [None]}, schema={"when": pl.String})
    assert whole.encode(frame).column.values.tolist() == [[0.5, 0, 0, 0, 0, 0, 0, 0]]
    assert holed.encode(frame).column.values.tolist() == [[0, 0, 0, 0, 0, 0, 0, 1]]


def test_a_state_without_zones_is_that_of_an_older_run() -> None:
    state = fit(["31/03/2016", "01/04/2016"]).state()
    old = DateFeature.from_state({name: value for name, value in state.items() if name not in ("zones", "order")}, {})
    frame = pl.DataFrame({"when": ["03/04/2016 10:00+02:00"]})
    assert old.encode(frame).column.values[0, 0] == pytest.approx(3 + 10 / 24)  # days since the 31st of March
    assert old.remarks(frame) == []


def test_rows_are_put_in_the_order_of_their_dates_however_they_are_written() -> None:
    cells = ["02/01/2016", "31/12/2015", "01/02/2016", "13/01/2016"]
    rows = Table(pl.DataFrame({"when": cells}), "rows.csv", None, np.arange(1, 5))
    assert in_time(rows, "when", None).frame["when"].arg_sort().to_list() == [1, 0, 3, 2]
    open_rows = rows.take(np.array([0, 2]))
    assert in_time(open_rows, "when", None) is open_rows
    assert in_time(open_rows, "when", "mdy").frame["when"].to_list() == [datetime(2016, 2, 1), datetime(2016, 1, 2)]
    unread = replace(rows, frame=pl.DataFrame({"when": [*cells[:3], None]}))
    assert in_time(unread, "when", None) is unread


def test_the_order_is_found_in_all_rows_before_they_are_encoded_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK_ROWS", 2)
    fitted = Schema((fit(["2016-01-01", "2016-12-31"]),), {}, None)
    cells = ["03/04/2016", "04/05/2016", "05/06/2016", "06/07/2016", "31/12/2016"]
    rows = Table(pl.DataFrame({"when": cells}), "new.csv", None, np.arange(1, 6))
    inputs, bad = cache.encode(fitted, rows, None, None)
    assert bad == {}
    days = inputs["when"].values[:, 0] * 365
    np.testing.assert_allclose(days, [93, 124, 156, 187, 365], atol=1e-3)  # since the 1st of January
