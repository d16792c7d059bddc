"""The engine on a CUDA GPU, where there is one: the same numbers as on the CPU, the same bits after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_loop import small_loop, weights_after

from luban.core.events import StepDone
from luban.models.attention import attention
from luban.models.packing import Packing
from luban.training.loop import Loop

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
LENGTHS = (5, 17, 1, 64)


def on_gpu(loop: Loop, dtype: torch.dtype = torch.float32) -> Loop:
    loop.device, loop.dtype = torch.device("cuda"), dtype
    loop.network.to(loop.device)
    return loop


def test_float32_training_ends_where_that_of_the_cpu_does() -> None:
    plain = {"optimizer": "sgd", "learning_rate": 0.1}
    expected = weights_after(small_loop(0.0, optim=plain))
    found = weights_after(on_gpu(small_loop(0.0, optim=plain)))
    for name, value in expected.items():
        torch.testing.assert_close(found[name].cpu(), value, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("workers", [0, 2])
def test_bfloat16_training_learns_with_pinned_batches(workers: int) -> None:
    loop = on_gpu(small_loop(epochs=20, workers=workers, optim={"learning_rate": 0.01}), torch.bfloat16)
    losses = [event.loss for event in loop.run() if isinstance(event, StepDone)]
    assert losses[-1] < losses[0] / 2


def test_a_run_that_was_left_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    expected = weights_after(on_gpu(small_loop(folder=tmp_path / "a", ema=0.9)))
    for event in (running := on_gpu(small_loop(folder=tmp_path / "b", ema=0.9)).run()):
        if isinstance(event, StepDone) and event.step == 5:
            running.close()
            break
    found = weights_after(on_gpu(small_loop(folder=tmp_path / "b", ema=0.9, resume=True)))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


@pytest.mark.parametrize("causal", [False, True])
def test_variable_length_attention_equals_that_of_the_cpu(causal: bool) -> None:
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    q_NHK, k_NHK, v_NHK = torch.randn(3, int(offsets[-1]), 4, 32, generator=torch.Generator().manual_seed(0))
    expected = attention(q_NHK, k_NHK, v_NHK, Packing(offsets, torch.device("cpu")), causal=causal)
    packing = Packing(offsets, torch.device("cuda"))
    moved = (x_NHK.to("cuda", torch.bfloat16) for x_NHK in (q_NHK, k_NHK, v_NHK))
    found = attention(*moved, packing, causal=causal)
    torch.testing.assert_close(found.float().cpu(), expected, atol=3e-2, rtol=3e-2)
