"""Workbooks of Excel and OpenDocument: one sheet, its cells typed as the program has them. Needs `luban[excel]`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from luban.core.errors import ConfigError, DataError, listed, nearest
from luban.core.regular import open_regular
from luban.core.sentence import sentence, several
from luban.data import compressed
from luban.data.batches import Reading
from luban.data.delimited import column_names
from luban.data.header import check_header, refuse_title

OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SUFFIXES = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
LOOKED_ROWS = 1_000  # below the header, that tell whether it is one


def is_workbook(path: Path) -> bool:
    """Tell by the content of a file."""
    with open_regular(path) as stream:
        head = stream.read(8)
    return head == OLD_EXCEL or compressed.is_workbook(path)


def read(path: Path, sheet: str | None, reading: Reading) -> pl.DataFrame:
    """Read a sheet, the first that is not empty if none is named; empty rows and columns are left out.

    Rows count from 1 below the names, the empty ones included. Raises DataError where the file cannot be read, its
    first row names no columns, or fastexcel is not installed, ConfigError where there is no such sheet.
    """
    library = _library(reading.name)
    _check_size(path, reading.name)
    try:
        book = library.read_excel(str(path))
        names: list[str] = book.sheet_names
        if sheet is not None and sheet not in names:
            raise ConfigError(
                "data.sheet",
                expected=f"a sheet of {reading.name}, {listed(names)}",
                found=f"'{sheet}'",
                action=f"{nearest(sheet, names)}Correct it, or leave it out to have the first that is not empty",
            )
        for name in [sheet] if sheet is not None else names:
            loaded = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
            cells, places = loaded.to_polars(), [column.absolute_index for column in loaded.selected_columns]
            if not _is_blank(cells).all():
                _tell(name, names, sheet, reading)
                return _typed(book, name, cells, places, reading)
    except library.FastExcelError as error:
        raise DataError(
            reading.name,
            expected="a workbook that can be read",
            found=f"an error ({str(error).splitlines()[0]})",
            action="Open it, and save it again without a password, or as CSV",
        ) from error
    raise DataError(reading.name, expected="a sheet with cells", found="none", action="Check how it was written")


def _typed(book: Any, sheet: str, cells: pl.DataFrame, columns: list[int], reading: Reading) -> pl.DataFrame:
    """Return the cells below the names, each column in the type of its cells.

    cells: of the whole sheet, as strings. columns: their places in the sheet.
    """
    is_blank = _is_blank(cells)
    first = int((~is_blank).arg_max() or 0)
    below = cells.slice(first + 1)
    header = [(cell or "").strip() for cell in cells.row(first)]
    is_kept = [
        bool(name) or not _is_blank(below.select(column)).all() for name, column in zip(header, cells, strict=True)
    ]
    places = [place for place, keeps in enumerate(is_kept) if keeps]
    header = [header[place] for place in places]
    rows = below.filter(~is_blank.slice(first + 1))
    shown = [[row[place] or "" for place in places] for row in rows.head(LOOKED_ROWS).rows()]
    where = f"{reading.name}, sheet '{sheet}'"
    if len(header) == 1 and rows.width > 1 and len(rows):
        refuse_title(header[0], [], where)
    check_header(header, shown, where)
    names = column_names(header, where)
    if not len(rows):
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    loaded = book.load_sheet(
        sheet,
        header_row=None,
        skip_rows=first + 1,
        use_columns=[columns[place] for place in places],
        schema_sample_rows=None,
    ).to_polars()
    frame = loaded.rename(dict(zip(loaded.columns, names, strict=True)))
    positions = (~is_blank.slice(first + 1)).arg_true()
    reading.accept((positions + 1).to_list())
    return pl.DataFrame([_whole(column) for column in frame[positions]])


def _whole(column: pl.Series) -> pl.Series:
    """Return numbers, which a workbook holds with decimals, as integers where all are whole."""
    if (
        not column.dtype.is_float()
        or not (column.drop_nulls() == column.drop_nulls().cast(pl.Int64, strict=False)).all()
    ):
        return column
    return column.cast(pl.Int64)


def _is_blank(cells: pl.DataFrame) -> pl.Series:
    """Return (rows,) whether a row has no cell but blanks."""
    if not cells.width:
        return pl.Series([True] * cells.height, dtype=pl.Boolean)
    return cells.select(pl.all_horizontal(pl.all().str.strip_chars().fill_null("") == "")).to_series()


def _tell(name: str, names: Sequence[str], setting: str | None, reading: Reading) -> None:
    if setting is None and len(names) > 1:
        note = sentence(
            "read.sheet",
            "{name}: read sheet {sheet} and none of {others}; data.sheet names another",
            name=reading.name,
            sheet=f"'{name}'",
            others=several(other for other in names if other != name),
        )
        reading.notes.append(note)


def _check_size(path: Path, name: str) -> None:
    """Raise DataError where the workbook expands without end."""
    with open_regular(path) as stream:
        if not zipfile.is_zipfile(stream):
            return
        stream.seek(0)
        with zipfile.ZipFile(stream) as archive:
            size = sum(info.file_size for info in archive.infolist())
    if size > (limit := compressed.most_bytes(path)):
        raise DataError(
            name,
            expected=f"a workbook of at most {limit:,} bytes when it is unpacked",
            found=f"{size:,}",
            action="Save it as CSV or Parquet",
        )


def _library(name: str) -> Any:
    try:
        import fastexcel
    except ImportError as error:
        raise DataError(
            name,
            expected="fastexcel, which reads workbooks",
            found="that it is not installed",
            action="Run `pip install 'luban[excel]'`, or save the sheet as CSV",
        ) from error
    return fastexcel
