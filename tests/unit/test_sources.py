from __future__ import annotations

import datetime as dt
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import DataError, SchemaError
from luban.core.sentence import with_parts
from luban.data import batches, delimited, json_layouts, lines, sources
from luban.data.sources import fingerprint, read

JSON_VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))


def write(folder: Path, content: str | bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- plain text and JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["poem.txt", "poem.md", "poem.txt.gz"])
def test_text_is_one_row_a_line(tmp_path: Path, name: str) -> None:
    content = "# 静夜思\r\n\r\n床前明月光，\n  疑是地上霜。\n \n".encode()
    table = read(write(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name))
    assert table.frame.to_dict(as_series=False) == {"text": ["# 静夜思", "床前明月光，", "  疑是地上霜。"]}
    assert table.row_numbers.tolist() == [1, 3, 4]
    assert table.notes == (f"{name}: read as plain text, one row a line that is not blank",)


def test_text_in_gb18030_is_noted_and_bad_lines_are_set_aside(tmp_path: Path) -> None:
    rows = ["床前明月光，疑是地上霜。".encode("gb18030")] * 300
    rows[149], rows[200] = "床\0前".encode("gb18030"), b"\xff\xff"
    table = read(write(tmp_path, b"\n".join(rows), "poem.txt"))
    assert table.notes == ("poem.txt: read as plain text in GB18030, one row a line that is not blank",)
    assert [(bad.row, bad.reason) for bad in table.rejected] == [
        (150, "the line holds a NUL character"),
        (201, "the line holds bytes that are not GB18030"),
    ]


@pytest.mark.parametrize(("name", "kind"), [("a photo.JPG", "image"), ("声音.wav", "audio")])
def test_one_picture_or_recording_is_a_table_of_one_row(tmp_path: Path, name: str, kind: str) -> None:
    table = read(write(tmp_path, b"whatever is in it", name))
    assert table.frame.to_dict(as_series=False) == {kind: [name]}
    assert table.folder == tmp_path


def test_table_in_a_txt_file_is_a_table(tmp_path: Path) -> None:
    assert read(write(tmp_path, "id\ttext\n1\tyes\n2\tno\n", "data.txt")).columns == ["id", "text"]
    assert read(write(tmp_path, "a:b\n1:2\n", "data.txt"), separator=":").columns == ["a", "b"]


def test_real_text(shared_data: Path) -> None:
    table = read(shared_data / "shakespeare" / "input.txt")
    assert table.frame["text"][:2].to_list() == ["First Citizen:", "Before we proceed any further, hear me speak."]
    assert (len(table), table.row_numbers[-1]) == (32_777, 40_000)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"a": st.integers(-(2**63), 2**63 - 1), "b": st.text(max_size=5)}), min_size=1)
)
def test_json_reads_back_equal(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("json")
    for name, content in [("a.jsonl", "\n".join(map(json.dumps, rows))), ("a.json", json.dumps(rows, indent=1))]:
        assert read(write(folder, content, name)).frame.to_dicts() == rows


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), JSON_VALUES, min_size=1), min_size=1, max_size=6))
def test_any_scalars_give_a_table(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    table = read(write(tmp_path_factory.mktemp("json"), "\n".join(map(json.dumps, rows)), "a.ndjson"))
    assert len(table) == len(rows)
    for name in table.columns:
        assert table.frame[name].null_count() == sum(row.get(name) is None for row in rows)


def test_json_columns_have_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"n": 1, "mixed": 1, "list": ["x"]}, {"n": 2.5, "mixed": "a"}, {"late": True, "list": []}]
    path = write(tmp_path, "\ufeff" + "\n\n".join(map(json.dumps, rows)), "a.jsonl")
    for batch_rows in (100, 1):
        monkeypatch.setattr(lines, "BATCH_ROWS", batch_rows)
        table = read(path)
        assert dict(table.frame.schema) == {
            "n": pl.Float64, "mixed": pl.String, "list": pl.List(pl.String), "late": pl.Boolean,
        }  # fmt: skip
        assert table.row_numbers.tolist() == [1, 3, 5]


def test_bad_json_lines_are_set_aside(tmp_path: Path) -> None:
    rows = ['{"a": 1}'] * 600
    rows[10], rows[20], rows[30], rows[40] = '{"a": ', "[1]", '{"a": "\\ud800"}', "[" * 100_000
    table = read(write(tmp_path, "\n".join(rows), "a.jsonl"))
    assert [bad.row for bad in table.rejected] == [11, 21, 31, 41]
    reasons = [bad.reason for bad in table.rejected]
    assert "not JSON" in reasons[0]
    assert reasons[1] == "expected a JSON object, found list"
    assert reasons[2] == "a cell holds half of a surrogate pair"
    assert "not JSON" in reasons[3]


