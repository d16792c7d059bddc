"""Where Luban keeps what it can fetch or compute again, and how much of it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from luban.core.errors import ConfigError
from luban.core.removal import is_plain_file, is_plain_folder, remove_folder, set_aside

DEFAULT_GB = 10.0
PARTIAL_SECONDS = 86_400  # after a day nobody is writing an unfinished folder any more
CLAIM = "luban.json"  # in each folder of the cache that Luban makes
LARGEST_CLAIM = 10_000  # bytes


@dataclass(frozen=True)
class Kind:
    """What an entry of the cache looks like: how its folder is named, and the files in it."""

    folder: str
    files: str

    def holds(self, path: Path) -> bool:
        """Tell whether a path in such a folder is a file of it, finished or not."""
        name = rf"{CLAIM}|{self.files}"
        return is_plain_file(path) and bool(re.fullmatch(rf"{name}|\.({name})\.[0-9a-f]{{8}}\.partial", path.name))


KINDS: Mapping[str, Kind] = {
    "encoded": Kind(r"[0-9a-f]{64}", r"\d+\.(values|offsets)\.npy|(dense|ids)\.npy|index\.json"),
    "vectors": Kind(r"vectors-[0-9a-f]{40}", r"vectors\.npz"),
    "table": Kind(r"[0-9a-f]{24}", r"\d{6,}\.arrow|rows\.npy|reading\.json"),
}


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


def claim(folder: Path, kind: str, name: str) -> None:
    """Write into a folder that is being made that it is Luban's. name: that it will have."""
    (folder / CLAIM).write_text(json.dumps({"luban": kind, "folder": name}), "utf-8")


def is_claimed(folder: Path) -> bool:
    """Tell whether a folder is an entry that Luban made, or began to: by its claim, and the names of it and of every
    file in it."""
    try:
        if not is_plain_file(folder / CLAIM) or (folder / CLAIM).stat().st_size > LARGEST_CLAIM:
            return False
        content = json.loads((folder / CLAIM).read_bytes())
        kind, name = KINDS[content["luban"]], content["folder"]
        is_named = re.fullmatch(kind.folder, name) and re.fullmatch(_or_partial(name), folder.name)
        return bool(is_named) and all(kind.holds(path) for path in folder.iterdir())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def remove_entry(folder: Path) -> bool:
    """Remove a folder of the cache if it is Luban's; return whether it is gone."""
    return is_plain_folder(folder) and is_claimed(folder) and remove_folder(folder, is_plain_file)


def replace_entry(made: Path, folder: Path) -> None:
    """Give a folder its final name. What stands there goes if it is Luban's, else it gets another name.

    Raises OSError where the place cannot be written, or another process was faster.
    """
    if os.path.lexists(folder) and not remove_entry(folder):
        set_aside(folder)
    made.rename(folder)


def evict(cache: Path, limit: int, keep: Collection[Path]) -> tuple[list[Path], list[Path]]:
    """Remove the folders in `cache` that were not used for longest until `limit` bytes are left.

    keep: folders that stay, whatever their size, but are counted. Unfinished folders go once they are a day old. What
    Luban did not write is neither counted nor removed. Returns what was removed and, where room was needed, what is
    there beside what Luban wrote.
    """
    used, foreign = [], []
    for folder in sorted(cache.iterdir()):
        with contextlib.suppress(OSError):  # another process is removing it
            if is_plain_folder(folder) and is_claimed(folder):
                size = sum(file.stat().st_size for file in folder.iterdir())
                used.append((folder.stat().st_mtime, size, folder))
            else:
                foreign.append(folder)
    total, removed = sum(size for _, size, _ in used), []
    needs_room = total > limit
    for last_use, size, folder in sorted(used):
        is_partial = folder.name.startswith(".")
        if folder in keep or (is_partial and last_use > time.time() - PARTIAL_SECONDS):
            continue
        if (is_partial or total > limit) and remove_entry(folder):
            removed.append(folder)
            total -= size
    return removed, foreign if needs_room else []


def _or_partial(name: str) -> str:
    """Match the name of an entry, or of the folder in which it is being made."""
    return rf"{re.escape(name)}|\.{re.escape(name[:16])}\w*\.[0-9a-f]{{8}}\.partial"
