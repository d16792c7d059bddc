from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.errors import DataError, SchemaError
from luban.data import compressed
from luban.data.sources import read

FRAME = pl.DataFrame({"text": [f"row {row}" for row in range(20)], "y": ["a", "b"] * 10})


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def parquet() -> bytes:
    stream = io.BytesIO()
    FRAME.write_parquet(stream)
    return stream.getvalue()


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".gz", gzip.compress),
    (".bz2", bz2.compress),
    (".xz", lzma.compress),
]
TABLES = {
    "rows.csv": FRAME.write_csv().encode(),
    "rows.tsv": FRAME.write_csv(separator="\t").encode("utf-16"),
    "rows.jsonl": FRAME.write_ndjson().encode(),
    "rows.json": json.dumps(FRAME.to_dicts()).encode(),
    "rows.parquet": parquet(),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("suffix", "pack"), PACKERS, ids=[suffix for suffix, _ in PACKERS])
def test_any_table_is_read_out_of_a_compressed_file(
    tmp_path: Path, name: str, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(pack(TABLES[name]))
    assert read(path).frame.equals(FRAME)
    path.write_bytes(pack(TABLES[name])[:-9])
    with pytest.raises(DataError, match=r"expected a file that can be read, found an error"):
        read(path)


@pytest.mark.parametrize("name", TABLES)
def test_the_one_table_of_an_archive_is_read(tmp_path: Path, name: str) -> None:
    members = {
        f"export/{name}": TABLES[name],
        "export/": b"",
        f"__MACOSX/export/._{name}": b"\0",
        "README.md": b"Hello",
    }
    for file_name in ("rows.zip", f"{name}.zip"):
        path = tmp_path / file_name
        path.write_bytes(zipped(members))
        assert read(path).frame.equals(FRAME)


def test_an_archive_of_several_tables_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    path.write_bytes(zipped({"a/train.csv": b"a,b\n1,2\n", "../../test.csv": b"a,b\n1,2\n", "notes.txt": b"x"}))
    with pytest.raises(DataError, match=r"rows.zip: expected one table in the archive, found 'a/train.csv', '../../t"):
        read(path)
    path.write_bytes(zipped({"x.png": b"1", "y.png": b"2"}))
    with pytest.raises(DataError, match=r"found 'x.png', 'y.png'. Unpack it, and give the path of the table or of"):
        read(path)
    path.write_bytes(zipped({"folder/": b""}))
    with pytest.raises(DataError, match=r"expected one table in the archive, found none"):
        read(path)


def test_nothing_of_an_archive_is_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "rows.zip"
    path.parent.mkdir()
    path.write_bytes(zipped({"../escaped.csv": TABLES["rows.csv"]}))
    assert read(path).frame.equals(FRAME)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


def test_what_cannot_be_unpacked_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.zip"
    content = bytearray(zipped({"rows.csv": TABLES["rows.csv"]}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1  # as of a file with a password
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"expected a ZIP archive that can be read, found an error \(.*password"):
        read(path)
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(DataError, match=r"found an error \(File is not a zip file\)"):
        read(path)
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(gzip.compress(TABLES["rows.csv"])))
    with pytest.raises(DataError, match=r"expected text, found a file compressed twice"):
        read(path)


@pytest.mark.parametrize(("suffix", "pack"), [*PACKERS, (".zip", lambda content: zipped({"a.csv": content}))])
def test_what_expands_without_end_is_refused(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "ALWAYS_ALLOWED", 2**16)
    monkeypatch.setattr(compressed, "MAX_EXPANSION", 2)
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(pack(b"a,b\n" + b"1,2\n" * 2**16))
    with pytest.raises(DataError, match=r"expected a compressed file of at most [\d,]+ bytes when it is unpacked"):
        read(path)


@settings(max_examples=50, deadline=None)
@given(
    content=st.binary(max_size=60),
    head=st.sampled_from([b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"PK\x03\x04"]),
)
def test_any_damage_is_one_clear_error(content: bytes, head: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("damaged") / "rows.csv"
    path.write_bytes(head + content)
    with pytest.raises((DataError, SchemaError)):
        read(path)
