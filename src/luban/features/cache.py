"""Encoding of whole tables, in chunks, into memory or into files that are mapped into memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.cache import CLAIM, cache_limit, claim, evict, mark_used, replace_entry
from luban.core.errors import ArtifactError
from luban.core.machine.resources import num_cores
from luban.core.regular import open_regular, read_regular
from luban.core.removal import fresh_folder, left
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.core.version import VERSION
from luban.data.media.cells import locate
from luban.data.media.unreadable import UnreadableCellError
from luban.data.table import Table
from luban.features.base import Feature
from luban.features.media import FILE_KINDS
from luban.features.schema import Schema
from luban.features.stacks import STACKED, apart, side_by_side

CHUNK_ROWS = 16_384
CHUNK_BYTES = 64 * 2**20  # of raw files and encoded rows together: large images come in chunks of few rows
READ_BYTES = 1 << 24
FORMAT = 2  # raised when what is in a folder changes
INDEX = "index.json"
PACKED = (TensorKind.TOKENS, TensorKind.FRAMES)
TOLD_SECONDS = 1.0  # what takes longer is told with its speed

Array = npt.NDArray[np.generic]
Arrays = dict[str, Array]
Bad = dict[int, tuple[str, str]]
Encoded = tuple[dict[str, EncodedColumn], Bad]
Note = Callable[[str], None]

_in_use: set[Path] = set()  # folders whose files this process has mapped


@dataclass(frozen=True)
class Stored:
    """Encoded columns in the cache. bad: rows that cannot be read. checksums: of what each input holds, by name; inputs
    that stand side by side in one file have one."""

    inputs: dict[str, EncodedColumn]
    bad: Bad
    checksums: dict[str, str]


def encode(
    schema: Schema, table: Table, cache: Path | None, fingerprint: str | None, note: Note | None = None
) -> Encoded:
    """Return the encoded inputs of all rows, by name, and the rows that cannot be read: position -> (column, reason).

    cache: a folder, as for `stored`; fingerprint: of the table's contents. Without one of them the columns are in
    memory. note: is told how fast the rows were encoded, or that they were not.
    """
    if cache is None or fingerprint is None:
        with _timed(table, note):
            return _in_memory(schema.suited(table), table)
    found = stored(schema, table, cache, fingerprint, note)
    return found.inputs, found.bad


def stored(schema: Schema, table: Table, cache: Path, fingerprint: str, note: Note | None = None) -> Stored:
    """Return the encoded inputs of all rows, read-only and mapped from files in the cache.

    They are written once for each data, schema and version of Luban, and kept within `cache_limit`. Raises
    ArtifactError where the folder cannot be written, ConfigError where the limit is none.
    """
    schema = schema.suited(table)
    limit = cache_limit()
    folder = cache / _key(schema, fingerprint, _files_stamp(schema, table))
    _in_use.add(folder)
    found = _open(folder, schema, len(table))
    if found is not None:
        mark_used(folder)
        if note is not None:
            note(f"encoded columns of {table.name} taken from the cache")
        return found
    with _timed(table, note):
        found = _on_disk(folder, schema, table)
    _, foreign = evict(cache, limit, _in_use)
    if note is not None:
        for text in left(cache, (path.name for path in foreign)):
            note(text)
    return found


@contextlib.contextmanager
def _timed(table: Table, note: Note | None) -> Iterator[None]:
    """Tell how fast the rows are encoded, where it takes long."""
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    if note is not None and seconds > TOLD_SECONDS:
        rate = f"{len(table) / seconds:,.0f} rows/s, {num_cores()} cores"
        note(f"{len(table):,} rows of {table.name} in {seconds:,.0f} s, {rate}")


def make_room(folder: Path) -> list[str]:
    """Keep the cache that a folder is in within its limit, by others than that and those whose files are mapped.

    Returns a sentence where something stays that Luban did not write.
    """
    _, foreign = evict(folder.parent, cache_limit(), _in_use | {folder})
    return left(folder.parent, (path.name for path in foreign))


def _in_memory(schema: Schema, table: Table) -> Encoded:
    chunks: list[Arrays] = []
    bad: Bad = {}
    for arrays, found in _chunks(schema, table):
        chunks.append(arrays)
        bad |= found
    joined: Arrays = {}
    for name in list(chunks[0]):
        parts = [chunk.pop(name) for chunk in chunks]  # so that a column stands in memory twice, and not all of them
        joined[name] = _joined_offsets(parts) if name.endswith(OFFSETS) else np.concatenate(parts)
    return _columns(schema, joined, len(table)), bad


def _joined_offsets(parts: list[Array]) -> Array:
    lengths = np.concatenate([np.diff(part) for part in parts])
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _on_disk(folder: Path, schema: Schema, table: Table) -> Stored:
    _write(folder, schema, table)
    found = _open(folder, schema, len(table))
    if found is None:
        raise ArtifactError(
            str(folder),
            expected="the files that were just written",
            found="other contents",
            action="Check the disk, or choose another cache folder",
        )
    return found


def _chunks(schema: Schema, table: Table) -> Iterator[tuple[Arrays, Bad]]:
    """Encode at least one chunk, which may have no rows; yield what goes into each file."""
    specs = [feature.spec() for feature in schema.features]
    num_rows = chunk_rows(schema, table, specs)
    for start in range(0, max(len(table), 1), num_rows):
        frame = table.frame[start : start + num_rows]
        columns: list[EncodedColumn] = []
        bad: Bad = {}
        for feature in schema.features:
            encoded = feature.encode(frame[list(feature.columns)], table.folder)
            columns.append(encoded.column)
            for position, reason in encoded.bad.items():
                bad.setdefault(start + position, (feature.columns[0], reason))
        yield _arrays(columns), dict(sorted(bad.items()))


def chunk_rows(schema: Schema, table: Table, specs: list[InputSpec]) -> int:
    """Return how many rows are encoded at a time: their files and encoded cells take about CHUNK_BYTES at most."""
    size = sum(_row_bytes(spec) for spec in specs)
    for name in schema.columns:
        if table.frame[name].dtype == pl.Binary and len(table):
            size += int(table.frame[name].estimated_size()) // len(table)
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(1, size)))


def _row_bytes(spec: InputSpec) -> int:
    """How much an encoded row takes at most."""
    match spec.kind:
        case TensorKind.GRID:
            return spec.size * spec.height * spec.width
        case TensorKind.TOKENS:
            return 8 * spec.max_length
        case TensorKind.FRAMES:
            return 4 * spec.size * spec.max_length
        case TensorKind.DENSE:
            return 4 * spec.size
        case TensorKind.IDS:
            return 4


# Files are numbered: a column's name is not fit to be one.
VALUES, OFFSETS, ABSENT = "values.npy", "offsets.npy", "absent.npy"


def _arrays(columns: list[EncodedColumn]) -> Arrays:
    """Name the arrays of some rows; inputs of the kinds in STACKED share one."""
    arrays: Arrays = {}  # offsets before their values
    for number, column in enumerate(columns):
        if column.kind in STACKED:
            continue
        if column.offsets is not None:
            arrays[f"{number}.{OFFSETS}"] = column.offsets
        arrays[f"{number}.{VALUES}"] = column.values
        if column.absent is not None:
            arrays[f"{number}.{ABSENT}"] = column.absent
    for kind in STACKED:
        if alike := [column for column in columns if column.kind == kind]:
            arrays[f"{kind}.npy"] = side_by_side(alike)
    return arrays


def _columns(schema: Schema, arrays: Arrays, num_rows: int) -> dict[str, EncodedColumn]:
    """Undo `_arrays`. Raises KeyError where an array is missing, ValueError where one has other rows or columns."""
    inputs: dict[str, EncodedColumn] = {}
    for number, feature in enumerate(schema.features):
        if feature.tensor_kind not in STACKED:
            offsets = arrays[f"{number}.{OFFSETS}"] if feature.tensor_kind in PACKED else None
            column = EncodedColumn(feature.tensor_kind, arrays[f"{number}.{VALUES}"], offsets)  # type: ignore[arg-type]
            inputs[feature.name] = replace(column, absent=arrays.get(f"{number}.{ABSENT}"))  # type: ignore[arg-type]
    for kind in STACKED:
        alike = [feature for feature in schema.features if feature.tensor_kind == kind]
        if alike:
            columns = apart(kind, arrays[f"{kind}.npy"], [_width(feature) for feature in alike])
            inputs |= {feature.name: column for feature, column in zip(alike, columns, strict=True)}
    if any(len(column) != num_rows for column in inputs.values()):
        raise ValueError(f"{num_rows} rows were expected")
    return {feature.name: inputs[feature.name] for feature in schema.features}


def _width(feature: Feature) -> int:
    return 1 if feature.tensor_kind == TensorKind.IDS else feature.spec().size


def _files_stamp(schema: Schema, table: Table) -> str:
    """Name the state of the files that cells point to: where they are, how large, and when they were changed.

    The time at which the system saw the last change (ctime) tells files apart whose own time was set back.
    """
    digest = hashlib.sha256()
    for feature in schema.features:
        if feature.kind not in FILE_KINDS or table.folder is None:
            continue
        digest.update(str(table.folder.resolve()).encode())
        for cell in table.frame[feature.columns[0]].to_list():
            if isinstance(cell, str) and cell:
                state = _state(table.folder, cell)
                digest.update(
                    f"{cell}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}".encode() if state else b"-"
                )
    return digest.hexdigest()


def _state(folder: Path, cell: str) -> os.stat_result | None:
    """Return the state of the file that a cell names; None where there is none."""
    try:
        return (folder / cell).stat()
    except (OSError, ValueError):  # most names are as written, and looking for others takes longer
        pass
    try:
        return locate(cell, folder).stat()
    except (OSError, UnreadableCellError):
        return None


def _key(schema: Schema, fingerprint: str, files_on_disk: str) -> str:
    """Name what the encoded columns depend on."""
    files = {name: hashlib.sha256(content).hexdigest() for name, content in schema.files().items()}
    parts = {
        "luban": VERSION,
        "format": FORMAT,
        "data": fingerprint,
        "schema": schema.state(),
        "files": files,
        "disk": files_on_disk,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _ArrayFile:
    """A .npy file that grows by rows: its header, which has room for any number of them, is completed at the end."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self.dtype: np.dtype[Any] | None = None
        self.shape: tuple[int, ...] = ()
        self.file = path.open("wb")

    def append(self, values: Array) -> None:
        if self.dtype is None:
            self.dtype, self.shape = values.dtype, values.shape[1:]
            self._write_header()
        assert (values.dtype, values.shape[1:]) == (self.dtype, self.shape), "chunks differ in more than their rows"
        self.file.write(np.ascontiguousarray(values).data)
        self.rows += len(values)

    def _write_header(self) -> None:
        assert self.dtype is not None, "nothing was appended"
        description = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": description, "fortran_order": False, "shape": (self.rows, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        with self.file:
            self.file.seek(0)
            self._write_header()


