"""A training that really runs out of memory goes on in smaller parts, with the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import numpy as np
import polars as pl
import torch
from memory_cap import MEGABYTE, memory_cap
from luban.core.events import MemoryRanOut
from luban.core.runtime import seeded
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.dataset import Dataset
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.tasks.classification import Binary
from luban.training import recipe
from luban.training.loop import Loop
from luban.training.recipe import TrainConfig

torch.set_num_threads(1)
ROWS = 16384
draw = np.random.default_rng(0)
values = draw.normal(size=(ROWS, 16)).astype(np.float32)
rows = np.arange(ROWS)
targets = {"y": EncodedColumn(TensorKind.DENSE, (values[:, 0] > 0).astype(np.int64))}
data = Dataset({"x": EncodedColumn(TensorKind.DENSE, values)}, targets, rows, rows, {})
none = data.select(rows[:0])
task = Binary.fit(pl.Series("y", [0, 1] * 8))
spec = networks.specify(
    NetworkConfig.model_validate({"hidden": [1024, 1024], "dropout": 0.0}),
    [InputSpec("x", TensorKind.DENSE, 16)],
    task.heads(),
)

def trained(batch_size):
    with seeded(0, "test"):
        network = Network(spec)
    settings = {"epochs": 1, "batch_size": batch_size, "optim": {"optimizer": "sgd", "learning_rate": 0.1}}
    config = recipe.complete(TrainConfig.model_validate(settings), spec, ROWS, None)
    loop = Loop(network, task, data, none, config, 0, torch.device("cpu"), torch.float32, [])
    parts = [event.parts for event in loop.run() if isinstance(event, MemoryRanOut)]
    return parts, torch.cat([p.detach().flatten() for p in network.parameters()])

trained(64)  # thread pools and scratch memory are there from here on
free, expected = trained(ROWS)
with memory_cap(250 * MEGABYTE):
    capped, found = trained(ROWS)
print(json.dumps({"free": free, "capped": capped, "difference": float((found - expected).abs().max())}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the cap is Linux's")
def test_a_capped_training_goes_on_in_parts_and_ends_with_the_same_weights() -> None:
    here = Path(__file__).parent
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(here), str(here.parent / "unit")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["free"] == []
    assert found["capped"]
    assert found["capped"][-1] >= 2
    assert found["difference"] < 1e-6
