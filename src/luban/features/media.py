"""Which columns hold files, as bytes or as paths inside the folder of the data."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path

import polars as pl

from luban.core.errors import DataError
from luban.core.regular import open_regular
from luban.core.sentence import sentence
from luban.data.media.cells import is_as_written, locate
from luban.data.media.formats import HEAD_BYTES, SUFFIXES, kind_by_name, kind_of
from luban.data.media.unreadable import UnreadableCellError
from luban.features.base import ColumnProfile
from luban.features.cells import evenly

FILE_KINDS = ("image", "audio")  # of columns whose cells are files or paths
MATCHING_SHARE = 0.8  # of the sampled cells must look like files of a kind
SURE_WITH_FILES, SURE_BY_NAME = 0.99, 0.92  # a name tells more than a number that may be read in it
PROBED_PATHS = 5  # cells whose file is looked for on the disk
PROBED_NAMES = 20  # of names without a suffix: all of them must be files
LONGEST_NAME = 255  # characters
PLAIN = re.compile(r"[0-9A-Za-z_+-][0-9A-Za-z_+.-]*", re.ASCII)  # one name, and written alike everywhere
MAX_PROBED_ENTRIES, MAX_PROBED_FOLDERS = 10_000, 32  # of the folder of the data, among which names are looked for


def sampled_cells(column: pl.Series, limit: int) -> list[object]:
    """Return up to `limit` cells that are not missing, drawn evenly over the column."""
    present = column.drop_nulls()
    if present.dtype == pl.String:
        present = present.filter(present != "")
    found: list[object] = evenly(present, limit).to_list()
    return found


def match_files(profile: ColumnProfile, kind: str) -> float:
    """Return how surely the cells hold files of a kind, `image` or `audio`: by their first bytes, or by the suffix of
    paths.

    A path counts by its suffix alone, so that a column whose files are not there is reported as such and not taken for
    text; where some of them are there it is surer. Names without a suffix count where their files are there.
    """
    cells = profile.sample.drop_nulls().to_list()
    if not cells or profile.sample.dtype not in (pl.String, pl.Binary):
        return 0.0
    if isinstance(cells[0], bytes):
        share = sum(kind_of(cell) == kind for cell in cells) / len(cells)
        return SURE_WITH_FILES * share if share >= MATCHING_SHARE else 0.0
    lower = profile.sample.drop_nulls().str.to_lowercase()
    share = 0.0
    if lower.str.contains_any(sorted(SUFFIXES[kind])).sum() >= MATCHING_SHARE * len(cells):
        # Most columns are not like that, and a path is slow to take apart.
        share = sum(_is_path(cell) and kind_by_name(cell) == kind for cell in cells) / len(cells)
    is_many = profile.num_unique >= MATCHING_SHARE * (profile.num_rows - profile.num_missing)
    probed = cells[:: max(1, len(cells) // PROBED_NAMES)][:PROBED_NAMES] if is_many and share < 1 else []
    is_file = [_kind_of_file(profile.folder, cell) == kind for cell in probed]
    if any(is_file) and all(found or kind_by_name(cell) == kind for found, cell in zip(is_file, probed, strict=True)):
        return SURE_WITH_FILES
    if share < MATCHING_SHARE:
        return 0.0
    return share * (
        SURE_WITH_FILES if any(_found(profile.folder, cell) for cell in cells[:PROBED_PATHS]) else SURE_BY_NAME
    )


def path_note(profile: ColumnProfile) -> str:
    """Say so where the files have other names than the cells of a column of paths; nothing where they have the same."""
    cells = profile.sample.drop_nulls()
    if cells.dtype != pl.String or profile.folder is None:
        return ""
    for cell in cells.head(PROBED_PATHS).to_list():
        place = _found(profile.folder, cell)
        if place is None or is_as_written(cell, profile.folder):
            continue
        name = place.relative_to(profile.folder.resolve()).as_posix()
        values = {"column": profile.name, "cell": cell, "file": name}
        if kind_by_name(cell) is None:
            return sentence(
                "infer.suffix",
                "column '{column}': names without a suffix are read with it, '{cell}' as '{file}'",
                **values,
            )
        return sentence(
            "infer.backslashes", "column '{column}': backslashes are read as slashes, '{cell}' as '{file}'", **values
        )
    return ""


def elsewhere(profile: ColumnProfile) -> str:
    """Say so where the cells of a column are the names of pictures or sound in a folder below that of the data, and how
    they must be written to be read; nothing where they are not."""
    cells = profile.sample.drop_nulls()
    is_many = profile.num_unique >= MATCHING_SHARE * (profile.num_rows - profile.num_missing)
    if (
        profile.folder is None
        or not len(cells)
        or not is_many
        or not (cells.dtype == pl.String or cells.dtype.is_integer())
    ):
        return ""
    names = [str(cell) for cell in cells.head(PROBED_PATHS).to_list()]
    if not all(0 < len(name) <= LONGEST_NAME and "/" not in name and "\0" not in name for name in names):
        return ""
    if any(_found(profile.folder, name) for name in names):
        return ""
    for below in _folders(profile.folder):
        files = [_found(profile.folder, f"{below.name}/{name}") for name in names]
        kinds = {None if file is None else kind_by_name(file.name) for file in files}
        if files[0] is not None and len(kinds) == 1 and None not in kinds:
            return sentence(
                "infer.elsewhere",
                "column '{column}': its cells are the names of files in '{folder}'; to learn from these, write them as "
                "paths, '{path}' for '{cell}'",
                column=profile.name,
                folder=below.name,
                path=f"{below.name}/{files[0].name}",
                cell=names[0],
            )
    return ""


def file_namer(folder: Path | None) -> Callable[[str], bool]:
    """Return what tells whether a cell may be the name of a file in a folder, or in one below it.

    The folders are listed once, for each of thousands of columns may ask.
    """
    places = [folder, *_folders(folder)] if folder is not None else []
    listed = cache(_names)
    return lambda cell: any(_may_hold(listed(place), cell) and _found(place, cell) is not None for place in places)


def _names(folder: Path) -> frozenset[str] | None:
    """Return the names in a folder, with and without their suffixes, in one case; None where there are too many."""
    try:
        with os.scandir(folder) as found:
            names = [entry.name.casefold() for entry in islice(found, MAX_PROBED_ENTRIES + 1)]
    except OSError:
        return None
    return None if len(names) > MAX_PROBED_ENTRIES else frozenset(part for name in names for part in _parts(name))


def _parts(name: str) -> tuple[str, str]:
    return name, name.rpartition(".")[0]


def _may_hold(names: frozenset[str] | None, cell: str) -> bool:
    """Tell whether a folder of these names is worth a look."""
    return names is None or not PLAIN.fullmatch(cell) or cell.casefold() in names


def _folders(folder: Path) -> list[Path]:
    """Return the first folders in a folder, in order of their names."""
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry in islice(found, MAX_PROBED_ENTRIES) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in sorted(names)[:MAX_PROBED_FOLDERS] if not name.startswith(".")]


def _is_path(cell: str) -> bool:
    return "://" not in cell and "\n" not in cell


def _found(folder: Path | None, cell: str) -> Path | None:
    try:
        return locate(cell, folder)
    except UnreadableCellError:
        return None


def _kind_of_file(folder: Path | None, cell: str) -> str | None:
    """Return the kind of the file that a name without a suffix stands for, None where there is none."""
    if folder is None or len(cell) > LONGEST_NAME or not _is_path(cell) or (place := _found(folder, cell)) is None:
        return None
    try:
        with open_regular(place) as file:
            return kind_of(file.read(HEAD_BYTES))
    except (DataError, OSError):
        return None
