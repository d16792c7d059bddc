"""A loop over a small synthetic text task, for tests of the loop and what stands around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from one_target import outputs_of, targets_of

from luban.core.events import Event
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

ROWS = 64
TOKENS = {"architecture": "transformer", "layers": 1, "width": 16, "heads": 2, "dropout": 0.1}


def text_rows(rows: int = ROWS) -> Dataset:
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 9, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = draw.integers(4, 20, offsets[-1]).astype(np.int32)
    targets = (ids[offsets[:-1]] > 11).astype(np.int64)
    positions = np.arange(rows, dtype=np.int64)
    return Dataset(
        {"text": EncodedColumn(TensorKind.TOKENS, ids, offsets)},
        targets_of(targets),
        positions,
        positions,
        {},
    )


def small_loop(dropout: float = 0.1, folder: Path | None = None, *, resume: bool = False, **settings: Any) -> Loop:
    """Two epochs of four steps, unless `settings` of the training say otherwise."""
    task = Binary.fit(pl.Series("y", [0, 1] * 8))
    config = NetworkConfig.model_validate({"tokens": {**TOKENS, "dropout": dropout}, "hidden": [], "dropout": dropout})
    spec = networks.specify(config, [InputSpec("text", TensorKind.TOKENS, 100, max_length=16)], outputs_of(1))
    with seeded(0, "test"):
        network = Network(spec)
    train = TrainConfig.model_validate({"epochs": 2, "batch_size": 16, "patience": 0, **settings})
    data = text_rows()
    complete = recipe.complete(train, spec, len(data), None)
    device = torch.device("cpu")
    return Loop(network, task, data, data, complete, 0, device, torch.float32, [], folder, resume=resume)


def weights_after(loop: Loop) -> dict[str, torch.Tensor]:
    for _ in loop.run():
        pass
    return weights_of(loop)


def weights_of(loop: Loop) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in loop.network.state_dict().items()}


def events_of(loop: Loop, kind: type[Event]) -> list[Any]:
    return [event for event in loop.run() if isinstance(event, kind)]


def without_key_biases(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights with the biases of keys at 0: softmax does not depend on them, so that their gradient is nothing
    but rounding, which Adam makes as large as any other."""
    found = dict(weights)
    for name, value in weights.items():
        if name.endswith("qkv.bias"):
            third = len(value) // 3
            found[name] = torch.cat([value[:third], torch.zeros(third), value[2 * third :]])
    return found
