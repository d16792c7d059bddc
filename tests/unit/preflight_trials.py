"""Small runs for the tests of preflight: sound ones, to be broken in one way each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch
from one_target import targets_of

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
from luban.training.preflight.trial import Trial
from luban.training.recipe import TrainConfig

ROWS = 96
SHAPES = ("table", "text", "sequences", "images")
BuildNetwork = Callable[[networks.NetworkSpec], Network]


def columns(shape: str, rows: int = ROWS) -> tuple[list[InputSpec], dict[str, EncodedColumn]]:
    draw = np.random.default_rng(0)
    if shape == "table":
        numbers = {name: draw.normal(size=(rows, 1)).astype(np.float32) for name in ("age", "pay")}
        inputs = {name: EncodedColumn(TensorKind.DENSE, values) for name, values in numbers.items()}
        inputs["city"] = EncodedColumn(TensorKind.IDS, draw.integers(0, 5, rows))
        specs = [InputSpec(name, TensorKind.DENSE, 1) for name in numbers]
        return [*specs, InputSpec("city", TensorKind.IDS, 5)], inputs
    if shape == "images":
        pixels = draw.normal(size=(rows, 3, 8, 8)).astype(np.float32)
        return [InputSpec("photo", TensorKind.GRID, 3, 8, 8)], {"photo": EncodedColumn(TensorKind.GRID, pixels)}
    lengths = draw.integers(2, 9, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if shape == "text":
        ids = draw.integers(0, 30, offsets[-1]).astype(np.int32)
        return [InputSpec("text", TensorKind.TOKENS, 30, max_length=16)], {
            "text": EncodedColumn(TensorKind.TOKENS, ids, offsets)
        }
    frames = draw.normal(size=(offsets[-1], 4)).astype(np.float32)
    return [InputSpec("clip", TensorKind.FRAMES, 4, max_length=16)], {
        "clip": EncodedColumn(TensorKind.FRAMES, frames, offsets)
    }


MODELS: dict[str, dict[str, Any]] = {
    "table": {"hidden": [32, 16]},
    "text": {"tokens": {"architecture": "transformer", "layers": 2, "width": 16, "heads": 2}, "hidden": []},
    "sequences": {"frames": {"architecture": "lstm", "dim": 8, "hidden": 8}, "hidden": []},
    "images": {"grid": {"architecture": "resnet", "stem": 4, "channels": [8, 8], "blocks": [1, 0]}, "hidden": []},
}


def task_and_targets(kind: str, rows: int) -> tuple[Task, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(1)
    if kind == "binary":
        return Binary.fit(pl.Series("y", [0, 1] * 8)), draw.integers(0, 2, rows)
    if kind == "multiclass":
        return Multiclass.fit(pl.Series("y", list("abcde") * 8)), draw.integers(0, 5, rows)
    return Regression.fit(pl.Series("y", draw.normal(5, 2, 100))), draw.normal(5, 2, rows)


def trial(
    shape: str = "table",
    kind: str = "binary",
    *,
    build: BuildNetwork = Network,
    rows: int = ROWS,
    inputs: dict[str, EncodedColumn] | None = None,
    targets: np.ndarray[Any, Any] | None = None,
    model: dict[str, Any] | None = None,
    train: dict[str, Any] | None = None,
    **settings: Any,
) -> Trial:
    """A run of two epochs on random data; `build`, `inputs` and `targets` are where a test breaks it."""
    specs, found = columns(shape, rows)
    task, drawn = task_and_targets(kind, rows)
    config = NetworkConfig.model_validate({**MODELS[shape], **(model or {})})
    spec = networks.specify(config, specs, task.heads())
    with seeded(0, "test"):
        network = build(spec)
    places = np.arange(rows, dtype=np.int64)
    data = Dataset(
        {**found, **(inputs or {})},
        targets_of(drawn if targets is None else targets),
        places,
        places,
        {},
    )
    wanted = TrainConfig.model_validate({"epochs": 2, "batch_size": 16, **(train or {})})
    complete = recipe.complete(wanted, spec, rows, 3 if shape == "images" else None)
    known = {"seed": 0, "device": torch.device("cpu"), "dtype": torch.float32, **settings}
    return Trial(network, task, data, complete, **known)
