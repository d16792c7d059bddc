from __future__ import annotations

import time
from itertools import accumulate
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.data.config import MISSING_VALUES
from luban.data.sources import read
from luban.features import infer, schema
from luban.features.glance import settle

CELLS = [
    st.integers(-3, 3).map(str),
    st.integers(0, 12_000).map(str),
    st.floats(-999, 999).map(lambda value: f"{value:.2f}"),
    st.floats(-1e-3, 1e-3).map(str),
    st.sampled_from(["2023.03", "2021.12", "2022.01", "1999.07"]),
    st.sampled_from(["12.03", "01.04", "30.09"]),
    st.sampled_from(["20230301", "20210412", "19990707"]),
    st.sampled_from(["red", "Green", "blue"]),
    st.sampled_from(["True", "false", "yes", "nan", "inf"]),
    st.sampled_from(["007", "012", "34"]),
    st.sampled_from(["5 kg", "6 kg", "1,234"]),
]
COLUMNS = st.tuples(st.sampled_from(CELLS), st.sampled_from([(), ("",), ("NA", ""), ("?", "None")])).flatmap(
    lambda drawn: st.lists(st.one_of(drawn[0], *map(st.just, drawn[1])), min_size=30, max_size=30)
)
TYPED = st.one_of(
    st.lists(st.none() | st.integers(-20_000, 20_000), min_size=30, max_size=30),
    st.lists(st.none() | st.integers(0, 3), min_size=30, max_size=30),
    st.lists(st.none() | st.floats(-50, 50) | st.just(float("nan")), min_size=30, max_size=30),
)


RISING = st.tuples(st.integers(0, 3), st.lists(st.integers(0, 2), min_size=29, max_size=29)).map(
    lambda drawn: list(accumulate([drawn[0], *drawn[1]]))
)


@settings(max_examples=150, deadline=None)
@given(
    column=st.one_of(
        COLUMNS,
        TYPED,
        RISING,
        RISING.map(lambda cells: list(map(str, cells))),
        st.permutations(range(30)),
        st.sampled_from([list(map(str, range(30))), list(range(1, 31)), [*range(29), None]]),
    ),
    name=st.sampled_from(["x", "user_id", "time", "Unnamed: 0"]),
)
def test_a_glance_finds_what_a_closer_look_finds(column: list[object], name: str) -> None:
    table = read(pl.DataFrame({name: pl.Series(column, strict=False), "y": ["a", "b"] * 15}))
    (found,) = schema.plan(table, target="y", missing_values=MISSING_VALUES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infer, "settle", lambda *_: {})
        (expected,) = schema.plan(table, target="y", missing_values=MISSING_VALUES)
    assert found == expected


def test_short_numbers_and_words_are_settled(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "number": [f"{row % 7}.5" for row in range(40)],
            "marked": ["NA" if row % 5 == 0 else str(row % 9) for row in range(40)],
            "typed": [row % 9 for row in range(40)],
            "word": ["red", "green"] * 20,
            "text": [f"some words {row}" for row in range(40)],
            "user_id": [str(row % 9) for row in range(40)],
            "counts": list(range(1, 41)),
            "counts too": [str(row) for row in range(40)],
            "rises": list(range(7, 47)),
            "rises too": [str(row**2) for row in range(40)],
        }
    )
    found = settle(read(frame), frame.columns, MISSING_VALUES)
    assert {name: (seen.kind, seen.num_unique) for name, seen in found.items()} == {
        "number": ("number", 7), "marked": ("number", 10), "typed": ("number", 9), "word": ("category", 2),
        "rises": ("number", 40), "rises too": ("number", 40),
    }  # fmt: skip


def test_names_of_files_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{row}.5,{row % 2}\n" for row in range(3, 30)), "utf-8")
    assert set(settle(read(path), ["x"], ())) == {"x"}
    (tmp_path / "3.5").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert settle(read(path), ["x"], ()) == {}


def test_thousands_of_columns_take_no_longer_than_they_must() -> None:
    frame = pl.DataFrame({f"c{place}": [str(row * place % 97) for row in range(50)] for place in range(1, 2_001)})
    table = read(frame.with_columns(y=pl.Series(["a", "b"] * 25)))
    start = time.process_time()
    plans = schema.plan(table, target="y", missing_values=MISSING_VALUES)
    assert time.process_time() - start < 4  # seconds; a closer look at each takes 16 in all
    assert len(plans) == 2_000
