from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.data.table import Table
from luban.features.base import ColumnProfile
from luban.features.number import NumberFeature, parse_numbers
from luban.features.parsing.columns import as_trained, in_one_writing
from luban.features.parsing.numbers import Writing, plainly, read, reads, several_units


def column(*cells: str | None) -> pl.Series:
    return pl.Series("x", cells, dtype=pl.String)


def table(**columns: Any) -> Table:
    frame = pl.DataFrame(columns)
    return Table(frame, "new.csv", None, np.arange(1, frame.height + 1))


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["189.00", "(1,143.00)", "(86.00)"], [189, -1143, -86]),
        (["1,143.00-", "86.00-", "5.5"], [-1143, -86, 5.5]),
        (["\u221211.43", "－3", "–2", "+7"], [-11.43, -3, -2, 7]),
        (["51'890.00", "38\u2019570.50"], [51890, 38570.5]),
        (["1\u202f234,5", "12\u00a0000,25", "1\u2009000"], [1234.5, 12000.25, 1000]),
        (["1 234", "12 500"], [1234, 12500]),
        (["1,23,456.50", "12,34,567", "99"], [123456.5, 1234567, 99]),
        (["５１．８９", "３８.５"], [51.89, 38.5]),
        (["٣٤", "१२.५", "٣٫٥"], [34, 12.5, 3.5]),
        (["51.9%", "３８％", "-4 %"], [51.9, 38, -4]),
        (["3‰", "4.5‰"], [3, 4.5]),
        (["$15,189.00", "-$3", "$-4", "$(5.00)", "($7)"], [15189, -3, -4, -5, -7]),
        (["€ 5", "5,50 €", "1.234,50 EUR"], [5, 5.5, 1234.5]),
        (["￥100", "¥2,500"], [100, 2500]),
        (["200元", "CNY 3", "5 RMB"], [200, 3, 5]),
        (["US$5", "USD 6", "7 $"], [5, 6, 7]),
        (["46.2 kg", "38 KG", "1 Kg."], [46.2, 38, 1]),
        (["5GB", "10 GB"], [5, 10]),
        (["30 °C", "-5°C"], [30, -5]),
        (["3 years", "1 year"], [3, 1]),
        (["25岁", "31岁"], [25, 31]),
        (["51.89K", "38k", "1.2m", "3M"], [51890, 38000, 1.2e6, 3e6]),
        (["$1.5m", "$2bn", "$3 million"], [1.5e6, 2e9, 3e6]),
        (["3.2万", "1亿", "5万元"], [32000, 1e8, 50000]),
        (["1e3", "2.5E-2", "1,000"], [1000, 0.025, 1000]),
        (["1,234", "5,678"], [1234, 5678]),
        (["1,5", "-12,25", "1.234,5"], [1.5, -12.25, 1234.5]),
        (["1.234.567", "2.000.000"], [1234567, 2000000]),
        (["0,5", "1,5", "2,5"], [0.5, 1.5, 2.5]),
        (["12.5 kg", "50,12 kg"], [12.5, 50.12]),
        (["5.", ".5", "-.5", None], [5, 0.5, -0.5, math.nan]),
    ],
    ids=lambda cells: str(cells[0]),
)
def test_numbers_are_read_as_they_are_written(cells: list[str | None], numbers: list[float]) -> None:
    found, is_other = parse_numbers(column(*cells))
    assert found.tolist() == pytest.approx(numbers, nan_ok=True)
    assert not is_other.any()


@pytest.mark.parametrize(
    "cells",
    [
        ["12-34", "13-45"],
        ["+1 555 123 4567", "+1 555 987 6543"],
        ["555 123 456", "555 999 111"],
        ["(02) 1234 5678", "(03) 1111 2222"],
        ["2016-12-31", "2017-01-02"],
        ["12.05.2016", "13.06.2017"],
        ["1.2.3", "2.10.4"],
        ["192.168.1.1", "10.0.0.7"],
        ["192.168.100.200", "192.168.111.222"],
        ["02139", "01001"],
        ["０２１３９", "０１００１"],
        ["10-20", "20-30"],
        ["10:30", "11:45"],
        ["12A", "13B", "14C"],
        ["5 kg", "300 g"],
        ["1,2", "3,4", "10,2"],
        ["0,1", "1,0", "1,1"],
        ["48.1,11.5", "47.2,8.5"],
        ["v1.2", "v1.3"],
        ["5/10", "7/10"],
        ["<5", "7"],
    ],
    ids=lambda cells: cells[0],
)
def test_what_only_looks_like_numbers_stays_what_it_is(cells: list[str]) -> None:
    series = column(*cells * 10)
    assert NumberFeature.match(ColumnProfile("x", series, len(series), 0, series.n_unique())) == 0


def test_several_units_are_named() -> None:
    assert several_units(column("5 kg", "300 g", "7 kg")) == ("kg", "g")
    assert several_units(column("12A", "13B", "14C")) == ()  # seats
    assert several_units(column("5 kg", "7")) == ()


def test_the_hint_decides_where_the_cells_do_not_tell() -> None:
    assert reads(column("1,234", "5,678")).values.tolist() == [1234, 5678]
    assert reads(column("1,234", "5,678"), "comma").values.tolist() == [1.234, 5.678]
    assert reads(column("1.234", "5.678"), "comma").values.tolist() == [1234, 5678]
    assert reads(column("1,234.5", "5,678"), "comma").values.tolist() == [1234.5, 5678]


