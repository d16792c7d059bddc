"""Where Luban keeps what it can fetch or compute again, and how much of it."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from luban.core.errors import ConfigError

DEFAULT_GB = 10.0
PARTIAL_SECONDS = 86_400  # after a day nobody is writing an unfinished folder any more


def cache_folder() -> Path:
    """Return $LUBAN_CACHE, else $XDG_CACHE_HOME/luban, else ~/.cache/luban; it need not exist yet."""
    if chosen := os.environ.get("LUBAN_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says that a relative path is to be ignored.
    return (base if base.is_absolute() else Path.home() / ".cache") / "luban"


def cache_limit() -> int:
    """Return how many bytes of encoded columns are kept: $LUBAN_CACHE_GB times 10^9, else 10 GB. Raises ConfigError."""
    chosen = os.environ.get("LUBAN_CACHE_GB", "").strip()
    try:
        gigabytes = float(chosen) if chosen else DEFAULT_GB
    except ValueError:
        gigabytes = math.nan
    if not 0 <= gigabytes < math.inf:
        raise ConfigError(
            "the environment variable LUBAN_CACHE_GB",
            expected="a number of gigabytes, 0 or more",
            found=f"'{chosen}'",
            action=f"Correct it, or remove it for {DEFAULT_GB:g}",
        )
    return int(gigabytes * 1e9)


def mark_used(folder: Path) -> None:
    """Make a folder of the cache the most recently used one; a cache that is only lent for reading stays as it is."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def evict(cache: Path, limit: int, keep: Collection[Path]) -> list[Path]:
    """Remove the folders in `cache` that were not used for longest until `limit` bytes are left; return which.

    keep: folders that stay, whatever their size, but are counted. Folders whose name begins with a dot are unfinished:
    they go once they are a day old.
    """
    used = []
    for folder in cache.iterdir():
        with contextlib.suppress(OSError):  # another process is removing it
            used.append((folder.stat().st_mtime, sum(file.stat().st_size for file in folder.iterdir()), folder))
    total, removed = sum(size for _, size, _ in used), []
    for last_use, size, folder in sorted(used):
        is_partial = folder.name.startswith(".")
        if folder in keep or (is_partial and last_use > time.time() - PARTIAL_SECONDS):
            continue
        if is_partial or total > limit:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
            total -= size
    return removed
