"""The files that commands write: whether a place is free, and tables in the format of a file's ending."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from luban.core import artifact, settings_text
from luban.core.errors import ArtifactError, ConfigError, LubanError, listed
from luban.core.paths import as_path
from luban.core.regular import read_regular
from luban.core.sentence import sentence
from luban.core.system_errors import disk_errors
from luban.data import formulas, samples
from luban.data.split.config import ROLES

MARKS = (artifact.MANIFEST, artifact.HISTORY)  # that a folder with a configuration is a run
Formulas = Literal["added", "all", "none"]  # cells that are written as text where a spreadsheet would run them
WRITERS: dict[str, Callable[[pl.DataFrame, Any], object]] = {
    ".csv": lambda frame, file: frame.write_csv(file),
    ".tsv": lambda frame, file: frame.write_csv(file, separator="\t"),
    ".parquet": lambda frame, file: frame.write_parquet(file),
    ".jsonl": lambda frame, file: frame.write_ndjson(file),
}
FOR_SPREADSHEETS = (".csv", ".tsv")


def check_output(
    typed: Path,
    inputs: Iterable[str | Path | None] = (),
    *,
    overwrite: bool,
    endings: Iterable[str] = tuple(WRITERS),
    own: Path | None = None,
) -> Path:
    """Return the path of an output, `~` resolved.

    inputs: files, folders and references that the command reads, of which none is ever replaced, by whatever name.
    own: a file of a run that this command makes again. Raises ConfigError where the output cannot be written as asked.
    """
    output = as_path(typed)
    with disk_errors(output, ConfigError):
        _check(output, inputs, overwrite, tuple(endings), own)
    return output


def _check(
    output: Path, inputs: Iterable[str | Path | None], overwrite: bool, endings: Sequence[str], own: Path | None
) -> None:
    if output.suffix not in endings:
        raise ConfigError(
            str(output),
            expected=f"an ending of {listed(endings)}",
            found=f"'{output.suffix}'",
            action="Rename the output",
        )
    if output.is_symlink():
        raise ConfigError(
            str(output),
            expected="a file, or a name that is free",
            found=f"a link to '{output.readlink()}'",
            action="Name that file itself, or rename the output: a link is neither replaced nor followed",
        )
    if not output.parent.is_dir() or output.is_dir():
        raise ConfigError(
            str(output),
            expected="a file in a folder that exists",
            found="none",
            action="Make the folder, or check the path",
        )
    for source in inputs:
        if source is not None and not samples.is_reference(str(source)):
            _check_is_not_read(output, as_path(source))
    if own is None or output.resolve() != own.resolve():
        _check_is_not_of_a_run(output)
    if output.exists() and not overwrite:
        raise ConfigError(
            str(output),
            expected="a file that does not exist yet",
            found="one",
            action="Rename the output, or add --overwrite",
        )


def read_by(run: Path) -> list[str]:
    """Return the sources that a run's configuration names, none where it cannot be read."""
    with contextlib.suppress(LubanError):
        settings = settings_text.read_file(run / artifact.CONFIG)
        data = settings.get("data") if isinstance(settings, dict) else None
        found = [data.get(role) for role in ROLES] if isinstance(data, dict) else []
        return [path for path in found if isinstance(path, str)]
    return []


def _check_is_not_read(output: Path, source: Path) -> None:
    """Raise ConfigError where the output is a source, one of a folder's files, or another name of one."""
    if not output.exists():
        return
    is_read, found = False, f"'{source}'" if str(source) == str(output) else f"another name of '{source}'"
    with contextlib.suppress(OSError):  # a source that cannot be seen is refused by who reads it
        if source.is_dir():
            is_read = output.resolve().is_relative_to(source.resolve()) or _is_linked_from(source, output)
            found = f"a file of '{source}'"
        else:
            is_read = output.samefile(source)
    if is_read:
        raise ConfigError(
            str(output),
            expected="a file that is none of the inputs",
            found=found,
            action="Rename the output: the original is never changed",
        )


def _is_linked_from(folder: Path, output: Path) -> bool:
    """Return whether a folder holds another name of a file."""
    status = output.stat()
    return status.st_nlink > 1 and any(
        (found.st_ino, found.st_dev) == (status.st_ino, status.st_dev) for found in _statuses(folder)
    )


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                yield Path(root, name).stat()