def test_json_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"a.json: expected a JSON array of objects, found an error"):
        read(write(tmp_path, '[{"a": 1},', "a.json"))
    with pytest.raises(DataError, match=r"expected rows, found none"):
        read(write(tmp_path, "[]", "a.json"))
    with pytest.raises(DataError, match=r"expected cells of one kind in each column, found cells that have no type"):
        read(write(tmp_path, '[{"a": 1}, {"a": [1]}]', "a.json"))
    monkeypatch.setattr(json_layouts, "MAX_CHARACTERS", 5)
    with pytest.raises(DataError, match=r"expected JSON of at most 5 characters, found more. Write it as JSON Lines"):
        read(write(tmp_path, '[{"a": 1}]', "a.json"))


# --- Parquet ---------------------------------------------------------------------------------------------------------


def test_parquet_keeps_types_and_flattens_files(tmp_path: Path) -> None:
    files = [{"bytes": b"x", "path": None}, {"bytes": None, "path": "b.png"}]
    frame = pl.DataFrame({"image": files, "n": [1, None], "day": [dt.date(2024, 1, 2)] * 2, "tags": [["a"], []]})
    frame.write_parquet(tmp_path / "[a]*.parquet")
    table = read(tmp_path / "[a]*.parquet")
    assert table.frame["image"].to_list() == [b"x", None]
    assert table.frame.drop("image").equals(frame.drop("image"))
    assert table.folder == tmp_path


def test_files_without_bytes_give_their_paths() -> None:
    table = read(
        pl.DataFrame(
            {"image": [{"bytes": None, "path": "b.png"}]},
            schema={"image": pl.Struct({"bytes": pl.Binary, "path": pl.String})},
        )
    )
    assert table.frame["image"].to_list() == ["b.png"]


def test_real_parquet(shared_data: Path) -> None:
    table = read(shared_data / "mnist" / "test.parquet")
    assert dict(table.frame.schema) == {"image": pl.Binary, "label": pl.Int64}
    assert table.frame["image"][0].startswith(b"\x89PNG")


@pytest.mark.parametrize("content", [b"PAR1 and then nothing", b"PAR1\x15" + bytes(100) + b"PAR1", "damaged schema"])
def test_damaged_parquet_raises(tmp_path: Path, content: bytes | str) -> None:
    if isinstance(content, str):
        pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "whole.parquet")
        content = (tmp_path / "whole.parquet").read_bytes().replace(b"/////", b"\xff////")
    with pytest.raises(DataError, match=r"expected a file that can be read, found an error"):
        read(write(tmp_path, content, "a.parquet"))


# --- large files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "IN_MEMORY_BYTES", 10)
    monkeypatch.setattr(sources, "PARQUET_BATCH_BYTES", 1_000)
    monkeypatch.setattr(batches, "PART_BYTES", 500)
    monkeypatch.setattr(delimited, "BATCH_ROWS", 100)
    monkeypatch.setattr(lines, "BATCH_ROWS", 100)


LARGE = pl.DataFrame(
    {"id": [str(row) for row in range(1_000)], "text": [f"文 {row}" if row % 3 else None for row in range(1_000)]}
)


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "jsonl"])
def test_large_file_is_read_from_the_cache(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / f"large.{suffix}"
    if suffix == "parquet":
        LARGE.write_parquet(source)
    elif suffix == "jsonl":
        LARGE.write_ndjson(source)
    else:
        content = LARGE.write_csv(separator=";").encode()
        source.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    table = read(source, cache=tmp_path / "cache")
    assert table.frame.equals(LARGE)
    assert len(list((tmp_path / "cache").rglob("*.arrow"))) > 1
    assert not list((tmp_path / "cache").rglob("*.partial"))
    assert table.notes == ((f"large.{suffix}: read with separator ';'",) if "csv" in suffix else ())
    monkeypatch.setattr(sources, "_open", None)
    again = read(source, cache=tmp_path / "cache")
    assert again.frame.equals(LARGE)
    assert (again.notes, again.row_numbers.tolist()) == (table.notes, list(range(1, 1_001)))
    assert with_parts({"notes": again.notes}) == with_parts({"notes": table.notes})
    assert fingerprint(again) == fingerprint(read(LARGE))
    assert again.take(np.array([5, 3])).frame["id"].to_list() == ["5", "3"]


@pytest.mark.usefixtures("small_memory")
def test_cache_keeps_rejected_rows_and_follows_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))
    content = LARGE.write_csv()
    source = write(tmp_path, content.replace("文 500", "文,500"), "large.csv")
    for _ in range(2):
        table = read(source)
        assert [(bad.row, bad.reason) for bad in table.rejected] == [(501, "it has 3 cells where the header has 2")]
        assert table.row_numbers.tolist() == [row for row in range(1, 1_001) if row != 501]
    (before,) = (tmp_path / "cache" / "tables").glob("*/*")
    source.write_text(content + "1000,x\n")
    assert len(read(source)) == 1_001
    (after,) = (tmp_path / "cache" / "tables").glob("*/*")
    assert before != after
    (after.parent / "photos").mkdir()
    source.write_text(content + "1000,xy\n")
    left = f"left in {after.parent}, since Luban did not write it: 'photos'"
    assert [read(source).notes for _ in range(2)] == [(left,), ()]


