"""Cells that hold a file: its bytes, or a path inside the folder of the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import polars as pl

from luban.core.sentence import Sentence, sentence
from luban.features.base import ColumnProfile

MAX_FILE_BYTES = 256 * 2**20
MATCHING_SHARE = 0.8  # of the sampled cells must look like files of a kind
SURE_WITH_FILES, SURE_BY_NAME = 0.99, 0.9
PROBED_PATHS = 5  # cells whose file is looked for on the disk


class UnreadableCellError(Exception):
    """A cell that cannot be read; the message is the reason, for `Encoded.bad`."""

    def __init__(self, reason: Sentence) -> None:
        super().__init__(reason)


def is_missing(cell: object) -> bool:
    """Tell whether a cell is null or an empty string; empty bytes are a broken file, not a missing one."""
    return cell is None or cell == ""


def sampled_cells(column: pl.Series, limit: int) -> list[object]:
    """Return up to `limit` cells that are not missing, drawn evenly over the column."""
    present = column.drop_nulls()
    if present.dtype == pl.String:
        present = present.filter(present != "")
    rows = np.linspace(0, max(0, len(present) - 1), min(limit, len(present))).astype(int)
    found: list[object] = present.gather(rows).to_list()
    return found


def match_files(profile: ColumnProfile, is_content: Callable[[bytes], bool], suffixes: frozenset[str]) -> float:
    """Return how surely the cells hold files of one kind: by their first bytes, or by the suffix of paths.

    A path counts by its suffix alone, so that a column whose files are not there is reported as such and not taken for
    text; where some of them are there it is surer.
    """
    cells = profile.sample.drop_nulls().to_list()
    if not cells or not isinstance(cells[0], bytes | str):
        return 0.0
    if isinstance(cells[0], bytes):
        share = sum(is_content(cell) for cell in cells) / len(cells)
        return SURE_WITH_FILES * share if share >= MATCHING_SHARE else 0.0
    may_be_path = profile.sample.drop_nulls().str.to_lowercase().str.contains_any(sorted(suffixes))
    if may_be_path.sum() < MATCHING_SHARE * len(cells):  # most columns; a path is slow to take apart
        return 0.0
    share = sum(_is_path(cell, suffixes) for cell in cells) / len(cells)
    if share < MATCHING_SHARE:
        return 0.0
    found = any(_exists(profile.folder, cell) for cell in cells[:PROBED_PATHS])
    return share * (SURE_WITH_FILES if found else SURE_BY_NAME)


def _is_path(cell: str, suffixes: frozenset[str]) -> bool:
    return PurePosixPath(cell).suffix.lower() in suffixes and "://" not in cell and "\n" not in cell


def _rooted(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).anchor)


def _exists(folder: Path | None, cell: str) -> bool:
    try:
        return bool(locate(cell, folder))
    except UnreadableCellError:
        return False


def locate(path: str, folder: Path | None) -> Path:
    """Return the file that a cell names; raises UnreadableCellError where it is not a file inside the folder."""
    if folder is None:
        found = sentence(
            "cell.no_folder", "the cell holds the path '{path}', but these data come from no folder", path=path
        )
        raise UnreadableCellError(found)
    if _rooted(path):
        found = sentence(
            "cell.absolute", "'{path}' is an absolute path; paths start in the folder of the data", path=path
        )
        raise UnreadableCellError(found)
    try:
        root = folder.resolve()
        place = (root / path).resolve()
        if not place.is_relative_to(root):
            raise UnreadableCellError(sentence("cell.outside", "'{path}' leaves the folder of the data", path=path))
        if not place.is_file():
            none = sentence("cell.no_file", "there is no file '{path}' in the folder of the data", path=path)
            raise UnreadableCellError(none)
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL character, a loop of links
        unusable = sentence(
            "cell.no_path", "'{path}' is not a usable path ({error})", path=path[:100], error=str(error)
        )
        raise UnreadableCellError(unusable) from error
    return place


def read_cell(cell: object, folder: Path | None) -> bytes:
    """Return the content of a cell that is bytes or a path; raises UnreadableCellError."""
    if isinstance(cell, str):
        path = locate(cell, folder)
        try:
            size = path.stat().st_size
            content = path.read_bytes() if size <= MAX_FILE_BYTES else b""
        except OSError as error:
            found = sentence("cell.closed", "'{path}' cannot be read ({error})", path=cell, error=str(error.strerror))
            raise UnreadableCellError(found) from error
    elif isinstance(cell, bytes):
        size, content = len(cell), cell
    else:
        kind = type(cell).__name__
        raise UnreadableCellError(
            sentence("cell.no_bytes", "expected the bytes of a file or a path, found {kind}", kind=kind)
        )
    if size > MAX_FILE_BYTES:
        raise UnreadableCellError(
            sentence(
                "cell.large", "the file has {size:,} bytes, the limit is {limit:,}", size=size, limit=MAX_FILE_BYTES
            )
        )
    if not content:
        raise UnreadableCellError(sentence("cell.empty", "the file is empty (0 bytes)"))
    return content
