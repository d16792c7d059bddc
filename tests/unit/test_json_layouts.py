from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import DataError, SchemaError
from luban.data import lines
from luban.data.sources import read

ROWS = [{"x": row, "text": f"row {row}", "y": "ab"[row % 2]} for row in range(12)]


def write(folder: Path, content: str, name: str = "a.json") -> Path:
    path = folder / name
    path.write_text(content, "utf-8")
    return path


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize(
    ("content", "how"),
    [
        (json.dumps({"data": ROWS}), "the objects below 'data'"),
        (json.dumps({"data": ROWS}, indent=1), "the objects below 'data'"),
        (json.dumps({"meta": {"n": 12}, "result": {"rows": ROWS}}), "the objects below 'result.rows'"),
        ('{"data": [\n' + ",\n".join(map(json.dumps, ROWS)) + "\n]}", "the objects below 'data'"),
        ("\n".join(json.dumps(row, indent=2) for row in ROWS), "as objects one behind the other"),
        ("".join(map(json.dumps, ROWS)), "as objects one behind the other"),
        (
            json.dumps({"columns": [*ROWS[0]], "data": [[*row.values()] for row in ROWS]}),
            "as arrays below 'columns' and",
        ),
        (json.dumps([[*ROWS[0]], *([*row.values()] for row in ROWS)]), "as arrays below one of names"),
        ("\n".join(map(json.dumps, [[*ROWS[0]], *([*row.values()] for row in ROWS)])), "as arrays below one of names"),
        (json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}), "as columns of cells"),
        (",\n".join(map(json.dumps, ROWS)), ""),
        (json.dumps(ROWS), ""),
    ],
)
def test_any_layout_of_rows_reads_back(tmp_path: Path, content: str, how: str, suffix: str) -> None:
    table = read(write(tmp_path, content, f"a{suffix}"))
    assert table.frame.to_dicts() == ROWS
    assert table.row_numbers.tolist() == list(range(1, 13))
    assert table.notes == () if not how else table.notes[0].startswith(f"a{suffix}: read {how}")


@pytest.mark.parametrize("orient", ["columns", "index", "records", "split", "table"])
@pytest.mark.parametrize("index", [None, [f"name {row}" for row in range(12)]])
def test_what_pandas_writes_reads_back(tmp_path: Path, orient: str, index: list[str] | None) -> None:
    frame = pd.DataFrame(ROWS, index=index)
    table = read(write(tmp_path, frame.to_json(orient=orient)))  # type: ignore[call-overload]
    assert table.frame.select(*ROWS[0]).to_dicts() == ROWS


def test_one_object_is_one_row(tmp_path: Path) -> None:
    for content in ('{"x": 1, "y": [1, 2]}', '{\n "x": 1,\n "y": [1, 2]\n}'):
        assert read(write(tmp_path, content)).frame.to_dicts() == [{"x": 1, "y": [1, 2]}]


def test_cells_that_are_not_there_are_missing(tmp_path: Path) -> None:
    content = json.dumps({"x": {"0": 1, "1": 2}, "y": {"1": "b"}})
    assert read(write(tmp_path, content)).frame.to_dicts() == [{"x": 1, "y": None}, {"x": 2, "y": "b"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"a": ROWS, "b": ROWS}), r"expected one array of objects, found 'a', 'b'. Write it as JSON Lines"),
        (
            "[[1, 2], [3, 4]]",
            r"arrays below an array of different names, found arrays such as \[1, 2\]",
        ),
        ('"text"', r"expected JSON objects, found one value, 'text'"),
        ('{"x": 1}{"x"', r"expected JSON objects, found an error \(.*line 1 column 13"),
        ("{'x': 1}\n" * 5, r"found 5 of 5 .*the layout is another one: write a JSON object a line"),
        ("{'x': 1}", r"expected JSON objects, found an error \(Expecting property name"),
    ],
)
def test_other_layouts_are_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, content))


def test_objects_that_share_no_keys_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "\n".join(json.dumps({f"key {row}": row, "y": "a"}) for row in range(500))
    assert len(read(write(tmp_path, content, "a.jsonl")).columns) == 501
    monkeypatch.setattr(lines, "MOST_CELLS", 100_000)
    with pytest.raises(DataError, match=r"found 501 keys in 500 objects of 2.0 on average. Write what differs from"):
        read(write(tmp_path, content, "a.jsonl"))
    full = [{f"key {key}": key for key in range(500)}] * 500
    assert read(write(tmp_path, json.dumps(full))).frame.shape == (500, 500)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "0", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0", "data"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(values=st.lists(JSON, min_size=1, max_size=3), indent=st.sampled_from([None, 1]))
def test_any_json_is_a_table_or_one_clear_error(
    values: list[Any], indent: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = "\n".join(json.dumps(value, indent=indent) for value in values)
    with contextlib.suppress(DataError, SchemaError):
        assert len(read(write(tmp_path_factory.mktemp("json"), content))) > 0


@pytest.mark.parametrize("as_triples", [False, True])
def test_spans_of_characters_are_lists_of_objects(tmp_path: Path, as_triples: bool) -> None:
    span: Any = [0, 4, "LOC"] if as_triples else {"start": 0, "end": 4, "label": "LOC"}
    rows = [{"text": "Wien ist", "spans": [span]}, {"text": "Ja", "spans": []}, {"text": "Nein", "spans": None}]
    content = "\n".join(map(json.dumps, rows))
    table = read(write(tmp_path, content, "a.jsonl"))
    assert table.columns == ["text", "spans"]
    assert table.frame["spans"].to_list() == [[{"start": 0, "end": 4, "label": "LOC"}], [], None]
    assert read(rows).frame["spans"].to_list() == table.frame["spans"].to_list()


@pytest.mark.parametrize(
    "cells", [[["1", "2", "3"]], [["a", "b", "c"]], [["0", "4"]], [["4", "0", "x"]], [[0, 4, None]]]
)
def test_other_lists_of_lists_stay_as_they_are(tmp_path: Path, cells: list[Any]) -> None:
    table = read(write(tmp_path, json.dumps({"text": "Wien", "cells": cells}), "a.jsonl"))
    assert table.frame["cells"].dtype.inner.__class__.__name__ == "List"  # type: ignore[attr-defined]
