"""Free memory goes back to the system once the resident memory has grown, and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

from luban.core.machine import heap
from luban.core.machine.heap import EVERY, LEAST, Heap

# Blocks of sizes below the threshold of mmap, every second of which is freed: the heap cannot shrink by itself.
FRAGMENTED = """
from luban.core.machine.heap import EVERY, Heap
from luban.core.machine.resources import resident_memory
import ctypes
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
watched = Heap()
assert [watched.after_step() for _ in range(EVERY)] == [False] * EVERY
size = 100_000
blocks = [library.malloc(size) for _ in range(6000)]
for block in blocks:
    ctypes.memset(block, 1, size)
for block in blocks[:-1:2] + blocks[1:-1:2]:
    library.free(block)
before = resident_memory()
assert [watched.after_step() for _ in range(EVERY)] == [False] * (EVERY - 1) + [True]
print(before - resident_memory(), size * len(blocks))
"""


@pytest.mark.skipif(heap._trim() is None, reason="the C library is not glibc")
def test_what_is_free_is_given_back() -> None:
    found = subprocess.run([sys.executable, "-c", FRAGMENTED], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    given_back, freed = map(int, found.stdout.split())
    assert given_back > 0.9 * freed


def test_growth_below_the_bound_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    held, asked = [10 * LEAST], list[int]()
    monkeypatch.setattr(heap, "resident_memory", lambda: held[0])
    monkeypatch.setattr(heap, "_trim", lambda: asked.append)
    watched = Heap()

    def looked() -> bool:
        return [watched.after_step() for _ in range(EVERY)][-1]

    assert looked()  # the first time it is not known how much is in use
    held[0] = int(10 * LEAST * 1.25) + LEAST
    assert not looked()
    held[0] += 1
    assert looked()
    assert not looked()
    assert asked == [0, 0]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_trim", lambda: None)
    watched = Heap()
    assert not any(watched.after_step() for _ in range(3 * EVERY))
