"""Any source to a table: files, folders and tables in memory, by what they are."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import polars as pl

from luban.core.cache import cache_folder
from luban.core.errors import DataError, SchemaError, listed
from luban.core.paths import as_path
from luban.core.regular import check_regular, open_regular
from luban.core.sentence import sentence
from luban.core.system_errors import read_errors, system_error
from luban.data import batches, conll, delimited, dialects, folders, frames, lines, workbooks
from luban.data.batches import Reading
from luban.data.compressed import content_name, is_compressed, open_bytes
from luban.data.decimals import Decimal
from luban.data.encodings import detect
from luban.data.media.formats import HEAD_BYTES, kind_by_name, kind_of
from luban.data.table import Table

IN_MEMORY_BYTES = 512 * 2**20  # a larger file is copied to the cache and read from there
EXPANSION = 8  # what a compressed file is taken to expand by
PARQUET_BATCH_BYTES = 128 * 2**20
FINGERPRINT_ROWS = 2**20
FINGERPRINT_SEED = 20
DELIMITED = frozenset({".csv", ".tsv", ".tab"})
JSON = frozenset({".jsonl", ".ndjson", ".json"})
PARQUET = frozenset({".parquet", ".pq"})
PROSE = frozenset({".txt", ".md", ".text"})
MAYBE_COLUMNS = frozenset({".tsv", ".tab", ".txt"})  # of words and tags, where the content plainly is so
KINDS = sorted(DELIMITED | JSON | PARQUET | PROSE | conll.SUFFIXES | workbooks.SUFFIXES)


@dataclass(frozen=True)
class Text:
    """How tables in text, and workbooks, are read, over what is recognised."""

    separator: str | None = None
    encoding: str | None = None
    decimal: Decimal | None = None
    sheet: str | None = None


def read(
    source: object,
    *,
    separator: str | None = None,
    encoding: str | None = None,
    decimal: Decimal | None = None,
    sheet: str | None = None,
    cache: Path | None = None,
) -> Table:
    """Read a source into a table.

    source: a path to a CSV, TSV, Parquet, JSON Lines, JSON, CoNLL or text file (also compressed), a workbook, an image
    or a recording, or to a folder with a manifest or with class folders; or a DataFrame of pandas or Polars, an Arrow
    table, a dict of columns, a list of dicts. separator, encoding, decimal: of tables in text, over what is recognised.
    sheet: of a workbook; None reads the first that is not empty. cache: where a working copy of a large file is kept.
    Cells of text files stay strings, null where empty. Rows that cannot be read are in `Table.rejected`. Raises
    DataError where there is nothing to read or more than 1 % of the rows cannot be read, SchemaError where two columns
    have one name.
    """
    if isinstance(source, Table):
        return source
    if not isinstance(source, (str, Path)):
        return _from_memory(source)
    path = as_path(source, DataError)
    _check_exists(path)
    text = Text(separator, encoding, decimal, sheet)
    with _readable(path):
        if path.is_dir():
            return _from_folder(path, text, cache)
        check_regular(path)
        return _from_file(path, text, cache, Reading(path.name))


def fingerprint(table: Table) -> str:
    """Return the SHA-256 of the names, types and cells of the columns, in their order and that of the rows."""
    frame = table.frame
    digest = hashlib.sha256(repr([(name, str(dtype)) for name, dtype in frame.schema.items()]).encode())
    for start in range(0, frame.height, FINGERPRINT_ROWS):
        digest.update(frame.slice(start, FINGERPRINT_ROWS).hash_rows(seed=FINGERPRINT_SEED).to_numpy().tobytes())
    return digest.hexdigest()


def _from_memory(source: object) -> Table:
    frame, name, notes = frames.from_memory(source)
    return _table(frames.without_file_structs(frame.lazy()).collect(), Reading(name, notes=notes), None)


def _from_folder(folder: Path, text: Text, cache: Path | None) -> Table:
    reading = Reading(folder.resolve().name)
    manifest = folders.find_manifest(folder, reading)
    if manifest is not None:
        reading.name = f"{reading.name}/{manifest.name}"
        return _from_file(manifest, text, cache, reading)
    return _table(batches.in_memory(folders.read_class_folders(folder, reading), reading), reading, folder)


def _from_file(path: Path, text: Text, cache: Path | None, reading: Reading) -> Table:
    if (kind := _media_kind(path)) is not None:
        return _table(pl.DataFrame({kind: [path.name]}), reading, path.parent)
    if not _is_large(path):
        return _table(batches.in_memory(_open(path, text, reading), reading), reading, path.parent)
    kept = batches.entry(path, cache or cache_folder(), *astuple(text))
    stays = [] if kept.is_dir() else batches.on_disk(_open(path, text, reading), reading, kept)
    frame = batches.mapped(kept, reading)
    reading.notes += stays
    return _table(frame, reading, path.parent)


def _table(frame: pl.DataFrame, reading: Reading, folder: Path | None) -> Table:
    _check_names(frame, reading.name)
    numbers = reading.row_numbers(frame.height)
    frame, notes = frames.flattened(frames.with_spans(frame), reading.name)
    reading.notes += notes
    table = Table(
        frame, reading.name, folder, numbers, reading.rejected_in_order(), tuple(reading.notes), reading.decimal
    )
    table.check_rejected()
    if not len(table):
        raise DataError(reading.name, expected="rows", found="none", action="Check how the data were written")
    return table


def _check_names(frame: pl.DataFrame, where: str) -> None:
    """Raise SchemaError for a name that Polars takes for a pattern of names: `*`, and `^...$`."""
    patterns = [name for name in frame.columns if name == "*" or (name.startswith("^") and name.endswith("$"))]
    if patterns:
        raise SchemaError(
            where,
            expected="names of columns",
            found=f"patterns, {listed(patterns)}",
            action="Rename these columns, for instance without '^', '$' and '*'",
        )


def _open(path: Path, text: Text, reading: Reading) -> Iterator[pl.DataFrame]:
    """Yield the batches of a file, read as its suffix says; a .txt file may hold a table, words with tags, or prose."""
    with _readable(path):
        if workbooks.is_workbook(path):
            yield workbooks.read(path, text.sheet, reading)
            return
        suffix = Path(content_name(path)).suffix.lower()
        if path.stat().st_size == 0:
            raise DataError(
                reading.name, expected="data", found="an empty file", action="Check how the file was written"
            )
        if suffix in PARQUET:
            yield from _parquet(path)
            return
        found = detect(path, reading.name, text.encoding)
        if suffix in JSON:
            yield from lines.read_json(path, found, reading)
        elif suffix in conll.SUFFIXES or (
            suffix in MAYBE_COLUMNS and text.separator is None and conll.is_columns(path, found)
        ):
            yield from conll.read(path, found, reading)
        elif suffix in DELIMITED or text.separator is not None or dialects.is_table(path, found):
            yield from delimited.read(path, found, text.separator, reading, text.decimal)
        elif suffix in PROSE:
            yield from lines.read_text(path, found, reading)
        else:
            raise DataError(
                reading.name,
                expected=f"a file of one of the kinds {listed(KINDS, limit=len(KINDS))}",
                found=f"'{path.suffix}', and not a table in text",
                action="Save it as CSV or Parquet, or set data.separator where it is a table in text",
            )
        if found.is_guess:
            guessed = sentence(
                "read.guess",
                "{name}: {encoding} is a guess from its letters; where they look wrong, set data.encoding",
                name=reading.name,
                encoding=found.label,
            )
            reading.notes.append(guessed)


def _parquet(path: Path) -> Iterator[pl.DataFrame]:
    """Yield batches of about PARQUET_BATCH_BYTES of the file."""
    source: Path | io.BytesIO = path
    if _is_compressed(path):
        with open_bytes(path) as stream:
            source = io.BytesIO(stream.read())
    declared = frames.categories_of(pl.read_parquet_metadata(source))
    scan = frames.with_categories(frames.without_file_structs(pl.scan_parquet(source, glob=False)), declared)
    num_rows = scan.select(pl.len()).collect().item()
    batch_rows = max(1, num_rows * PARQUET_BATCH_BYTES // path.stat().st_size)
    yield from scan.collect_batches(chunk_size=batch_rows, maintain_order=True)


def _media_kind(path: Path) -> str | None:
    """Return whether a file is an `image` or `audio`, by its name, or by its content where the name says nothing."""
    if path.suffix.lower() in DELIMITED | JSON | PARQUET | PROSE:
        return None
    kind = kind_by_name(path.name)
    if kind is None:
        with open_regular(path) as stream:
            kind = kind_of(stream.read(HEAD_BYTES))
    return kind


def _is_large(path: Path) -> bool:
    return (EXPANSION if _is_compressed(path) else 1) * path.stat().st_size > IN_MEMORY_BYTES


def _is_compressed(path: Path) -> bool:
    with open_regular(path) as stream:
        return is_compressed(stream.read(8))


def _check_exists(path: Path) -> None:
    with read_errors(path):
        exists = path.exists()
    if not exists:
        is_address = str(path).startswith(("http:/", "https:/", "s3:/", "hf:/"))
        raise DataError(
            str(path),
            expected="a file or a folder",
            found="a web address" if is_address else "nothing there",
            action="Download it and give the path of the file" if is_address else "Check the path",
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the operating system, decompression and Polars say of an unreadable file into one sentence."""
    try:
        yield
    except (
        OSError,
        EOFError,
        MemoryError,
        zlib.error,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
    ) as error:
        raise system_error(error, path, DataError, writing=False) or DataError(
            str(path),
            expected="a file that can be read",
            found=f"an error ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            action="Check that the file is whole and that you may read it",
        ) from error
