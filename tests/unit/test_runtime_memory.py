"""Running out of memory is told from a fault in the program."""

from __future__ import annotations

from mmap import mmap
from typing import Any

import pytest
import torch
from small_loop import small_loop

from luban.core.machine.resources import device_memory, resident_memory
from luban.core.runtime import is_out_of_memory
from luban.forward import forward_all


def test_a_real_failure_of_the_cpu_allocator_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.8 GB)"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:81] data. DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_what_allocators_say_is_recognised(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"),
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("out of memory"),
        KeyboardInterrupt(),
    ],
)
def test_other_faults_are_not_taken_for_it(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def test_resident_memory_grows_with_what_is_held() -> None:
    before = resident_memory()
    if before is None:
        pytest.skip("this system does not tell the resident memory")
    size = 64_000_000
    with mmap(-1, size) as held:  # pages of its own: an allocator may hand out some that were resident before
        held.write(b"1" * size)
        after = resident_memory()
    assert after is not None
    assert after - before > 0.5 * size


def test_device_memory_is_none_without_an_accelerator() -> None:
    has_accelerator = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (device_memory() is not None) == has_accelerator


def test_prediction_goes_on_with_fewer_rows_where_memory_runs_out() -> None:
    loop = small_loop()
    expected = forward_all(loop.network, loop.train, torch.device("cpu"), torch.float32)
    honest = loop.network.forward

    def forward(inputs: dict[str, Any]) -> torch.Tensor:
        if len(inputs["text"]) > 20:
            raise torch.OutOfMemoryError
        return honest(inputs)

    loop.network.forward = forward  # type: ignore[method-assign]
    found = forward_all(loop.network, loop.train, torch.device("cpu"), torch.float32)
    torch.testing.assert_close(found, expected)
