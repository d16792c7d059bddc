"""Memory that really runs out: the exception is recognised, the process lives, and smaller parts give the same step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import torch
from memory_cap import MEGABYTE, memory_cap
from torch import nn

from luban.core.runtime import is_out_of_memory

torch.manual_seed(0)
network = nn.Sequential(nn.Linear(16, 1024), nn.ReLU(), nn.Linear(1024, 1))
data = torch.randn(65_536, 16)  # the hidden layer, its ReLU and their gradients: 256 MB each


def gradient(parts):
    network.zero_grad()
    for rows in data.chunk(parts):
        (network(rows).square().sum() / len(data)).backward()
    return network[0].weight.grad.clone()


expected = gradient(4)
with memory_cap(400 * MEGABYTE):
    parts = 1
    while True:
        try:
            found = gradient(parts)
            break
        except RuntimeError as error:
            assert is_out_of_memory(error), error
            parts *= 2
    found = gradient(parts)  # and again: nothing was left broken
torch.testing.assert_close(found, expected)
gradient(1)  # the limit is gone
print("PARTS", parts)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the data segment is limited on Linux only")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_that_does_not_fit_fails_softly_and_its_parts_give_the_same_gradient(threads: int) -> None:
    result = subprocess.run(
        [sys.executable, "-c", f"import torch; torch.set_num_threads({threads})\n{SCRIPT}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert result.returncode == 0, result.stderr
    parts = int(result.stdout.split()[-1])
    assert 2 <= parts <= 32