def _check_is_not_of_a_run(output: Path) -> None:
    """Raise ConfigError where the output has the place of a file that belongs to a run."""
    folder = output.resolve().parent
    run = folder.parent if folder.name == artifact.CHECKPOINTS else folder
    if not (run / artifact.CONFIG).is_file() or not any((run / name).is_file() for name in MARKS):
        return
    if run != folder or output.name in artifact.NAMES or output.name in _sealed(run):
        raise ConfigError(
            str(output),
            expected="a file that belongs to no run",
            found=f"one of the run '{run}'",
            action="Rename the output: the files of a run are never changed",
        )


def _sealed(run: Path) -> Collection[str]:
    """Return the files that a manifest names; a damaged one names none."""
    with contextlib.suppress(ArtifactError, ValueError, RecursionError):
        content = json.loads(read_regular(run / artifact.MANIFEST, ArtifactError, artifact.MOST_BYTES))
        files = content.get("files") if isinstance(content, dict) else None
        return files if isinstance(files, dict) else ()
    return ()


def flat(frame: pl.DataFrame, *, lists: bool = False) -> pl.DataFrame:
    """Turn cells that a text file cannot hold into text: labels joined, other lists as JSON, bytes as base64. lists:
    the file holds lists and objects as they are."""
    cells = {}
    for name, dtype in frame.schema.items():
        if lists and dtype.is_nested() and _is_json(dtype):
            continue
        if dtype == pl.Binary:
            cells[name] = frame[name].bin.encode("base64")
        elif isinstance(dtype, pl.Duration):
            cells[name] = frame[name].dt.to_string("polars")
        elif dtype == pl.List(pl.String):
            cells[name] = frame[name].list.join(";")
        elif dtype.is_nested():
            texts = [None if cell is None else json.dumps(cell, default=str) for cell in frame[name].to_list()]
            cells[name] = pl.Series(name, texts, dtype=pl.String)
    return frame.with_columns(**cells)


def _is_json(dtype: Any) -> bool:
    """Tell whether JSON holds cells of a type, and what is in them, without a change."""
    if isinstance(dtype, pl.List | pl.Array):
        return _is_json(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return all(_is_json(field.dtype) for field in dtype.fields)
    return dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Null)


def formulas_of(escape: bool | None) -> Formulas:
    """Return which cells are written as text: all, none, or where nothing was said those that are added."""
    return "added" if escape is None else "all" if escape else "none"


def for_text_file(
    frame: pl.DataFrame, added: Collection[str] = (), which: Formulas = "added"
) -> tuple[pl.DataFrame, list[str]]:
    """Return a table as a CSV or TSV file holds it, and what to tell of cells that a spreadsheet would run.

    added: columns that are not the user's. which: cells that are written as text where one would run them.
    """
    frame = flat(frame)
    notes: list[str] = []
    own = [name for name in frame.columns if name not in added]
    if which != "none" and (found := formulas.count(frame, added)):
        notes.append(
            sentence(
                "formulas.added",
                "a spreadsheet would run {cells:count added cell} as a formula: a ' stands before each "
                "(--keep-formulas writes them as they are)",
                cells=found,
            )
        )
        frame = formulas.as_text(frame, added)
    if found := formulas.count(frame, own):
        if which == "all":
            frame = formulas.as_text(frame, own)
        else:
            told = sentence(
                "formulas.own",
                "a spreadsheet would run {cells:count cell} of the data as a formula: they are written as they are "
                "(--escape-formulas writes a ' before each)",
                cells=found,
            )
            notes.append(told)
    return frame, notes


def write_table(frame: pl.DataFrame, output: Path, added: Collection[str] = (), which: Formulas = "added") -> list[str]:
    """Write a table in the format of the file's ending, whole or not at all; return what to tell of its cells.

    added, which: as `for_text_file` takes them.
    """
    notes: list[str] = []
    if output.suffix in FOR_SPREADSHEETS:
        frame, notes = for_text_file(frame, added, which)
    elif output.suffix != ".parquet":
        frame = flat(frame, lists=True)
    with artifact.atomic(output) as temporary:
        WRITERS[output.suffix](frame, temporary)
    return notes


def free_names(names: Sequence[str], taken: Iterable[str]) -> dict[str, str]:
    """Return each name with the one that it gets: its own, or a longer one where a column has that already."""
    columns = set(taken)
    used, found = columns | set(names), {}
    for name in names:
        free = name
        while free in (columns if free == name else used):
            free += "_2"
        used.add(free)
        found[name] = free
    return found
