"""Batches made ahead are the same ones in the same order, and their threads end with the loop that takes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luban.core.tensors import EncodedColumn, TensorKind
from luban.features.dataset import Dataset
from luban.training import loader
from luban.training.loader import AHEAD, auto_workers, prefetched

WORKERS = [0, 1, 3]


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("luban-batches")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not own_threads()


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_all_come_in_order(workers: int, count: int) -> None:
    assert list(prefetched(lambda number: number**2, count, workers)) == [number**2 for number in range(count)]


def test_a_slow_one_holds_up_its_place_and_no_other() -> None:
    second_is_made = threading.Event()

    def make(number: int) -> int:
        if number == 0:
            assert second_is_made.wait(60)  # by the other thread
        if number == 1:
            second_is_made.set()
        return number

    assert list(prefetched(make, 4, 2)) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", WORKERS)
def test_an_exception_is_raised_at_its_place(workers: int) -> None:
    def make(number: int) -> int:
        if number == 3:
            raise ValueError("the fourth")
        return number

    batches = prefetched(make, 10, workers)
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(batches)
    assert list(batches) == []


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_is_made_ahead_than_agreed(workers: int) -> None:
    made: set[int] = set()

    def make(number: int) -> int:
        made.add(number)
        return number

    for taken in prefetched(make, 100, workers):
        assert max(made) <= taken + AHEAD * workers


@pytest.mark.parametrize("workers", [1, 3])
def test_closing_ends_the_threads(workers: int) -> None:
    made: list[int] = []
    batches = prefetched(made.append, 1000, workers)
    next(batches)
    assert own_threads()
    batches.close()  # type: ignore[attr-defined]
    assert not own_threads()
    assert len(made) <= 1 + AHEAD * workers + 1


@pytest.mark.parametrize("workers", [1, 3])
def test_ctrl_c_in_the_loop_ends_the_threads(workers: int) -> None:
    def run() -> None:
        for number in prefetched(lambda number: number, 1000, workers):
            if number == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not own_threads()


def test_ctrl_c_while_waiting_ends_the_threads() -> None:
    def make(number: int) -> int:
        if number == 1:
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        list(prefetched(make, 10, 2))
    assert not own_threads()


def test_one_that_was_never_started_has_no_threads() -> None:
    batches = prefetched(lambda number: number, 5, 2)
    assert not own_threads()
    del batches


def dataset(values: Any) -> Dataset:
    rows = np.arange(len(values))
    return Dataset({"x": EncodedColumn(TensorKind.GRID, values)}, {}, rows, rows, {})


def test_workers_are_chosen_for_the_device_and_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", np.zeros((10, 1, 8, 8), np.uint8))
    mapped = dataset(np.load(tmp_path / "x.npy", mmap_mode="r"))
    part_of_mapped = dataset(np.load(tmp_path / "x.npy", mmap_mode="r")[:, :, :2, :2])
    in_memory = dataset(np.zeros((10, 1, 8, 8), np.uint8))
    cpu, accelerator = torch.device("cpu"), torch.device("cuda")
    assert [auto_workers(data, cpu) for data in (mapped, part_of_mapped, in_memory)] == [0, 0, 0]
    assert [auto_workers(data, accelerator) for data in (mapped, in_memory)] == [2, 2]
    monkeypatch.setattr(loader, "_memory_bytes", lambda: 1_000)
    assert [auto_workers(data, cpu) for data in (mapped, part_of_mapped, in_memory)] == [4, 4, 0]
