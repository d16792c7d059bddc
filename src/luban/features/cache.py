"""Encoding of whole tables, in chunks, into memory or into files that are mapped into memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from luban.core.errors import ArtifactError
from luban.core.tensors import EncodedColumn, TensorKind
from luban.core.version import VERSION
from luban.data.table import Table
from luban.features.schema import Schema

CHUNK_ROWS = 16_384
READ_BYTES = 1 << 24
FILE_KINDS = ("image", "audio")  # whose cells may be paths
INDEX = "index.json"
PACKED = (TensorKind.TOKENS, TensorKind.FRAMES)

Array = npt.NDArray[np.generic]
Bad = dict[int, tuple[str, str]]
Chunk = tuple[dict[str, EncodedColumn], Bad]


def encode(
    schema: Schema, table: Table, cache: Path | None, fingerprint: str | None
) -> tuple[dict[str, EncodedColumn], Bad]:
    """Return the encoded inputs of all rows, by name, and the rows that cannot be read: position -> (column, reason).

    cache: a folder; the columns are then read-only and mapped from files in it, which are written once for each data,
    schema and version of Luban. fingerprint: of the table's contents; without one nothing is cached. Raises
    ArtifactError where the folder cannot be written.
    """
    if cache is None or fingerprint is None:
        return _join(list(_chunks(schema, table)))
    folder = cache / _key(schema, fingerprint, _files_stamp(schema, table))
    found = _open(folder, schema, len(table))
    if found is None:
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


def _chunks(schema: Schema, table: Table) -> Iterator[Chunk]:
    """Encode at least one chunk, which may have no rows."""
    for start in range(0, max(len(table), 1), CHUNK_ROWS):
        frame = table.frame[start : start + CHUNK_ROWS]
        inputs: dict[str, EncodedColumn] = {}
        bad: Bad = {}
        for feature in schema.features:
            encoded = feature.encode(frame.select(feature.columns), table.folder)
            inputs[feature.name] = encoded.column
            for position, reason in encoded.bad.items():
                bad.setdefault(start + position, (feature.columns[0], reason))
        yield inputs, dict(sorted(bad.items()))


def _join(chunks: list[Chunk]) -> Chunk:
    inputs = {name: EncodedColumn.concatenate([chunk[name] for chunk, _ in chunks]) for name in chunks[0][0]}
    return inputs, {position: why for _, bad in chunks for position, why in bad.items()}


def _files_stamp(schema: Schema, table: Table) -> str:
    """Name the state of the files that cells point to: where they are, how large, and when they were changed."""
    digest = hashlib.sha256()
    for feature in schema.features:
        if feature.kind not in FILE_KINDS or table.folder is None:
            continue
        digest.update(str(table.folder.resolve()).encode())
        for cell in table.frame[feature.columns[0]].to_list():
            if isinstance(cell, str) and cell:
                try:
                    state = (table.folder / cell).stat()
                    digest.update(f"{cell}\0{state.st_size}\0{state.st_mtime_ns}".encode())
                except (OSError, ValueError):
                    digest.update(b"-")
    return digest.hexdigest()


def _key(schema: Schema, fingerprint: str, files_on_disk: str) -> str:
    """Name what the encoded columns depend on."""
    files = {name: hashlib.sha256(content).hexdigest() for name, content in schema.files().items()}
    parts = {"luban": VERSION, "data": fingerprint, "schema": schema.state(), "files": files, "disk": files_on_disk}
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
    partial = folder.with_name(f".{folder.name[:16]}.{uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
        bad = _write_columns(partial, schema, table)
        checksums = {path.name: _checksum(path) for path in sorted(partial.iterdir())}
        index = {"bad": [[position, *why] for position, why in bad.items()], "checksums": checksums}
        (partial / INDEX).write_text(json.dumps(index), encoding="utf-8")
        # Nothing is flushed to the disk first: what a power cut leaves behind fails its checksum and is written anew.
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        if folder.is_dir():  # another process was faster
            return
        raise ArtifactError(
            str(folder.parent),
            expected="a folder with room for the encoded data",
            found=f"'{error.strerror or error}'",
            action="Free some space there, or choose another cache folder",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_columns(folder: Path, schema: Schema, table: Table) -> Bad:
    bad: Bad = {}
    with contextlib.ExitStack() as stack:
        files: dict[str, _ArrayFile] = {}

        def append(name: str, values: Array) -> None:
            if name not in files:
                files[name] = stack.enter_context(_ArrayFile(folder / name))
            files[name].append(values)

        for inputs, found in _chunks(schema, table):
            bad |= found
            # Files are numbered: a column's name is not fit to be one.
            for number, column in enumerate(inputs.values()):
                if column.offsets is not None:
                    values_file = files.get(_values(number))
                    offsets = column.offsets + (values_file.rows if values_file else 0)
                    append(_offsets(number), offsets[1:] if values_file else offsets)
                append(_values(number), column.values)
    return bad


def _values(number: int) -> str:
    return f"{number}.values.npy"


def _offsets(number: int) -> str:
    return f"{number}.offsets.npy"


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while content := file.read(READ_BYTES):
            checksum = zlib.crc32(content, checksum)
    return checksum


def _open(folder: Path, schema: Schema, num_rows: int) -> Chunk | None:
    """Map the files of a folder; None where it is not there, not whole or damaged."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        bad = {int(position): (str(column), str(reason)) for position, column, reason in index["bad"]}
        checksums = {path.name: _checksum(path) for path in folder.iterdir() if path.name != INDEX}
        if checksums != index["checksums"]:
            return None
        inputs = {}
        for number, feature in enumerate(schema.features):
            offsets = _map(folder / _offsets(number)) if feature.tensor_kind in PACKED else None
            column = EncodedColumn(feature.tensor_kind, _map(folder / _values(number)), offsets)
            if len(column) != num_rows:
                return None
            inputs[feature.name] = column
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return inputs, bad


def _map(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
