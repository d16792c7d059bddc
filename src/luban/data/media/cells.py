"""Cells that hold a file: its bytes, or a path inside the folder of the data."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from luban.core.sentence import sentence, several
from luban.data.media.formats import SUFFIXES, kind_by_name
from luban.data.media.unreadable import UnreadableCellError

MAX_FILE_BYTES = 256 * 2**20
SPELLINGS = sorted(spelling for own in SUFFIXES.values() for suffix in own for spelling in (suffix, suffix.upper()))


def is_missing(cell: object) -> bool:
    """Tell whether a cell is null or an empty string; empty bytes are a broken file, not a missing one."""
    return cell is None or cell == ""


def locate(path: str, folder: Path | None) -> Path:
    """Return the file that a cell names; raises UnreadableCellError where it is not a file inside the folder.

    Where there is no such file, backslashes are read as slashes, and a name without a suffix as that of the one picture
    or sound that has it before its suffix.
    """
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
        root = os.path.realpath(folder)
        place = _inside(root, path, path)
        if place is None and "\\" in path:
            place = _inside(root, path.replace("\\", "/"), path)
        if place is None:
            place = _completed(root, path.replace("\\", "/"), path)
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL character, a loop of links
        unusable = sentence(
            "cell.no_path", "'{path}' is not a usable path ({error})", path=path[:100], error=str(error)
        )
        raise UnreadableCellError(unusable) from error
    if place is None:
        none = sentence("cell.no_file", "there is no file '{path}' in the folder of the data", path=path)
        raise UnreadableCellError(none)
    return Path(place)


def is_as_written(path: str, folder: Path) -> bool:
    """Tell whether a file has the very name that a cell gives."""
    return (folder / path).is_file()


def _rooted(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).anchor)


def _inside(root: str, path: str, cell: str) -> str | None:
    """Return the file that a path names, None where there is none; raises UnreadableCellError where it is outside."""
    place = os.path.realpath(os.path.join(root, path))  # noqa: PTH118 - a third of the time of pathlib, for every cell
    if place == root or place.startswith(os.path.join(root, "")):  # noqa: PTH118
        return place if _is_file(place) else None
    if Path(os.path.normpath(path)).parts[:1] == ("..",):
        raise UnreadableCellError(sentence("cell.outside", "'{path}' leaves the folder of the data", path=cell))
    leads_out = sentence(
        "cell.link",
        "'{path}' is a link that leads out of the folder of the data, which is not followed; copy the file there, or "
        "make a hard link",
        path=cell,
    )
    raise UnreadableCellError(leads_out)


def _is_file(place: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(place).st_mode)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False


def _completed(root: str, path: str, cell: str) -> str | None:
    """Return the one picture or sound whose name is a path and a suffix, None where there is none."""
    if not path or path.endswith(("/", ".")) or kind_by_name(path) is not None:
        return None
    whole = os.path.join(root, path)  # noqa: PTH118
    names = [path + suffix for suffix in SPELLINGS if _is_file(whole + suffix)]
    first = Path(root, names[0]) if names else None
    if first is not None and not all(first.samefile(Path(root, name)) for name in names):
        found = sentence("cell.several", "'{path}' may be any of the files {names}", path=cell, names=several(names))
        raise UnreadableCellError(found)
    return _inside(root, names[0], cell) if names else None


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
