from __future__ import annotations

import builtins
import datetime
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from luban.core.errors import ConfigError, DataError, SchemaError
from luban.data import compressed
from luban.data.sources import read

DAY = datetime.datetime(2024, 3, 1)
HEADER = ["x", "when", "paid", "text", "mixed", "whole"]
ROWS = [
    [row + 0.5, DAY.replace(day=row + 1), row % 2 == 0, f"row {row}", row if row % 2 else "a", row] for row in range(5)
]
ODS_CELL = '<table:table-cell office:value-type="{type}" {value}><text:p>{text}</text:p></table:table-cell>'
MANIFEST = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
ODS = """<?xml version="1.0" encoding="UTF-8"?><office:document-content
 xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" office:version="1.2"><office:body><office:spreadsheet>
<table:table table:name="Sheet1">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"""


def write(folder: Path, sheets: dict[str, Sequence[Sequence[Any]]], name: str = "rows.xlsx") -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)  # type: ignore[arg-type]
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    path = folder / name
    book.save(path)
    book.close()
    return path


def test_cells_keep_their_types(tmp_path: Path) -> None:
    table = read(write(tmp_path, {"Data": [HEADER, *ROWS]}))
    assert table.columns == HEADER
    assert [dtype.base_type() for dtype in table.frame.dtypes] == [
        pl.Float64, pl.Datetime, pl.Boolean, pl.String, pl.String, pl.Int64,
    ]  # fmt: skip
    assert [list(row) for row in table.frame.rows()] == [[*row[:4], str(row[4]), row[5]] for row in ROWS]
    assert (table.notes, table.name, table.folder) == ((), "rows.xlsx", tmp_path)


def test_empty_rows_and_columns_are_left_out_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    rows = [[], [None, "x", None, "y", None], [None, 1, None, "a"], [], [None, None, " "], [None, 3, None, "b"]]
    table = read(write(tmp_path, {"Data": rows}))
    assert table.frame.to_dicts() == [{"x": 1, "y": "a"}, {"x": 3, "y": "b"}]
    assert table.row_numbers.tolist() == [1, 4]


def test_columns_without_a_name_get_one_as_in_csv(tmp_path: Path) -> None:
    table = read(write(tmp_path, {"Data": [[None, "x", None], [1, 5, "a"], [2, 6, "b"]]}))
    assert table.frame.to_dicts() == [
        {"Unnamed: 0": 1, "x": 5, "column_3": "a"},
        {"Unnamed: 0": 2, "x": 6, "column_3": "b"},
    ]


def test_the_first_sheet_with_cells_is_read_or_the_one_that_is_set(tmp_path: Path) -> None:
    path = write(tmp_path, {"Cover": [], "One": [["x"], [1], [2]], "2024": [["x"], [3], [4]]})
    table = read(path)
    assert table.frame["x"].to_list() == [1, 2]
    assert table.notes == ("rows.xlsx: read sheet 'One' and none of 'Cover', '2024'; data.sheet names another",)
    table = read(path, sheet="2024")
    assert (table.frame["x"].to_list(), table.notes) == ([3, 4], ())
    with pytest.raises(
        ConfigError, match=r"data.sheet: expected a sheet of rows.xlsx, 'Cover', 'One', '2024', found 'on"
    ):
        read(path, sheet="one")
    with pytest.raises(DataError, match=r"rows.xlsx: expected a sheet with cells, found none"):
        read(path, sheet="Cover")


def test_what_is_no_header_is_said(tmp_path: Path) -> None:
    rows = [[row, f"city {row}", row / 2] for row in range(12)]
    path = write(tmp_path, {"Data": [["Staff 2024"], ["age", "city", "paid"], *rows]})
    with pytest.raises(DataError, match=r"rows.xlsx, sheet 'Data', header: expected the names .* 'Staff 2024' alone"):
        read(path)
    with pytest.raises(SchemaError, match=r"rows.xlsx, sheet 'Data', header: .* found 'x' more than once"):
        read(write(tmp_path, {"Data": [["x", "x"], [1, 2]]}))
    with pytest.raises(DataError, match=r"expected rows, found none"):
        read(write(tmp_path, {"Data": [["x", "y"]]}))


def test_opendocument_is_read(tmp_path: Path) -> None:
    cells = [[("string", "", "x"), ("string", "", "y")]]
    cells += [[("float", f'office:value="{row}"', str(row)), ("string", "", f"row {row}")] for row in range(3)]
    rows = "".join(
        "<table:table-row>"
        + "".join(ODS_CELL.format(type=kind, value=value, text=text) for kind, value, text in row)
        + "</table:table-row>"
        for row in cells
    )
    path = tmp_path / "rows.ods"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr("content.xml", ODS.format(rows=rows))
    assert read(path).frame.to_dicts() == [{"x": row, "y": f"row {row}"} for row in range(3)]


def test_a_file_is_told_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, {"Data": [["x"], [1]]})
    path.rename(tmp_path / "rows.csv")
    assert read(tmp_path / "rows.csv").frame.to_dicts() == [{"x": 1}]
    (tmp_path / "rows.xls").write_text("a\tb\n1\t2\n", "utf-8")
    assert read(tmp_path / "rows.xls").frame.to_dicts() == [{"a": "1", "b": "2"}]


def test_damage_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"Data": [["x"], [1]]})
    content = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(content, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"<" if name == "xl/workbook.xml" else source.read(name))
    whole = path.read_bytes()
    path.write_bytes(content.getvalue())
    with pytest.raises(DataError, match=r"rows.xlsx: expected a workbook that can be read, found an error \("):
        read(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(DataError, match=r"rows.xlsx: expected a workbook that can be read, found an error \("):
        read(path)
    path.write_bytes(whole)
    monkeypatch.setattr(compressed, "ALWAYS_ALLOWED", 100)
    monkeypatch.setattr(compressed, "MAX_EXPANSION", 0)
    with pytest.raises(
        DataError, match=r"expected a workbook of at most 100 bytes when it is unpacked, found [\d,]+. S"
    ):
        read(path)


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "fastexcel":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    path = write(tmp_path, {"Data": [["x"], [1]]})
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"found that it is not installed. Run `pip install 'luban\[excel\]'`, or save"):
        read(path)
