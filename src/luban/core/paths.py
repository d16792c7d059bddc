"""Paths as a person types them."""

from __future__ import annotations

import os
from pathlib import Path

from luban.core.errors import ConfigError, LubanError


def as_path(typed: str | Path, kind: type[LubanError] = ConfigError) -> Path:
    """Return the path that was typed, where `~` and `~NAME` stand for a home folder unless a file is called so.

    Raises `kind` where it holds a NUL character or bytes that are no UTF-8, which no file of a run could name.
    """
    text = str(typed)
    if "\0" in text:
        raise kind(
            text.replace("\0", "\\0"),
            expected="a path",
            found="one with a NUL character",
            action="Correct the path",
        )
    path = Path(text)
    if text.startswith("~") and not os.path.lexists(path):
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise kind(
                text,
                expected="a file, or the home folder of a user",
                found="neither",
                action="Check the path, or write it in full",
            ) from error
    check_text(path.absolute(), kind)
    return path


def check_text(path: Path, kind: type[LubanError] = ConfigError) -> None:
    """Raise `kind` where a path holds bytes that are no UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise kind(
            str(path).encode("utf-8", "backslashreplace").decode(),
            expected="a path in UTF-8",
            found="bytes that are none",
            action="Rename the file or the folder",
        ) from error
