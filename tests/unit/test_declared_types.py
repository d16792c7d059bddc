from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from luban.core.errors import DataError
from luban.data import sources
from luban.features import schema
from luban.features.cells import strings
from luban.features.number import parse_numbers
from luban.outputs import flat
from luban.tasks import infer_task

ROWS = 60
WORDS = ["a", "b", "c"] * (ROWS // 3)
ZONES = [1, 2, 3] * (ROWS // 3)


def kinds(source: object) -> dict[str, str]:
    return {plan.name: plan.kind for plan in schema.plan(sources.read(source), target=None)}


TYPED = {
    "enum": pl.Series(WORDS, dtype=pl.Enum(["a", "b", "c", "d"])),
    "category": pl.Series(WORDS, dtype=pl.Categorical()),
    "decimal": pl.Series([Decimal(number) / 4 for number in range(ROWS)]),
    "duration": pl.Series(range(ROWS)).cast(pl.Duration("ms")),
    "time": pl.Series([dt.time(number % 24, number) for number in range(ROWS)]),
    "uint64": pl.Series([2**63 + number for number in range(ROWS)], dtype=pl.UInt64),
    "bool": pl.Series([True, False] * (ROWS // 2)),
    "null": pl.Series([None] * ROWS, dtype=pl.Null),
    "bytes": pl.Series([bytes([number]) for number in range(ROWS)]),
    "words": pl.Series([[word, "z"] for word in WORDS]),
    "numbers": pl.Series([[1.5, float(number)] for number in range(ROWS)]),
    "objects": pl.Series([[{"x": number}] for number in range(ROWS)]),
}
KINDS = {
    "enum": "category",
    "category": "category",
    "decimal": "number",
    "duration": "number",
    "time": "date",
    "uint64": "number",
    "bool": "category",
    "null": "ignore",
    "bytes": "ignore",
    "words": "labels",
    "numbers": "sequence",
    "objects": "ignore",
}


@pytest.mark.parametrize("name", TYPED)
def test_types_are_kept_as_declared(name: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": TYPED[name], "other": range(ROWS)})
    frame.write_parquet(tmp_path / "typed.parquet")
    for source in (frame, tmp_path / "typed.parquet", frame.to_arrow()):
        assert kinds(source)["x"] == KINDS[name]


def test_categories_of_numbers_stay_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "zone": pd.Categorical(ZONES),
            "half": pd.Categorical([zone / 2 for zone in ZONES]),
            "flag": pd.Categorical([zone > 1 for zone in ZONES]),
            "count": ZONES,
        }
    )
    frame.loc[0, "zone"] = None
    frame.to_parquet(tmp_path / "zones.parquet")
    for source in (frame, tmp_path / "zones.parquet", pl.DataFrame({"zone": ZONES}).to_pandas().astype("category")):
        assert kinds(source)["zone"] == "category"
    assert kinds(frame) == {"zone": "category", "half": "category", "flag": "category", "count": "number"}
    read = sources.read(frame).frame
    assert strings(read["zone"]).to_list()[:4] == [None, "2", "3", "1"]
    assert strings(read["half"]).to_list()[:3] == ["0.5", "1", "1.5"]


def test_a_dictionary_of_arrow_is_a_category() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"zone": pa.array(ZONES).dictionary_encode(), "count": ZONES})
    assert kinds(table) == {"zone": "category", "count": "number"}
    assert kinds(table.to_pandas(types_mapper=pd.ArrowDtype)) == {"zone": "category", "count": "number"}


def test_the_parts_of_objects_are_columns_of_their_own() -> None:
    people = [{"age": 30 + number, "home": {"city": word}} for number, word in enumerate(WORDS)]
    frame = pl.DataFrame({"id": range(ROWS), "person": people, "last": [None, *people[1:]]})
    table = sources.read(frame)
    assert table.columns == ["id", "person.age", "person.home.city", "last.age", "last.home.city"]
    assert table.frame["person.home.city"].to_list() == WORDS
    assert table.frame["last.age"].to_list()[:2] == [None, 31]
    assert table.notes == (
        "DataFrame: the parts of objects are columns of their own: 'person.age', 'person.home.city', 'last.age', "
        "'last.home.city'",
    )


def test_objects_whose_parts_have_the_name_of_a_column_stay() -> None:
    table = sources.read(pl.DataFrame({"a": [{"b": 1}, {"b": 2}], "a.b": [3, 4]}))
    assert table.columns == ["a", "a.b"]
    assert table.notes == ()


def test_what_no_column_can_hold_is_one_sentence() -> None:
    frame = pd.DataFrame({"x": [[object()], [object()]]})
    with pytest.raises(DataError, match="column 'x': expected numbers, texts, dates, bytes or lists of them, found"):
        sources.read(frame)


def test_durations_are_seconds() -> None:
    cells = pl.Series("wait", [dt.timedelta(minutes=2), None, dt.timedelta(milliseconds=1500)])
    numbers, is_other = parse_numbers(cells)
    assert numbers[[0, 2]].tolist() == [120, 1.5]
    assert not is_other.any()
    assert strings(cells).to_list() == ["2m", None, "1s 500ms"]
    assert flat(cells.to_frame())["wait"].to_list() == ["2m", None, "1s 500ms"]
    table = sources.read(pl.DataFrame({"wait": pl.Series(range(ROWS)).cast(pl.Duration("ms"))}))
    assert infer_task(schema.profile(table, "wait")).name == "regression"