@pytest.mark.usefixtures("small_memory")
def test_columns_of_parts_are_brought_together(tmp_path: Path) -> None:
    rows = [{"n": row} for row in range(500)] + [{"n": "many", "late": 1.5}]
    table = read(write(tmp_path, "\n".join(map(json.dumps, rows)), "a.jsonl"), cache=tmp_path / "cache")
    assert dict(table.frame.schema) == {"n": pl.String, "late": pl.Float64}
    assert table.frame["n"].to_list() == [str(row["n"]) for row in rows]


@pytest.mark.usefixtures("small_memory")
def test_without_pyarrow_a_large_file_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    table = read(write(tmp_path, LARGE.write_csv(), "large.csv"), cache=tmp_path / "cache")
    assert table.frame.equals(LARGE)
    assert table.notes == ("large.csv: read into memory; install pyarrow to have it stay on the disk",)


@pytest.mark.usefixtures("small_memory")
def test_cache_that_cannot_be_written_raises(tmp_path: Path) -> None:
    blocked = write(tmp_path, "a file", "cache")
    with pytest.raises(DataError, match=r"large.csv: expected room for a working copy .* Set the environment variable"):
        read(write(tmp_path, LARGE.write_csv(), "large.csv"), cache=blocked)


@pytest.mark.usefixtures("small_memory")
def test_error_while_reading_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found an error"):
        read(write(tmp_path, gzip.compress(LARGE.write_csv().encode())[:-20], "a.csv.gz"), cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


# --- in memory -------------------------------------------------------------------------------------------------------

MOMENT = dt.datetime(2024, 1, 2, 3, 4)


def pandas_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "whole": [1, 2],
            "real": [0.5, np.nan],
            "text": ["a", None],
            "mixed": pd.Series([1, "a"], dtype=object),
            "flag": [True, False],
            "nullable": pd.Series([1, None], dtype="Int64"),
            "kind": pd.Series(["x", None], dtype="category"),
            "moment": [pd.Timestamp(MOMENT), pd.NaT],
            "seconds": pd.Series([MOMENT, MOMENT], dtype="datetime64[s]"),
            "zoned": pd.Series([pd.Timestamp(MOMENT, tz="Asia/Shanghai"), pd.NaT]),
            "span": [pd.Timedelta(hours=1), pd.NaT],
            "list": [[1.0, 2.0], None],
            "bytes": [b"x", None],
            7: ["number", "name"],
        }
    )


def test_pandas_types_convert() -> None:
    table = read(pandas_frame())
    first, second = table.frame.to_dicts()
    zoned = first.pop("zoned")
    assert zoned == pd.Timestamp(MOMENT, tz="Asia/Shanghai").to_pydatetime()
    assert (zoned.hour, str(table.frame["zoned"].dtype.time_zone)) == (3, "Asia/Shanghai")  # type: ignore[attr-defined]
    assert first == {
        "whole": 1, "real": 0.5, "text": "a", "mixed": "1", "flag": True, "nullable": 1, "kind": "x",
        "moment": MOMENT, "seconds": MOMENT,
        "span": dt.timedelta(hours=1), "list": [1.0, 2.0], "bytes": b"x", "7": "number",
    }  # fmt: skip
    assert [name for name, cell in second.items() if cell is None] == [
        "real", "text", "nullable", "kind", "moment", "zoned", "span", "list", "bytes",
    ]  # fmt: skip
    assert (table.name, table.folder, table.notes) == ("pandas DataFrame", None, ())


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import datetime, pandas
from luban.data.sources import read
moments = pandas.to_datetime(["2024-01-02", None])
frame = pandas.DataFrame({"a": ["x", None], "b": [1.5, None], "c": pandas.Categorical(["u", "v"]), "d": moments})
assert read(frame).frame.rows() == [("x", 1.5, "u", datetime.datetime(2024, 1, 2)), (None, None, "v", None)]
"""


def test_pandas_converts_without_pyarrow() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_PYARROW], check=True)


def test_pandas_agrees_with_polars_own_conversion(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "adult" / "adult.csv")
    assert read(frame).frame.equals(pl.from_pandas(frame))


def test_pandas_index_is_noted_and_duplicates_raise() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=["x", "y"])
    assert read(frame).notes == ("pandas DataFrame: the index is left out; call reset_index() to make it a column",)
    assert read(pd.DataFrame({"a": [1, 2, 3]})[1:]).notes == ()
    with pytest.raises(SchemaError, match=r"a name of its own for each column, found 'a' more than once"):
        read(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match=r"pandas Series: expected a DataFrame.* Call its to_frame"):
        read(frame["a"])


class ArrowStream:
    """Any library's table: all that is known of it is the Arrow interface."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.table({"a": [1, 2], "b": ["x", None]}).__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "source",
    [
        pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
        pl.LazyFrame({"a": [1, 2], "b": ["x", None]}),
        pa.table({"a": [1, 2], "b": ["x", None]}),
        ArrowStream(),
        {"a": [1, 2], "b": ["x", None]},
        {"a": np.array([1, 2]), "b": ("x", None)},
        [{"a": 1, "b": "x"}, {"a": 2}],
    ],
    ids=lambda source: type(source).__name__,
)
def test_tables_in_memory(source: object) -> None:
    table = read(source)
    assert table.frame.rows() == [(1, "x"), (2, None)]
    assert (table.folder, table.row_numbers.tolist(), table.rejected) == (None, [1, 2], ())
    assert read(table) is table


