"""Where Luban keeps what it can fetch or compute again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return $LUBAN_CACHE, else $XDG_CACHE_HOME/luban, else ~/.cache/luban; it need not exist yet."""
    if chosen := os.environ.get("LUBAN_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says that a relative path is to be ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "luban"
