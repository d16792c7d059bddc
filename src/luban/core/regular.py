"""Regular files, the only ones that are read: who opens a named pipe or a device may wait for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from luban.core.errors import DataError, LubanError
from luban.core.system_errors import read_errors

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def is_regular(path: Path) -> bool:
    """Tell whether there is a regular file, or a link to one; False where the system does not let us look."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # a name too long, a NUL character, a folder that may not be entered
        return False


def check_regular(path: Path, kind: type[LubanError] = DataError) -> os.stat_result:
    """Return what the system knows of a regular file. Raises `kind` where it is something else, or cannot be seen."""
    with read_errors(path, kind):
        status = _named(path, kind).stat()
    _check(status, path, kind)
    return status


def open_regular(path: Path, kind: type[LubanError] = DataError) -> BinaryIO:
    """Open a regular file to read its bytes. Raises `kind` where it is something else, or cannot be read."""
    check_regular(path, kind)
    with read_errors(path, kind):
        descriptor = os.open(path, os.O_RDONLY | NO_WAIT)  # does not wait where a pipe has taken its place since
        try:
            _check(os.fstat(descriptor), path, kind)
        except LubanError:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")


def read_regular(path: Path, kind: type[LubanError] = DataError, most: int | None = None) -> bytes:
    """Return the bytes of a regular file.

    most: how many there may be. Raises `kind` where it is something else, has more, or cannot be read.
    """
    with open_regular(path, kind) as file, read_errors(path, kind):
        content = file.read() if most is None else file.read(most + 1)
    if most is not None and len(content) > most:
        raise kind(str(path), expected=f"at most {most:,} bytes", found="more", action="Check where the file is from")
    return content


def _named(path: Path, kind: type[LubanError]) -> Path:
    if "\0" in str(path):
        raise kind(
            str(path).replace("\0", "\\0"),
            expected="the name of a file",
            found="one with a NUL character",
            action="Correct the name",
        )
    return path


def _check(status: os.stat_result, path: Path, kind: type[LubanError]) -> None:
    if not stat.S_ISREG(status.st_mode):
        found = next((name for is_kind, name in KINDS if is_kind(status.st_mode)), "something else")
        raise kind(
            str(path), expected="a regular file", found=found, action="Save what it holds to a file, and give its path"
        )
