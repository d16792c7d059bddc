"""The batch size that a machine trains fastest with, found by trying."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from luban.core.errors import TrainingError
from luban.core.runtime import is_out_of_memory, synchronize
from luban.training.recipe import SMALL_BATCHES

WORTHWHILE = 1.1  # times the rows a second that a doubled batch must train
REPEATS = 3


@dataclass(frozen=True)
class BatchSize:
    """size: rows of a batch. reason: one sentence. tried: rows a second by size, in order; 0 where it did not fit."""

    size: int
    reason: str
    tried: dict[int, float]


def choose_batch_size(
    probe: Callable[[int], float],
    first: int,
    rows: int,
    memory: Callable[[], int | None] = lambda: None,
    budget: int | None = None,
) -> BatchSize:
    """Double the batch from `first` while it pays; halve it where even that does not fit.

    probe: takes a batch size, trains a step of a copy of the network, returns its seconds, and raises what torch
    raises where memory runs out. rows: of training, which must give 20 steps an epoch. memory: the most bytes in use
    so far; a size is not tried if it would take more than `budget`, judged by the growth before it. The choice depends
    on nothing but what is measured. Raises TrainingError where a single row does not fit.
    """
    tried: dict[int, float] = {}
    size, used = first, [memory()]
    while (seconds := _seconds(probe, size)) is None or _exceeds(memory(), budget):
        tried[size] = 0.0
        if size == 1:
            raise TrainingError(
                "train.batch_size",
                expected="memory for one row",
                found="too little",
                action="Choose a smaller model, or shorten or shrink the inputs",
            )
        size //= 2
    tried[size] = size / seconds
    used.append(memory())
    if size < first:
        return BatchSize(size, f"batch {size:,}: {2 * size:,} does not fit into memory", tried)
    while True:
        double = 2 * size
        if double > max(first, rows // SMALL_BATCHES):
            reason = f"larger ones would leave an epoch of {rows:,} rows fewer than {SMALL_BATCHES} steps"
            break
        if _exceeds(_expected(used), budget):
            reason = f"{double:,} would not fit into memory"
            break
        seconds = _seconds(probe, double)
        if seconds is None or _exceeds(memory(), budget):
            tried[double] = 0.0
            reason = f"{double:,} does not fit into memory"
            break
        tried[double] = double / seconds
        used.append(memory())
        gain = tried[double] / tried[size]
        if gain <= WORTHWHILE:
            reason = f"{double:,} trains {_percent(gain)} rows a second"
            break
        size = double
    return BatchSize(size, f"batch {size:,}: {reason}", tried)


def timed(step: Callable[[int], None], repeats: int = REPEATS) -> Callable[[int], float]:
    """Make a probe of a function that trains one step at a batch size.

    The fastest repeat counts, after a warm-up, so that a busy machine does not decide.
    """

    def probe(batch_size: int) -> float:
        step(batch_size)
        synchronize()
        timings = []
        for _ in range(repeats):
            start = time.perf_counter()
            step(batch_size)
            synchronize()
            timings.append(time.perf_counter() - start)
        return min(timings)

    return probe


def _seconds(probe: Callable[[int], float], size: int) -> float | None:
    """Return the seconds of a step; None where it does not fit."""
    try:
        return max(probe(size), 1e-9)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # only now: the exception held the tensors of the step
    return None


def _expected(used: list[int | None]) -> int | None:
    """Return the memory that the doubled batch will take: it grows by twice what the last doubling grew it by."""
    before, now = used[-2], used[-1]
    if before is None or now is None:
        return None
    return now + (2 if len(used) > 2 else 1) * max(0, now - before)


def _exceeds(used: int | None, budget: int | None) -> bool:
    return used is not None and budget is not None and used > budget


def _percent(gain: float) -> str:
    share = round(100 * abs(gain - 1))
    return f"only {share} % more" if gain >= 1 else f"{share} % fewer"
