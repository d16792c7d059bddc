"""Folders as tables: one with a manifest, or files in class folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from luban.core.errors import DataError, listed, typed
from luban.core.sentence import sentence, several
from luban.data.batches import Reading

MANIFESTS = ("metadata.csv", "manifest.csv", "labels.csv", "index.csv")
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
MEDIA = {
    "image": frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"}),
    "audio": frozenset({".wav", ".flac", ".ogg", ".mp3"}),
}
SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
LABEL_COLUMN = "label"


@dataclass(frozen=True)
class Files:
    """The files of a folder, as relative POSIX paths in order. others: neither of the kind nor hidden."""

    kind: str
    paths: list[str]
    others: list[str]


def find_manifest(folder: Path, reading: Reading) -> Path | None:
    """Return the table that describes the files in the folder: one of MANIFESTS, or the only CSV or TSV file.

    Raises DataError where there are several and none has the name of a manifest.
    """
    by_name = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_file()}
    named = [by_name[name] for name in MANIFESTS if name in by_name]
    tables = [entry for entry in by_name.values() if _is_visible(entry.name) and entry.suffix.lower() in TABLE_SUFFIXES]
    found = named[0] if named else tables[0] if tables else None
    if not named and len(tables) > 1:
        raise DataError(
            str(folder),
            expected=f"one table, or one of {listed(MANIFESTS)}",
            found=listed(table.name for table in tables),
            action=f"Give one of them, for instance {suggested(tables)}",
        )
    if found is not None:
        table = sentence(
            "read.manifest", "{name}: read by the table '{table}' in it", name=reading.name, table=found.name
        )
        reading.notes.append(table)
    return found


def suggested(tables: Sequence[Path]) -> str:
    """Return what to type for one of several tables, with those that are named as the parts of a split."""
    parts = {table.stem.lower(): table for table in tables}
    if "train" not in parts:
        return typed(tables[0])
    roles = (("--validation", ("validation", "valid", "val", "dev")), ("--test", ("test",)))
    options = [f"{option} {typed(parts[name])}" for option, names in roles for name in names if name in parts]
    return " ".join([typed(parts["train"]), *options])


def read_class_folders(folder: Path, reading: Reading) -> Iterator[pl.DataFrame]:
    """Yield one batch of two columns: `image` (or `audio`), the path inside the folder, and `label`, the class folder.

    Where no file is in a class folder there is no column `label`. Raises DataError where there are no such files, or
    where the folders are the parts of a split and not classes.
    """
    files = _files(folder)
    _check_found(folder, files)
    classes = sorted({path.partition("/")[0] for path in files.paths if "/" in path})
    _check_not_a_split(folder, classes)
    if files.others:
        reading.notes.append(
            sentence(
                "read.others",
                "{name}: left out, not {kind} files: {others}",
                name=reading.name,
                kind=files.kind,
                others=several(files.others, limit=3),
            )
        )
    numbers: list[int] = []
    rows: list[tuple[str, str | None]] = []
    for number, path in enumerate(files.paths, start=1):
        label, slash, _ = path.partition("/")
        if classes and not slash:
            reading.reject(number, LABEL_COLUMN, f"'{path}' is in no class folder")
        elif not _is_text(path):
            reading.reject(number, files.kind, "the name of the file is not valid text")
        else:
            numbers.append(number)
            rows.append((path, label if slash else None))
    reading.accept(numbers)
    frame = pl.DataFrame(rows, schema={files.kind: pl.String, LABEL_COLUMN: pl.String}, orient="row")
    if not classes:
        reading.notes.append(
            sentence(
                "read.no_classes",
                "{name}: no class folders in it, so there is no column '{column}'",
                name=reading.name,
                column=LABEL_COLUMN,
            )
        )
        frame = frame.drop(LABEL_COLUMN)
    yield frame


def media_kind(name: str) -> str | None:
    """Return whether a file is an `image` or `audio` by its name; None for another."""
    suffix = Path(name).suffix.lower()
    return next((kind for kind, suffixes in MEDIA.items() if suffix in suffixes), None)


def _files(folder: Path) -> Files:
    paths: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_visible(name))
        paths += [(Path(parent) / name).relative_to(folder).as_posix() for name in names if _is_visible(name)]
    by_kind = {
        kind: sorted(path for path in paths if Path(path).suffix.lower() in suffixes)
        for kind, suffixes in MEDIA.items()
    }
    kind = max(by_kind, key=lambda kind: len(by_kind[kind]))
    chosen = set(by_kind[kind])
    return Files(kind, by_kind[kind], sorted(path for path in paths if path not in chosen))


def _is_visible(name: str) -> bool:
    return not name.startswith((".", "__MACOSX")) and name not in ("Thumbs.db", "desktop.ini")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_found(folder: Path, files: Files) -> None:
    if not files.paths:
        raise DataError(
            str(folder),
            expected="a CSV or TSV file that describes the data, or images or recordings in class folders",
            found=f"only {listed(files.others, limit=3)}" if files.others else "an empty folder",
            action="Give the file that holds the table, or put the files of each class into a folder of its own",
        )


def _check_not_a_split(folder: Path, classes: list[str]) -> None:
    if classes and {name.lower() for name in classes} <= SPLIT_NAMES:
        raise DataError(
            str(folder),
            expected="folders named after classes",
            found=f"the parts of a split, {listed(classes)}",
            action=f"Give each part by itself, for instance data.train: {folder / classes[0]}",
        )