def test_a_unit_of_the_training_is_the_only_one_that_is_read() -> None:
    found = read(column("5 kg", "6", "300 g", "n/a"), None, "kg", is_known=True)
    assert found.values.tolist() == pytest.approx([5, 6, math.nan, math.nan], nan_ok=True)
    assert found.is_other.tolist() == [False, False, True, True]


NUMBERS = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 2))
WRITINGS = {
    "accounting": lambda value: f"({-value:,.2f})" if value < 0 else f"{value:,.2f}",
    "trailing minus": lambda value: f"{abs(value):,.2f}{'-' * (value < 0)}",
    "minus sign": lambda value: f"{value:.2f}".replace("-", "\u2212"),
    "apostrophes": lambda value: f"{value:,.2f}".replace(",", "’"),
    "blanks and commas": lambda value: f"{value:,.2f}".replace(",", "\u202f").replace(".", ","),
    "points and commas": lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,")),
    "full width": lambda value: "".join(chr(ord(letter) + 0xFEE0) for letter in f"{value:.2f}"),
    "dollars": lambda value: f"{'-' * (value < 0)}${abs(value):,.2f}",
    "kilograms": lambda value: f"{value:,.2f} kg",
    "per cent": lambda value: f"{value:.2f}%",
}


@pytest.mark.parametrize("name", WRITINGS)
@given(numbers=st.lists(NUMBERS, min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_every_number_comes_back_from_every_writing(name: str, numbers: list[float]) -> None:
    cells = column(*(WRITINGS[name](value) for value in numbers))
    found = read(cells, is_known=True)
    assert found.values.tolist() == pytest.approx(numbers, abs=1e-6)
    assert plainly(cells, found).cast(pl.Float64).to_list() == pytest.approx(numbers, abs=1e-6)


@given(st.lists(st.text(max_size=12) | st.none(), max_size=10))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_left(cells: list[str | None]) -> None:
    series = column(*cells)
    found = read(series.str.strip_chars(), is_known=True)
    assert found.values.shape == found.is_other.shape == (len(cells),)
    assert not (found.is_other & ~np.isnan(found.values)).any()


def test_training_rows_are_written_plainly_and_what_is_missing_stays() -> None:
    rows = table(price=["$1,234.50", "-", "($3)", "7"], size=["1.5", "2", "3", "4"])
    found = in_one_writing(rows, ["price", "size"], [], ["-"])
    assert found.table.frame["price"].to_list() == ["1234.5", "-", "-3", "7"]
    assert found.numbers["price"] == Writing("point", "$", "$1,234.50")
    assert found.numbers["size"].is_plain
    assert found.notes == ("new.csv: numbers are read as they are written: price '$1,234.50' = 1234.5",)


def test_the_columns_of_a_file_tell_each_other_what_commas_are() -> None:
    found = in_one_writing(table(price=["1,5", "-12,25"], weight=["1,250", "2,375"]), ["price", "weight"], [])
    assert found.table.frame["weight"].to_list() == ["1.25", "2.375"]
    found = in_one_writing(table(price=["1,500", "2,250"], weight=["1,250", "2,375"]), ["price", "weight"], [])
    assert found.table.frame["weight"].to_list() == ["1250", "2375"]


PLAIN, COMMAS = Writing(), Writing("comma", "", "1,5")


@pytest.mark.parametrize(
    ("training", "cells", "read_as"),
    [
        (PLAIN, ["50,12", "12,5"], ["50.12", "12.5"]),
        (PLAIN, ["1,2"], ["1.2"]),
        (PLAIN, ["1,234"], ["1234"]),
        (COMMAS, ["1,234"], ["1.234"]),
        (COMMAS, ["1.234"], ["1.234"]),
        (COMMAS, ["1,234.5"], ["1234.5"]),
        (PLAIN, ["46.2 kg"], ["46.2"]),
        (Writing("point", "kg", "5 kg"), ["46.2"], ["46.2"]),
        (Writing("point", "$", "$5"), ["7 USD", "8 €"], ["7", "8 €"]),
        (PLAIN, ["true", "FALSE", None], ["1", "0", None]),
        (PLAIN, ["true", "5"], ["true", "5"]),
    ],
)
def test_other_rows_are_read_as_those_of_the_training(
    training: Writing, cells: list[str | None], read_as: list[str | None]
) -> None:
    found = as_trained(table(x=cells), {"x": training}, {})
    assert found.table.frame["x"].to_list() == read_as


def test_what_is_written_otherwise_than_in_training_is_told_once() -> None:
    found = as_trained(table(x=["50,12"], y=["(3)"], z=["5 kg"]), {"x": PLAIN, "y": PLAIN, "z": PLAIN}, {})
    assert found.notes == (
        "column 'z': the numbers are in 'kg' here, and had no unit in training: they are taken to be in the same",
        "new.csv: numbers are written otherwise than in training, and read as: x '50,12' = 50.12, y '(3)' = -3, "
        "z '5 kg' = 5",
    )
    assert as_trained(table(x=["50.12"]), {"x": PLAIN}, {}).notes == ()


@pytest.mark.parametrize("cells", [["1,234", "2,345", "n,a", "3,456"], ["1,5", "2,345", "?,?", None]])
def test_rows_that_were_read_once_are_not_read_otherwise_again(cells: list[str | None]) -> None:
    written = {"x": Writing("comma")}
    once = as_trained(table(x=cells), written, {}).table
    assert as_trained(once, written, {}).table.frame.equals(once.frame)
    trained = in_one_writing(table(x=["0,5", "1,25", *cells]), ["x"], [])
    assert as_trained(trained.table, trained.numbers, {}).table.frame.equals(trained.table.frame)