def _write(folder: Path, schema: Schema, table: Table) -> None:
    """Write all files into a folder beside, and move it into place at once."""
    try:
        with fresh_folder(folder.with_name(f".{folder.name[:16]}.{uuid4().hex[:8]}.partial")) as partial:
            claim(partial, "encoded", folder.name)
            bad = _write_columns(partial, schema, table)
            index = {"bad": [[position, *why] for position, why in bad.items()], "checksums": _checksums(partial)}
            (partial / INDEX).write_text(json.dumps(index), encoding="utf-8")
            # Nothing is flushed to the disk first: what a power cut leaves fails its checksum and is written anew.
            replace_entry(partial, folder)
    except OSError as error:
        if folder.is_dir():  # another process was faster
            return
        raise ArtifactError(
            str(folder.parent),
            expected="a cache folder that can be written and has room for the encoded data",
            found=f"'{error.strerror or error}'",
            action="Free some space there, or set the environment variable LUBAN_CACHE to another folder",
        ) from error


def _write_columns(folder: Path, schema: Schema, table: Table) -> Bad:
    bad: Bad = {}
    with contextlib.ExitStack() as stack:
        files: dict[str, _ArrayFile] = {}

        def append(name: str, values: Array) -> None:
            if name not in files:
                files[name] = stack.enter_context(_ArrayFile(folder / name))
            elif name.endswith(OFFSETS):  # those of a chunk start at 0 again
                values = values[1:] + files[name.replace(OFFSETS, VALUES)].rows
            files[name].append(values)

        for arrays, found in _chunks(schema, table):
            bad |= found
            for name, values in arrays.items():
                append(name, values)
    return bad


