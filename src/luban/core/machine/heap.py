"""Memory that the C library holds free: given back to the system before it adds up.

Packed batches differ in size at every step. The blocks that glibc keeps for them fit the next batch badly, so that it
asks the system for more, although what is in use does not grow.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

from luban.core.machine.resources import resident_memory

EVERY = 20  # steps between two looks
# Of what was resident last, and in bytes: so much more is left to the heap.
SHARE, LEAST = 0.25, 256 * 2**20


class Heap:
    """Bounds the resident memory of a loop. Does nothing where the C library is not glibc."""

    def __init__(self) -> None:
        self.steps = 0
        self.resident = 0  # bytes, after memory was given back last

    def after_step(self) -> bool:
        """Give free memory back where the resident memory has grown since; return whether that was so."""
        self.steps += 1
        if self.steps % EVERY or (trim := _trim()) is None:
            return False
        if (resident_memory() or 0) <= (1 + SHARE) * self.resident + LEAST:
            return False
        trim(0)
        self.resident = resident_memory() or 0
        return True


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    """Return glibc's malloc_trim; None on other systems."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