def test_odd_objects_raise() -> None:
    with pytest.raises(DataError, match=r"data: expected a path, a DataFrame .* found an object of type builtins.int"):
        read(3)
    with pytest.raises(DataError, match=r"dict, column 'a': expected numbers, texts, .* found objects such as object"):
        read({"a": [object()]})
    with pytest.raises(DataError, match=r"dict: expected columns of one length"):
        read({"a": [1, 2], "b": [1, 2, 3]})
    empties: list[object] = [pl.DataFrame({"a": []}), {}, [], pd.DataFrame()]
    for empty in empties:
        with pytest.raises(DataError, match="expected rows, found none"):
            read(empty)


# --- paths -----------------------------------------------------------------------------------------------------------


def test_missing_paths_raise(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing.csv: expected a file or a folder, found nothing there"):
        read(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match=r"found a web address. Download it"):
        read("https://example.org/data.csv")
    with pytest.raises(DataError, match=r"expected a path, found one with a NUL character"):
        read("a\0b.csv")


def test_unknown_kind_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"notes.rtf: expected a file of one of the kinds .*'.parquet'.* found '.rtf'"):
        read(write(tmp_path, "just words\nand more\n", "notes.rtf"))
    assert read(write(tmp_path, "a,b\n1,2\n", "iris.data")).columns == ["a", "b"]
    for suffix in ("csv", "txt", "json", "parquet"):
        with pytest.raises(DataError, match="found an empty file"):
            read(write(tmp_path, "", f"a.{suffix}"))


# --- fingerprint -----------------------------------------------------------------------------------------------------


def test_fingerprint_tells_tables_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    base = {"a": [1, 2, 3], "b": ["x", "y", None]}
    other: list[dict[str, Any]] = [
        {"a": [1, 3, 2], "b": ["x", "y", None]},
        {"a": [1, 2, 3], "b": ["x", "y", ""]},
        {"b": ["x", "y", None], "a": [1, 2, 3]},
        {"a": [1.0, 2.0, 3.0], "b": ["x", "y", None]},
        {"a": [1, 2, 3], "c": ["x", "y", None]},
        {"a": [2, 1, 3], "b": ["y", "x", None]},
    ]
    prints = [fingerprint(read(columns)) for columns in (base, *other)]
    assert len(set(prints)) == len(prints)
    assert all(len(print_) == 64 for print_ in prints)
    monkeypatch.setattr(sources, "FINGERPRINT_ROWS", 2)
    halves = pl.concat([pl.DataFrame(base)[:1], pl.DataFrame(base)[1:]], rechunk=False)
    assert fingerprint(read(halves)) == prints[0]


@pytest.mark.parametrize("name", ["*", "^a.*$", "^$"])
def test_a_column_whose_name_is_a_pattern_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(f"ab,{name}\n1,2\n3,4\n", "utf-8")
    for source in (tmp_path / "a.csv", pl.DataFrame({"ab": [1, 3], name: [2, 4]})):
        with pytest.raises(SchemaError, match="expected names of columns, found patterns.*Rename these columns"):
            read(source)


@pytest.mark.parametrize("name", ["^a", "a$", "**", "a*"])
def test_a_column_whose_name_is_like_a_pattern_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(f"ab,{name}\n1,2\n3,4\n", "utf-8")
    assert read(tmp_path / "a.csv").columns == ["ab", name]
