"""Columns of files decoded on all cores: in threads, or in processes where the files are too small for threads."""

from __future__ import annotations

import json
import math
import mmap
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from luban.core.machine.resources import num_cores
from luban.core.sentence import PARTS, restored, said, with_parts
from luban.data.media.cells import read_cell
from luban.data.media.quiet import quiet
from luban.data.media.unreadable import UnreadableCellError, damaged

NUM_SPANS = 64  # parts of a column that threads take in turn
THREADED_BYTES = 3_000  # measured: from this mean size of a file on, two threads beat one
FORKED_CELLS = 4_096  # of small files, from where on a process more is worth its start
Decode = Callable[[int, bytes], None]
Reasons = dict[int, str]


def shared_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return zeros in memory that forked processes can fill."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not size:
        return np.zeros(shape, dtype)
    return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)


def decode_cells(
    cells: Sequence[object], positions: Iterable[int], folder: Path | None, decode: Decode, *, is_shared: bool = False
) -> Reasons:
    """Call `decode(position, content)` for each position, on all cores where that pays; return why some failed.

    `decode` stores its own result and must release the GIL for most of its time to gain from threads. is_shared: it
    writes into `shared_zeros` and nowhere else, so that other processes can do it.
    """

    def run(span: Sequence[int]) -> Reasons:
        bad: Reasons = {}
        for position in span:
            try:
                decode(position, read_cell(cells[position], folder))
            except UnreadableCellError as error:
                bad[position] = said(error)
            except Exception as error:  # noqa: BLE001  # decoders of damaged files raise whatever they stumble over
                bad[position] = said(damaged(error))
        return bad

    wanted = list(positions)
    with quiet():
        if _threads_pay(cells, wanted):
            with ThreadPoolExecutor() as pool:
                found = list(pool.map(run, [wanted[start::NUM_SPANS] for start in range(NUM_SPANS)]))
        elif is_shared and len(wanted) >= FORKED_CELLS and sys.platform == "linux":
            found = _in_processes(run, [wanted[start :: num_cores()] for start in range(num_cores())])
        else:
            found = [run(wanted)]
    return dict(sorted((position, reason) for bad in found for position, reason in bad.items()))


def _threads_pay(cells: Sequence[object], positions: Sequence[int]) -> bool:
    """Tell whether there are enough cells, and large enough: with small files, Python's own share of the work, which
    holds the GIL, outweighs the decoding, and threads slow it down."""
    sizes = [len(cell) for cell in (cells[position] for position in positions[:NUM_SPANS]) if isinstance(cell, bytes)]
    return len(positions) >= NUM_SPANS and (not sizes or sum(sizes) / len(sizes) >= THREADED_BYTES)


def _in_processes(run: Callable[[Sequence[int]], Reasons], spans: list[list[int]]) -> list[Reasons]:
    """Do the first span here and each other one in a fork of this process; one that dies is done over here."""
    children, found = [], []
    for span in spans[1:]:
        try:
            children.append((_fork(run, span), span))
        except OSError:  # no room for another process
            found.append(run(span))
    found.append(run(spans[0]))
    for (process, pipe), span in children:
        with os.fdopen(pipe, "rb") as answer:
            written = answer.read()
        _, status = os.waitpid(process, 0)
        found.append(run(span) if status else _told(json.loads(written)))
    return found


def _told(answer: dict[str, Any]) -> Reasons:
    """Return the reasons that another process wrote, each beside its parts."""
    return {int(at): restored(answer[at], answer.get(f"{at}{PARTS}")) for at in answer if at.isdigit()}


def _fork(run: Callable[[Sequence[int]], Reasons], span: list[int]) -> tuple[int, int]:
    """Start a process that decodes a span; return its number, and the pipe on which it says what failed.

    The fork decodes and ends, without a look at torch, Polars or any lock that a thread of this process may hold.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of all forks beside threads
        process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    try:
        reasons = {str(position): reason for position, reason in run(span).items()}
        answer = json.dumps(with_parts(reasons)).encode()
        while answer:
            answer = answer[os.write(writing, answer) :]
        os._exit(0)
    finally:
        os._exit(1)
