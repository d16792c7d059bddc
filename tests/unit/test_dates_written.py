"""Dates and times as people write them, each with the moment that it means."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.features.parsing.date_grammar import Order
from luban.features.parsing.dates import TIME_OF_DAY, Writing, find_writing, parse_text, zones_of


def read(cells: list[str], order: Order | None = None) -> list[datetime | None]:
    found = find_writing(pl.Series(cells))
    assert found is not None
    return parse_text(
        pl.Series(cells), order or (found.orders[0] if found.orders else None), found.day_format
    ).to_list()


@pytest.mark.parametrize(
    "cell",
    [
        "2016-07-13 05:30:00", "2016-07-13T05:30:00.250", "2016-07-13 05:30", "2016/7/13 05:30", "13.07.2016 05:30:00",
        "2016年7月13日 5时30分", "2016年7月13日5时30分", "2016年07月13日 上午5:30", "2016/7/13 上午 5:30:00",
        "2016-07-13T05:30:00+02:00", "2016-07-13T05:30:00Z", "2016-07-13 05:30:00 UTC", "2016-07-13 05:30:00 EST",
        "2016-07-13T05:30:00+02:00[Europe/Berlin]", "2016-07-13 05:30 Europe/Berlin", "2016-07-13 05:30:00 (CET)",
        "13 Jul 2016 05:30", "Jul 13, 2016 05:30", "JULY 13 2016 5:30 am", "13-JUL-2016 05:30", "13-jul-16 5:30",
        "13-JUL-16 05.30.00.000000 AM", "13/07/2016 05:30", "07/13/2016 05:30", "07/13/2016 05:30:00 AM",
        "07-13-2016 05:30:00", "2016.07.13 05:30", "07/13/16 5:30 a.m.", "20160713T053000", "20160713T0530Z",
        "20160713 05:30", "20160713053000", "201607130530", "Wed, 13 Jul 2016 05:30:00 +0800",
        "Wed Jul 13 05:30:00 2016",
        "Wed Jul 13 05:30:00 +0000 2016", "Wed Jul 13 2016 05:30:00 GMT+0800 (China Standard Time)",
        "Wednesday, July 13th, 2016 at 5:30 AM", "13/Jul/2016:05:30:00 -0700", "2016-07-13 周三 05:30",
        "2016年7月13日 星期三 05:30", "2016-07-13_05-30-00", "2016-07-13 05:30:00,250", "13JUL2016:05:30:00",
        "２０１６-０７-１３　０５：３０", "5:30 13.07.2016",
    ],
)  # fmt: skip
def test_ways_to_write_a_moment(cell: str) -> None:
    (found, *_) = read([cell] * 3)
    assert found is not None
    assert found.replace(microsecond=0) == datetime(2016, 7, 13, 5, 30)


@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        ("12:30 AM", (0, 30)), ("12:30 pm", (12, 30)), ("1:59 P.M.", (13, 59)), ("下午1:59", (13, 59)),
        ("晚上 11:05", (23, 5)), ("凌晨12:10", (0, 10)), ("13:59:00", (13, 59)), ("9 AM", (9, 0)),
        ("14时05分", (14, 5)),
    ],
)  # fmt: skip
def test_times_of_the_day(cell: str, meant: tuple[int, int]) -> None:
    assert find_writing(pl.Series([cell] * 3)) == Writing(TIME_OF_DAY)
    assert read([cell] * 3)[0] == datetime(1970, 1, 1, *meant)


@pytest.mark.parametrize("cell", ["2016-07", "2016年7月", "Jul 2016", "07/2016", "july 2016"])
def test_a_month_without_a_day_is_its_first(cell: str) -> None:
    assert read([cell] * 3)[0] == datetime(2016, 7, 1)


@pytest.mark.parametrize(
    "cell",
    [
        "12.5", "2016", "1-2", "3/4", "2016-13-45", "31/02/2016", "v1.2.3", "tomorrow", "1e5", "1.2.34", "192.168.1.1",
        "555-1234", "3:0", "12:75", "25:00", "AB-12", "May 5", "Mar", "2023-45", "$1,200.50", "1,234,567", "48.1,11.5",
        "12345678", "may 50 2016", "2016-07-13 and more", "13:59:00 apples", "2016-07/13", "12 34 56",
    ],
)  # fmt: skip
def test_other_cells_are_no_dates(cell: str) -> None:
    assert find_writing(pl.Series([cell] * 3)) is None


@pytest.mark.parametrize(
    ("cells", "orders", "day_format"),
    [
        (["03/04/2016", "05/06/2016"], ("dmy", "mdy"), "%d/%m/%Y"),
        (["03/04/2016", "13/06/2016"], ("dmy",), "%d/%m/%Y"),
        (["03/04/2016", "05/26/2016"], ("mdy",), "%m/%d/%Y"),
        (["2016-04-03", "2016-04-03", "05/26/2016"], ("mdy",), "%Y-%m-%d"),
        (["01/07/16", "02/07/16"], ("dmy", "mdy", "ymd"), "%d/%m/%y"),
        ([f"{day:02}-01-23" for day in range(1, 32)], ("dmy",), "%d-%m-%y"),
        ([f"23-01-{day:02}" for day in range(1, 32)], ("ymd",), "%y-%m-%d"),
        (["31.12.16", "30.11.15"], ("dmy", "ymd"), "%d.%m.%y"),
        (["31.12.2016", "01.02.2016"], (), "%d.%m.%Y"),
    ],
)
def test_the_order_of_numbers_is_what_all_cells_allow(
    cells: list[str], orders: tuple[str, ...], day_format: str
) -> None:
    assert find_writing(pl.Series(cells)) == Writing(day_format, orders)  # type: ignore[arg-type]


def test_an_order_that_is_not_known_is_not_guessed() -> None:
    cells = pl.Series(["2016-07-13", "03/04/2016", "01/07/16"])
    assert parse_text(cells, None).to_list() == [datetime(2016, 7, 13), None, None]
    assert parse_text(cells, "mdy").to_list() == [datetime(2016, 7, 13), datetime(2016, 3, 4), datetime(2016, 1, 7)]


def test_years_of_two_digits_are_those_of_posix() -> None:
    cells = ["31-DEC-68", "01-JAN-69", "01-JAN-99", "01-JAN-00"]
    assert [found.year for found in read(cells) if found] == [2068, 1969, 1999, 2000]


def test_zones_in_one_spelling() -> None:
    cells = [
        "T05:30Z",
        " 05:30 UTC",
        " 05:30+08",
        " 05:30+0800",
        " 05:30 GMT+8",
        " 05:30-03:30",
        " 05:30 EST",
        " 05:30",
        "",
    ]
    found = [zones_of(pl.Series([f"2016-07-13{cell}"])) for cell in cells]
    expected = ["+00:00", "+00:00", "+08:00", "+08:00", "+08:00", "-03:30", "EST", ""]
    assert found == [*((zone,) for zone in expected), ()]


DAYS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y年%m月%d日",
    "%d.%m.%Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
    "%Y%m%d",
    "%a %d %b %Y",
)
TIMES = ("", " %H:%M:%S", "T%H:%M:%S.%f", " %H:%M", " %I:%M:%S %p", " %H:%M:%S+01:00", " %H:%M:%S.%f CET")


@given(
    st.lists(st.datetimes(datetime(1901, 1, 1), datetime(2099, 12, 31)), min_size=1, max_size=5),
    st.sampled_from(DAYS),
    st.sampled_from(TIMES),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(moments: list[datetime], day: str, time: str, upper: bool) -> None:
    written = [moment.strftime(f"{day}{time}") for moment in moments]
    whole = [moment.strftime(f"%Y-%m-%d{time.removesuffix('+01:00').removesuffix(' CET')}") for moment in moments]
    form = f"%Y-%m-%d{time.removesuffix('+01:00').removesuffix(' CET')}"
    expected = [datetime.strptime(text, form) for text in whole]
    cells = pl.Series([text.upper() if upper else text for text in written])
    for day_format in (None, day):
        assert parse_text(cells, None, day_format).to_list() == expected


@given(st.lists(st.text(max_size=90) | st.text("0123456789-/.: TAPMZ年月日+", max_size=30) | st.none(), max_size=20))
@settings(max_examples=40, deadline=None)
def test_any_cells_are_read_or_left(cells: list[str | None]) -> None:
    series = pl.Series(cells, dtype=pl.String)
    for order in (None, "dmy", "mdy", "ymd"):
        assert len(parse_text(series, order)) == len(cells)  # type: ignore[arg-type]
    assert len(parse_text(series, None, TIME_OF_DAY)) == len(cells)
    find_writing(series)
    zones_of(series)


@given(st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y"]), st.integers(1, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_cell_means_the_same_alone_and_in_its_column(day_format: str, seed: int) -> None:
    moments = [datetime.fromordinal(730_000 + (seed * 37 + row * 41) % 9_000) for row in range(60)]
    cells = [moment.strftime(day_format) for moment in moments]
    found = find_writing(pl.Series(cells))
    assert found is not None
    assert found.orders == (("dmy",) if day_format.startswith("%d") else ("mdy",))
    assert [parse_text(pl.Series([cell]), found.orders[0])[0] for cell in cells[:5]] == moments[:5]
