"""The choice of a batch size: decided by what is measured, whatever the machine."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from luban.core.errors import TrainingError
from luban.training.budget import Budget
from luban.training.fit import Job
from luban.training.preflight.batch_size import choose_batch_size, timed
from luban.training.recipe import TrainConfig

MANY = 1_000_000


def scripted(
    rows_per_second: dict[int, float], fits: int = MANY, error: Exception | None = None
) -> Callable[[int], float]:
    def probe(size: int) -> float:
        if size > fits:
            raise error or torch.OutOfMemoryError("CUDA out of memory")
        return size / rows_per_second[size]

    return probe


def test_it_doubles_while_rows_a_second_grow_by_a_tenth() -> None:
    chosen = choose_batch_size(scripted({64: 100, 128: 150, 256: 200, 512: 216}), 64, MANY)
    assert chosen.size == 256
    assert chosen.reason == "batch 256: 512 trains only 8 % more rows a second"
    assert list(chosen.tried) == [64, 128, 256, 512]
    assert chosen.tried[256] == pytest.approx(200)


def test_a_slower_double_is_told_as_slower() -> None:
    chosen = choose_batch_size(scripted({64: 100, 128: 90}), 64, MANY)
    assert (chosen.size, chosen.reason) == (64, "batch 64: 128 trains 10 % fewer rows a second")


def test_an_epoch_keeps_its_twenty_steps() -> None:
    chosen = choose_batch_size(scripted({64: 100, 128: 200, 256: 400}), 64, 5_120)
    assert chosen.size == 256
    assert chosen.reason == "batch 256: larger ones would leave an epoch of 5,120 rows fewer than 20 steps"
    assert choose_batch_size(scripted({64: 100}), 64, 30).size == 64


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_what_does_not_fit_ends_the_search(error: Exception) -> None:
    chosen = choose_batch_size(scripted({64: 100, 128: 200}, fits=128, error=error), 64, MANY)
    assert (chosen.size, chosen.reason) == (128, "batch 128: 256 does not fit into memory")
    assert chosen.tried[256] == 0.0


def test_where_the_first_does_not_fit_it_is_halved() -> None:
    chosen = choose_batch_size(scripted({16: 100}, fits=16), 64, MANY)
    assert (chosen.size, chosen.reason) == (16, "batch 16: 32 does not fit into memory")


def test_one_row_that_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(
        TrainingError, match="train.batch_size: expected memory for one row, found too little. Choose a"
    ):
        choose_batch_size(scripted({}, fits=0), 64, MANY)


def test_another_fault_is_not_taken_for_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        choose_batch_size(scripted({}, fits=0, error=RuntimeError("shapes cannot be multiplied")), 64, MANY)


def test_a_budget_ends_the_search_before_it_is_exceeded() -> None:
    rows = [0]

    def probe(size: int) -> float:
        rows[0] = max(rows[0], size)
        return 1.0

    chosen = choose_batch_size(probe, 64, MANY, memory=lambda: 1_000 + 10 * rows[0], budget=5_000)
    assert rows[0] == 256  # 512 would take 6,120 bytes
    assert (chosen.size, chosen.reason) == (256, "batch 256: 512 would not fit into memory")


def test_a_size_that_took_more_than_the_budget_is_not_chosen() -> None:
    used = [0]

    def probe(size: int) -> float:
        used[0] = 10_000 if size > 64 else 10  # an algorithm that changes with the size: growth says nothing
        return 1.0

    assert choose_batch_size(probe, 64, MANY, memory=lambda: used[0], budget=5_000).size == 64
    assert choose_batch_size(probe, 256, MANY, memory=lambda: used[0], budget=5_000).size == 64


def test_the_same_measurements_give_the_same_choice() -> None:
    measured = {64: 100.0, 128: 150.0, 256: 160.0}
    assert choose_batch_size(scripted(measured), 64, MANY) == choose_batch_size(scripted(measured), 64, MANY)


def test_a_real_network_grows_until_a_real_failure_of_the_allocator() -> None:
    network = nn.Linear(8, 8)

    def probe(size: int) -> float:
        width = 8 if size <= 256 else 2**57  # no machine has the memory
        loss = network(torch.ones(size, 8)).sum() + torch.empty(width).numel()
        loss.backward()
        return 1.0

    chosen = choose_batch_size(probe, 64, MANY)
    assert (chosen.size, chosen.reason) == (256, "batch 256: 512 does not fit into memory")


def test_a_timed_step_is_warmed_up_and_repeated() -> None:
    sizes: list[int] = []
    assert timed(sizes.append, repeats=2)(64) >= 0
    assert sizes == [64] * 3


def test_a_forward_pass_has_no_more_rows_than_there_are_to_train_on() -> None:
    for rows, accumulate, expected in ((10_000_000, 2, 150), (64, 3, 22)):
        config = TrainConfig(batch_size=rows, accumulate=accumulate)
        budget = Budget(np.ones(300, np.int64), config)
        job = SimpleNamespace(config=config, train=range(300), budget=budget)
        assert Job.rows_per_part.fget(job) == expected
