"""Loss curves of five small jobs, identical to the bit from one version of the code to the next.

Bits differ between processors and versions of torch, so that curves are recorded for each kind of machine; where none
is recorded yet, the curves must be close to those of any. `LUBAN_RECORD=1 pytest tests/golden` records this one's.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from machine import machine

from luban.core.events import StepDone
from luban.core.runtime import seeded
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.dataset import Dataset
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.tasks.base import Task
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.regression import Regression
from luban.training import recipe
from luban.training.loop import Loop
from luban.training.recipe import TrainConfig

RECORDED = Path(__file__).with_name("loss_curves.json")
ROWS = 96
TABLE = [InputSpec("numbers", TensorKind.DENSE, 4), InputSpec("city", TensorKind.IDS, 5)]
TEXT = [InputSpec("text", TensorKind.TOKENS, 100, max_length=16)]
FRAMES = [InputSpec("sound", TensorKind.FRAMES, 3, max_length=12)]
IMAGES = [InputSpec("image", TensorKind.GRID, 3, height=12, width=12)]
TRANSFORMER = {"architecture": "transformer", "layers": 2, "width": 32, "heads": 4}
JOBS: dict[str, tuple[list[InputSpec], dict[str, Any], dict[str, Any], Any]] = {
    "table": (TABLE, {"hidden": [32, 16]}, {"optim": {"clip_norm": 0.5}}, "binary"),
    "transformer": (TEXT, {"tokens": TRANSFORMER, "hidden": []}, {"accumulate": 2}, "multiclass"),
    "textcnn": (TEXT, {"tokens": {"architecture": "textcnn"}, "hidden": []}, {"ema": 0.9}, "binary"),
    "lstm": (
        FRAMES,
        {"frames": {"architecture": "lstm"}, "hidden": []},
        {"optim": {"optimizer": "adam"}},
        "regression",
    ),
    "resnet": (
        IMAGES,
        {"grid": {"architecture": "resnet"}, "hidden": []},
        {"augment": {"flip": True, "crop": 2, "cutout": 3}, "optim": {"optimizer": "nesterov", "learning_rate": 0.005}},
        "multiclass",
    ),
}


def encoded(spec: InputSpec, draw: np.random.Generator) -> EncodedColumn:
    if spec.kind == TensorKind.DENSE:
        return EncodedColumn(spec.kind, draw.normal(size=(ROWS, spec.size)).astype(np.float32))
    if spec.kind == TensorKind.IDS:
        return EncodedColumn(spec.kind, draw.integers(0, spec.size, ROWS))
    if spec.kind == TensorKind.GRID:
        return EncodedColumn(spec.kind, draw.normal(size=(ROWS, spec.size, spec.height, spec.width)).astype(np.float32))
    offsets = np.concatenate([[0], np.cumsum(draw.integers(2, spec.max_length + 1, ROWS))]).astype(np.int64)
    if spec.kind == TensorKind.TOKENS:
        return EncodedColumn(spec.kind, draw.integers(0, spec.size, offsets[-1]), offsets)
    return EncodedColumn(spec.kind, draw.normal(size=(offsets[-1], spec.size)).astype(np.float32), offsets)


def task_and_targets(kind: str, draw: np.random.Generator) -> tuple[Task, Any]:
    if kind == "regression":
        values = pl.Series("y", draw.normal(3, 2, ROWS))
        regression = Regression.fit(values)
        return regression, regression.encode(values)[0]
    labels = pl.Series("y", draw.choice(list("ab" if kind == "binary" else "abcd"), ROWS))
    task = (Binary if kind == "binary" else Multiclass).fit(labels)
    return task, task.encode(labels)[0]


def curve(name: str) -> list[float]:
    specs, model, settings, kind = JOBS[name]
    draw = np.random.default_rng(7)
    task, targets = task_and_targets(kind, draw)
    positions = np.arange(ROWS, dtype=np.int64)
    data = Dataset(
        {spec.name: encoded(spec, draw) for spec in specs},
        {"y": EncodedColumn(TensorKind.DENSE, targets)},
        positions,
        positions,
        {},
    )
    spec = networks.specify(NetworkConfig.model_validate(model), specs, task.heads())
    with seeded(1, "initialisation"):
        network = Network(spec)
    train = TrainConfig.model_validate({"epochs": 3, "batch_size": 16, "patience": 0, **settings})
    config = recipe.complete(train, spec, ROWS, next((item.size for item in specs if item.height), None))
    loop = Loop(network, task, data, data, config, 1, torch.device("cpu"), torch.float32, [])
    return [event.loss for event in loop.run() if isinstance(event, StepDone)]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", list(JOBS))
def test_loss_curve_is_the_recorded_one(name: str) -> None:
    found = curve(name)
    recorded = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    if os.environ.get("LUBAN_RECORD"):
        recorded.setdefault(machine(), {})[name] = found
        RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", "utf-8")
    assert any(name in curves for curves in recorded.values())
    if name in recorded.get(machine(), {}):
        assert found == recorded[machine()][name]
    for curves in recorded.values():
        if name in curves:
            np.testing.assert_allclose(found, curves[name], rtol=2e-2)
    assert curve(name) == found
