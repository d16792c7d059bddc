"""The limit on this process's address space, as `ulimit -v` sets it: below a size the libraries cannot even be loaded,
and end the process without a word."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from luban.core.errors import ResourceError

LOADED_BYTES = 2_000_000_000  # what torch, Polars, SciPy and scikit-learn reserve on two cores: 1.96 GB
TRAINED_BYTES = 2_100_000_000  # what a training of a small table reserves as well, with the threads of its libraries


def left_of_limit(root: Path = Path("/")) -> int | None:
    """Return the bytes that the limit leaves; None where there is no limit. root: where /proc is."""
    try:
        resource = importlib.import_module("resource")  # not there on Windows
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    try:
        taken = int((root / "proc/self/statm").read_text("utf-8").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
    return None if limit == resource.RLIM_INFINITY else max(0, int(limit) - taken)


def check_room_to_load(needed: int = LOADED_BYTES) -> None:
    """Raise ResourceError where the limit leaves less than the libraries need to be loaded, or to do what is asked."""
    left = left_of_limit()
    if left is not None and left < needed:
        raise ResourceError(
            "this process",
            expected=f"at least {needed / 1e9:.2f} GB of address space",
            found=f"a limit that leaves {left / 1e9:.2f} GB",
            action="Raise it: `ulimit -v unlimited`",
        )
