"""Cells that name files: what tells one file from another is what is in it, not what it is called."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from luban.data.media.cells import locate
from luban.data.media.unreadable import UnreadableCellError
from luban.data.table import Table

PROBED_CELLS = 5
WHOLE_BYTES = 64 * 2**20  # of a file that is read from end to end for its fingerprint
SAMPLES, SAMPLE_BYTES = 64, 1 << 16  # of a longer one
READ_BYTES = 1 << 20


def holds_files(table: Table, column: str) -> bool:
    """Tell whether the first cells of a column that are not missing name files in the table's folder."""
    cells = table.frame[column]
    if table.folder is None or cells.dtype != pl.String:
        return False
    folder = table.folder.resolve()
    first = cells.filter(cells.is_not_null() & (cells != "")).head(PROBED_CELLS).to_list()
    return bool(first) and all(_located(cell, folder) is not None for cell in first)


def fingerprint(path: Path) -> str:
    """Return a digest of a file's size and contents: of all of a small one, and of evenly spaced parts of a large one,
    its beginning and its end among them. Raises OSError."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= WHOLE_BYTES:
            while content := file.read(READ_BYTES):
                digest.update(content)
        else:
            for part in range(SAMPLES):
                file.seek(part * (size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def contents(tables: tuple[Table, Table], column: str) -> tuple[pl.Series, pl.Series]:
    """Return a column of paths of two tables as texts that are equal where the files are: byte by byte, or by their
    path where they cannot be read.

    Only files whose size occurs in both tables are read: others are not in the other table.
    """
    located = [_files(table, column) for table in tables]
    sizes = [{size for _, size in files.values()} for files in located]
    shared = sizes[0] & sizes[1]
    paths = sorted({path for files in located for path, size in files.values() if size in shared})
    with ThreadPoolExecutor() as pool:  # hashing and reading release the GIL
        digests = dict(zip(paths, pool.map(_digest, paths), strict=True))
    first, second = (_keys(table, column, files, digests) for table, files in zip(tables, located, strict=True))
    return first, second


def _files(table: Table, column: str) -> dict[str, tuple[str, int]]:
    """Return the resolved path and the size of each file that cells name, by cell."""
    assert table.folder is not None
    folder = table.folder.resolve()
    found = {}
    for cell in table.frame[column].drop_nulls().unique().to_list():
        path = _located(cell, folder)
        if path is not None:
            found[cell] = (str(path), path.stat().st_size)
    return found


def _located(cell: str, folder: Path) -> Path | None:
    """Return the file inside the folder that a cell names, None where there is none."""
    try:
        return locate(cell, folder) if cell else None
    except UnreadableCellError:
        return None


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path that is resolved already
            while content := file.read(READ_BYTES):
                digest.update(content)
    except OSError:
        return f"unreadable {path}"
    return digest.hexdigest()


def _keys(table: Table, column: str, files: dict[str, tuple[str, int]], digests: dict[str, str]) -> pl.Series:
    """Name the file of each cell; null where the cell is missing."""
    cells = table.frame[column]
    names = {}
    for cell in cells.drop_nulls().unique().to_list():
        path, size = files.get(cell, ("", 0))
        names[cell] = (digests.get(path) or f"{size} bytes, {path}") if path else f"no file {table.folder}/{cell}"
    return cells.replace_strict(names, default=None, return_dtype=pl.String)
