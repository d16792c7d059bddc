"""A machine with little memory, made of a large one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 2**20


@contextlib.contextmanager
def memory_cap(room: int) -> Iterator[None]:
    """Let this process allocate at most `room` bytes more than it has now: allocators raise then, nothing is killed.

    Take one small step first, so that thread pools, the optimizer's state and the kernels' scratch are there already.
    The data segment is limited, not the address space: threads reserve far more of that than they use. Keep `room`
    several times away from what a step needs, on either side: freed blocks below 32 MB are kept by the allocator and
    still count. Linux only.
    """
    import resource

    data = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
