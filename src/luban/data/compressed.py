"""Compressed files as streams of bytes: gzip, bzip2, xz, and ZIP archives of one table."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from luban.core.errors import DataError, listed
from luban.core.regular import open_regular

GZIP, BZIP2, XZ, ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04"
SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zip"})
TABLES = frozenset({".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"})
# A table may expand to so many times its size, and any file to so many bytes; what does not stop there never may.
MAX_EXPANSION, ALWAYS_ALLOWED = 250, 256 * 2**20
WORKBOOK_FOLDER, SPREADSHEET = "xl/", b"application/vnd.oasis.opendocument.spreadsheet"


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, decompressed where it begins like a compressed one. Raises DataError where it is an archive that is
    not of one table, or where it expands without end."""
    stream = open_regular(path)
    head = stream.read(8)
    stream.seek(0)
    if not is_compressed(head):
        return stream
    try:
        content = _unpacked(stream, head, path)
    except BaseException:
        stream.close()
        raise
    return cast(BinaryIO, io.BufferedReader(_Limited(content, stream, path, most_bytes(path)), 2**18))


def most_bytes(path: Path) -> int:
    """Return how many bytes a compressed file may expand to."""
    return max(ALWAYS_ALLOWED, MAX_EXPANSION * path.stat().st_size)


def _unpacked(stream: BinaryIO, head: bytes, path: Path) -> BinaryIO:
    if head.startswith(ZIP):
        with _archive(stream, path) as archive:
            return cast(BinaryIO, archive.open(_member(archive, path)))
    if head.startswith(GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    return cast(BinaryIO, bz2.open(stream) if head.startswith(BZIP2) else lzma.open(stream))


def is_compressed(head: bytes) -> bool:
    """Tell by the first 8 bytes of a file. An empty ZIP archive is none."""
    is_bzip2 = head.startswith(BZIP2) and head[3:4].isdigit() and head[4:8] in (b"1AY&", b"\x17rE8")
    return is_bzip2 or head.startswith((GZIP, XZ, ZIP))


def content_name(path: Path) -> str:
    """Return the name of what a compressed file holds: `rows.csv` for `rows.csv.gz`, the table of an archive."""
    with open_regular(path) as stream:
        head = stream.read(8)
        if head.startswith(ZIP):
            with _archive(stream, path) as archive:
                return PurePosixPath(_member(archive, path)).name
    return path.stem if is_compressed(head) and path.suffix.lower() in SUFFIXES else path.name


def is_workbook(path: Path) -> bool:
    """Tell whether a file is a ZIP archive that holds a spreadsheet of Excel or of OpenDocument."""
    with open_regular(path) as stream:
        if not stream.read(4).startswith(ZIP):
            return False
        with _archive(stream, path) as archive:
            names = archive.namelist()
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 100:
                return archive.read("mimetype").startswith(SPREADSHEET)
            return "[Content_Types].xml" in names and any(name.startswith(WORKBOOK_FOLDER) for name in names)


@contextmanager
def _archive(stream: BinaryIO, path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(stream) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(
            path.name,
            expected="a ZIP archive that can be read",
            found=f"an error ({str(error) or type(error).__name__})",
            action="Unpack it, and give the path of the table",
        ) from error


def _member(archive: zipfile.ZipFile, path: Path) -> str:
    """Return the one table in an archive, or its one file."""
    files = [info for info in archive.infolist() if not info.is_dir() and _is_own(info.filename)]
    tables = [info for info in files if PurePosixPath(info.filename).suffix.lower() in TABLES] or files
    if len(tables) != 1:
        raise DataError(
            path.name,
            expected="one table in the archive",
            found=listed(info.filename for info in tables) if tables else "none",
            action="Unpack it, and give the path of the table or of the folder",
        )
    return tables[0].filename


def _is_own(name: str) -> bool:
    """Tell the files that somebody packed from those that a system adds."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" not in parts and not parts[-1].startswith(".")


class _Limited(io.RawIOBase):
    """The bytes of a compressed stream, up to a limit."""

    def __init__(self, stream: BinaryIO, file: BinaryIO, path: Path, limit: int) -> None:
        self._stream, self._file, self._path, self._limit = stream, file, path, limit
        self._num_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            content = self._stream.read(len(buffer))
        except (lzma.LZMAError, zipfile.BadZipFile, zlib.error) as error:
            raise OSError(str(error)) from error
        self._num_read += len(content)
        if self._num_read > self._limit:
            raise DataError(
                self._path.name,
                expected=f"a compressed file of at most {self._limit:,} bytes when it is unpacked",
                found="more",
                action="Check where the file is from, and unpack it yourself where it is sound",
            )
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        self._file.close()
        super().close()
