"""Which rows make up which batch: a function of (seed, epoch), so that nothing else can change it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from luban.core.runtime import generator

T = TypeVar("T")
Rows = npt.NDArray[np.int64]
POOL = 50  # batches' worth of shuffled rows that are sorted by length together


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


def num_batches(rows: int, batch_size: int) -> int:
    """Return how many batches an epoch has: a last row that would be alone, without batch statistics, joins another."""
    full, left = divmod(rows, batch_size)
    return max(1, full + (left > 1))


def _cut(order: Rows, batch_size: int) -> list[Rows]:
    ends = [min(len(order), (i + 1) * batch_size) for i in range(num_batches(len(order), batch_size) - 1)]
    return np.split(order, ends)


def prefetched(make: Callable[[int], T], count: int, workers: int) -> Generator[T]:
    """Yield make(0), make(1), ... in order."""
    for i in range(count):
        yield make(i)
