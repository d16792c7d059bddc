"""Folders as tables: one with a manifest, or files in class folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from luban.core.errors import DataError, listed, typed
from luban.core.sentence import Sentence, sentence, several
from luban.data.batches import Reading
from luban.data.media.formats import NOT_DECODED
from luban.data.media.tree import OTHER, SHOWN, Tree, class_prefix, is_visible, walk

MANIFESTS = ("metadata.csv", "manifest.csv", "labels.csv", "index.csv")
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
LABEL_COLUMN = "label"


def find_manifest(folder: Path, reading: Reading) -> Path | None:
    """Return the table that describes the files in the folder: one of MANIFESTS, or the only CSV or TSV file.

    Raises DataError where there are several and none has the name of a manifest.
    """
    by_name = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_file()}
    named = [by_name[name] for name in MANIFESTS if name in by_name]
    tables = [entry for entry in by_name.values() if is_visible(entry.name) and entry.suffix.lower() in TABLE_SUFFIXES]
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
    tree = walk(folder)
    kind, paths = tree.kind, tree.paths[tree.kind]
    _check_found(folder, tree)
    prefix = class_prefix(paths)
    inside = [path.removeprefix(prefix) for path in paths]
    classes = sorted({path.partition("/")[0] for path in inside if "/" in path})
    _check_not_a_split(folder / prefix, classes)
    reading.notes += _notes(tree, reading.name, prefix)
    numbers: list[int] = []
    rows: list[tuple[str, str | None]] = []
    for number, (path, own) in enumerate(zip(paths, inside, strict=True), start=1):
        label, slash, _ = own.partition("/")
        if classes and (not slash or not path.startswith(prefix)):
            reading.reject(number, LABEL_COLUMN, f"'{path}' is in no class folder")
        elif not _is_text(path):
            reading.reject(number, kind, "the name of the file is not valid text")
        else:
            numbers.append(number)
            rows.append((path, label if slash else None))
    reading.accept(numbers)
    frame = pl.DataFrame(rows, schema={kind: pl.String, LABEL_COLUMN: pl.String}, orient="row")
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


def _notes(tree: Tree, name: str, prefix: str) -> Iterator[Sentence]:
    """Yield what was chosen for the user, and in one sentence what is left out."""
    if prefix:
        yield sentence("read.wrapped", "{name}: the class folders are in '{prefix}'", name=name, prefix=prefix[:-1])
    unnamed = sorted(tree.unnamed.intersection(tree.paths[tree.kind]))
    if unnamed:
        yield sentence(
            "read.unnamed",
            "{name}: {files:count file} {files:do are} taken for {kind} by the content, not by the name ({names})",
            name=name,
            files=len(unnamed),
            kind=tree.kind,
            names=several(unnamed, SHOWN),
        )
    if left_out := tree.left_out():
        yield sentence("read.left_out", "{name}: left out: {reasons}", name=name, reasons=left_out)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_found(folder: Path, tree: Tree) -> None:
    if tree.paths[tree.kind]:
        return
    left_out = f"none: {'; '.join(tree.left_out())}" if tree.left_out() else "an empty folder"
    if tree.others.keys() == {OTHER} and len(tree.left_out()) == 1:
        left_out = f"only {listed(sorted(tree.others[OTHER]), limit=3)}"
    advice = "Give the file that holds the table, or put the files of each class into a folder of its own"
    if tree.outside:
        advice = "Links to places inside the folder are followed"
    elif any(name in NOT_DECODED for name in tree.others):
        advice = "Convert pictures to PNG or JPEG, and sound to WAV or FLAC"
    raise DataError(
        str(folder),
        expected="a CSV or TSV file that describes the data, or images or recordings in class folders",
        found=left_out,
        action=advice,
    )


def _check_not_a_split(folder: Path, classes: list[str]) -> None:
    if classes and {name.lower() for name in classes} <= SPLIT_NAMES:
        raise DataError(
            str(folder),
            expected="folders named after classes",
            found=f"the parts of a split, {listed(classes)}",
            action=f"Give each part by itself, for instance data.train: {folder / classes[0]}",
        )
