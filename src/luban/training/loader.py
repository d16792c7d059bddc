"""Which rows make up which batch: a function of (seed, epoch), so that nothing else can change it; and making batches
ahead of the step that takes them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from luban.core.runtime import generator
from luban.features.dataset import Dataset

Rows = npt.NDArray[np.int64]
POOL = 50  # batches' worth of shuffled rows that are sorted by length together
AHEAD = 2  # batches a worker is ahead of the step that takes them
ACCELERATOR_WORKERS = 2
DISK_WORKERS = 4
MEMORY_SHARE = 0.5  # of the machine's memory; columns that take more are read from the disk again and again
Made = TypeVar("Made")


def epoch_batches(lengths: Rows, batch_size: int, seed: int, epoch: int, *, group: bool) -> list[Rows]:
    """Return the batches of one epoch: every row once, in an order drawn for this epoch.

    lengths: (rows,). With `group`, rows of like length share a batch: pools of shuffled rows are sorted by length, cut
    into batches, and the batches shuffled, which keeps batches random enough and attention free of waste.
    """
    draw = generator(seed, "order", epoch)
    order = torch.randperm(len(lengths), generator=draw).numpy()
    if not group:
        return _cut(order, batch_size)
    pool = POOL * batch_size
    pools = (order[i : i + pool] for i in range(0, len(order), pool))
    order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in pools])
    batches = _cut(order, batch_size)
    return [batches[i] for i in torch.randperm(len(batches), generator=draw).tolist()]


def token_batches(lengths: Rows, tokens: int, seed: int, epoch: int) -> list[Rows]:
    """Return the batches of one epoch, each of as many rows as fit into so many packed tokens: every row once.

    lengths: (rows,). Rows are sorted by length, those of one length shuffled, cut into batches, and the batches
    shuffled, as in fairseq (Ott et al. 2019, arXiv:1904.01038, section 3), so that every epoch has as many. A row that
    is longer than `tokens` is a batch of its own.
    """
    draw = generator(seed, "order", epoch)
    order = torch.randperm(len(lengths), generator=draw).numpy()
    order = order[np.argsort(lengths[order], kind="stable")]
    batches = np.split(order, np.cumsum(token_counts(lengths[order], tokens))[:-1])
    return [batches[i] for i in torch.randperm(len(batches), generator=draw).tolist()]


def token_counts(lengths: Rows, tokens: int) -> Rows:
    """Return the rows of each batch that is filled in turn with rows of ascending lengths (rows,) up to `tokens`.

    A last row that would be alone, without batch statistics, is joined by one from the batch before it where both fit.
    """
    ends = np.cumsum(np.maximum(lengths, 1))
    counts, start, before = list[int](), 0, 0
    while start < len(ends):
        end = max(start + 1, int(np.searchsorted(ends, before + tokens, side="right")))
        counts.append(end - start)
        start, before = end, int(ends[end - 1])
    if len(counts) > 1 and counts[-1] == 1 and counts[-2] > 2 and lengths[-2:].sum() <= tokens:
        counts[-2:] = [counts[-2] - 1, 2]
    return np.array(counts, np.int64)


def num_batches(rows: int, batch_size: int) -> int:
    """Return how many batches an epoch has: a last row that would be alone, without batch statistics, joins another."""
    full, left = divmod(rows, batch_size)
    return max(1, full + (left > 1))


def _cut(order: Rows, batch_size: int) -> list[Rows]:
    ends = [min(len(order), (i + 1) * batch_size) for i in range(num_batches(len(order), batch_size) - 1)]
    return np.split(order, ends)


def prefetched(make: Callable[[int], Made], count: int, workers: int) -> Generator[Made]:
    """Yield make(0), make(1)... make(count - 1), in this order, made ahead by so many threads; 0 makes each when asked.

    An exception of `make` is raised where its value would stand. Closing the generator, which an exception or Ctrl-C in
    the loop around it does as well, waits for what is being made, drops what is waiting and leaves no thread behind.
    """
    if not workers:
        yield from map(make, range(count))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="luban-batches")
    waiting: deque[Future[Made]] = deque()
    try:
        for number in range(count):
            waiting.append(pool.submit(make, number))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def auto_workers(dataset: Dataset, device: torch.device) -> int:
    """Return how many threads should make batches ahead.

    On a CPU the step itself uses all cores, and a batch of rows in memory is made in well under a tenth of it, so that
    threads only get in its way: none. Beside an accelerator the cores are idle: two. Columns that do not stay in memory
    wait for the disk, for which several threads can wait at once: four, on any device.
    """
    mapped = {
        id(base): base.nbytes for column in dataset.inputs.values() if (base := _mapped(column.values)) is not None
    }
    if sum(mapped.values()) > MEMORY_SHARE * _memory_bytes():
        return DISK_WORKERS
    return 0 if device.type == "cpu" else ACCELERATOR_WORKERS


def _mapped(values: npt.NDArray[np.generic]) -> np.memmap[tuple[int, ...], np.dtype[np.generic]] | None:
    """Return the whole mapped array that values are a part of; None where they are in memory."""
    while isinstance(values, np.memmap) and isinstance(values.base, np.memmap):
        values = values.base
    return values if isinstance(values, np.memmap) else None


def _memory_bytes() -> int:
    """Return the size of the machine's memory; endless where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**63