def _checksums(folder: Path) -> dict[str, int]:
    paths = sorted(path for path in folder.iterdir() if path.name not in (INDEX, CLAIM))
    with ThreadPoolExecutor(num_cores()) as pool:  # zlib releases the GIL
        return dict(zip((path.name for path in paths), pool.map(_checksum, paths), strict=True))


def _checksum(path: Path) -> int:
    checksum = 0
    with open_regular(path, ArtifactError) as file:
        while content := file.read(READ_BYTES):
            checksum = zlib.crc32(content, checksum)
    return checksum


def _open(folder: Path, schema: Schema, num_rows: int) -> Stored | None:
    """Map the files of a folder; None where it is not there, not whole or damaged."""
    try:
        index = json.loads(read_regular(folder / INDEX, ArtifactError))
        bad = {int(position): (str(column), str(reason)) for position, column, reason in index["bad"]}
        if _checksums(folder) != index["checksums"]:
            return None
        arrays = {name: _map(folder / name) for name in index["checksums"]}
        return Stored(_columns(schema, arrays, num_rows), bad, _by_input(schema, index["checksums"]))
    except (ArtifactError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _by_input(schema: Schema, checksums: dict[str, int]) -> dict[str, str]:
    """Name the checksums of files after the inputs in them."""
    found: dict[str, str] = {}
    for file, checksum in sorted(checksums.items()):
        number = file.partition(".")[0]
        name = schema.features[int(number)].name if number.isdecimal() else number
        found[name] = found.get(name, "") + f"{checksum:08x}"
    return found


def _map(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
