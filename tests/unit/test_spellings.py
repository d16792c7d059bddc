from __future__ import annotations

import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luban.data.table import Table
from luban.features.parsing.columns import as_trained, in_one_writing
from luban.features.parsing.spellings import Spelling, alike, known, likely_cause, respelled

COMPOSED, DECOMPOSED = "café", unicodedata.normalize("NFD", "café")


@pytest.mark.parametrize(
    ("cells", "meant"),
    [
        (
            ["True", "True", "true", "TRUE", "1", "False", "0"],
            {"1": "True", "TRUE": "True", "true": "True", "0": "False"},
        ),
        (["0", "0", "1", "1", "1.0"], {"1.0": "1"}),
        (["yes", "yes", "Yes", "no"], {"Yes": "yes"}),
        (["yes", "yes", "YES", "no", "unknown"], {"YES": "yes"}),
        (["1", "1", "01", "10"], {"01": "1"}),
        (["01", "02", "10"], {}),  # codes of one width
        (["1.1", "1.10", "1.0"], {}),  # versions
        ([COMPOSED, COMPOSED, DECOMPOSED, "tea"], {DECOMPOSED: COMPOSED}),
        (["AB", "AB", "ＡＢ", "カ", "カ", "ｶ"], {"ＡＢ": "AB", "ｶ": "カ"}),
        (["red", "Red", "RED"], {}),  # case may tell values apart
        (["A", "Y", "y", "N", "n"], {}),  # letters of an alphabet, not answers
        (["NO", "no", "SE"], {}),  # countries
        (["x²", "x2"], {}),  # more than width
    ],
)
def test_spellings_of_one_value_are_found(cells: list[str], meant: dict[str, str]) -> None:
    assert alike(pl.Series(cells)) == meant


@pytest.mark.parametrize(
    ("cells", "values", "meant"),
    [
        (
            ["true", "0", "1.0", "FALSE"],
            ["False", "True"],
            {"0": "False", "1.0": "True", "FALSE": "False", "true": "True"},
        ),
        (["true", "False"], ["0", "1"], {"False": "0", "true": "1"}),
        (["true", "false", "TRUE"], ["false", "true"], {"TRUE": "true"}),
        (["101.0", "102"], ["101", "102"], {"101.0": "101"}),
        (["2139", "10001"], ["02139", "10001"], {"2139": "02139"}),
        (["blue ", "ｂｌｕｅ"], ["blue"], {"blue ": "blue", "ｂｌｕｅ": "blue"}),
        (["Blue", "green"], ["blue"], {}),
        (["1", "2"], ["yes", "no", "maybe"], {}),
        (["x"], [], {}),
    ],
)
def test_values_are_known_in_other_spellings(cells: list[str], values: list[str], meant: dict[str, str]) -> None:
    assert known(pl.Series(cells), values) == meant


@given(st.lists(st.text(max_size=6), max_size=12))
def test_a_value_of_the_training_stays_what_it_is(values: list[str]) -> None:
    cells = pl.Series("x", values, dtype=pl.String)
    once = respelled(cells, alike(cells))
    assert alike(once) == {}
    assert set(once.to_list()) <= set(values)
    assert respelled(cells, known(cells, sorted(set(values)))).to_list() == values


def test_forms() -> None:
    assert Spelling.of(["true", "false"]) == Spelling(are_booleans=True)
    assert Spelling.of(["007", "123"]) == Spelling(width=3)
    assert Spelling.of(["7", "123"]).form("+007.00") == "7"
    assert Spelling.of(["a"]).form("-0") == "0"


@pytest.mark.parametrize(
    ("new", "values", "cause"),
    [
        (["yes", "no"], ["Yes", "No"], ("case", "yes", "Yes")),
        (["cafe"], [COMPOSED], ("accents", "cafe", COMPOSED)),
        (["New-York", "Boston"], ["new york"], ("blanks and marks", "New-York", "new york")),
        (["Rome"], ["Oslo"], None),
        ([], ["Oslo"], None),
    ],
)
def test_the_likely_cause_is_named(new: list[str], values: list[str], cause: tuple[str, str, str] | None) -> None:
    assert likely_cause(new, values) == cause


def table(**columns: list[object]) -> Table:
    frame = pl.DataFrame(columns)
    return Table(frame, "rows.csv", None, np.arange(1, frame.height + 1))


def test_the_commonest_spelling_of_the_training_stands_for_the_value() -> None:
    found = in_one_writing(table(y=["1.0", "0", "0", "1", "1"]), (), ["y"])
    assert found.table.frame["y"].to_list() == ["1", "0", "0", "1", "1"]
    assert found.notes == ("column 'y': values in several spellings are taken for one ('1.0' = '1')",)


def test_columns_of_other_types_are_spelled_as_in_training() -> None:
    rows = table(member=[True, False, None], store=[101.0, 102.0, 7.5])
    found = as_trained(rows, {}, {"member": ("True", "False"), "store": ("101", "102")})
    assert found.table.frame["member"].to_list() == ["True", "False", None]
    assert found.table.frame["store"].to_list() == [101.0, 102.0, 7.5]
    assert found.notes == (
        "column 'member': values in several spellings are taken for one ('false' = 'False', 'true' = 'True')",
    )
