"""Loss curves of small jobs, identical to the bit from one version of the code to the next.

Bits differ between processors and versions of torch, so that curves are recorded for each kind of machine; where none
is recorded yet, the curves must be close to those of any. `LUBAN_RECORD=1 pytest tests/golden` records this one's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from machine import machine
from tests.unit.forecasts import forecast_of, series_table

from luban.core.events import StepDone
from luban.core.runtime import seeded
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.base import FitContext
from luban.features.dataset import Dataset
from luban.features.schema import Schema
from luban.features.text.feature import TextConfig
from luban.features.words import WordsFeature
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.tasks.base import LossConfig, Task
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.config import TaskConfig
from luban.tasks.fitting import fit_task
from luban.tasks.regression import Regression
from luban.tasks.tags import Tags
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


def of_rows(name: str, draw: np.random.Generator) -> tuple[Task, Dataset, list[InputSpec]]:
    specs, _, _, kind = JOBS[name]
    task, targets = task_and_targets(kind, draw)
    positions = np.arange(ROWS, dtype=np.int64)
    inputs = {spec.name: encoded(spec, draw) for spec in specs}
    return task, Dataset(inputs, {"y": EncodedColumn(TensorKind.DENSE, targets)}, positions, positions, {}), specs


def of_several(name: str, draw: np.random.Generator) -> tuple[Task, Dataset, list[InputSpec]]:
    """A class and a number, of which rows lack some."""
    numbers = draw.normal(3, 2, ROWS)
    frame = pl.DataFrame({"label": draw.choice(list("ab"), ROWS), "y": numbers})
    lacking = {"label": pl.int_range(pl.len()) % 9 == 2, "y": pl.int_range(pl.len()) % 9 == 5}
    frame = frame.with_columns(pl.when(~lacks).then(pl.col(name)).alias(name) for name, lacks in lacking.items())
    settings = TaskConfig(balance="uncertainty")
    task, _, _ = fit_task({"label": Binary, "y": Regression}, frame, settings, LossConfig())
    columns, _ = task.encode_targets(frame)
    positions = np.arange(ROWS, dtype=np.int64)
    return task, Dataset({spec.name: encoded(spec, draw) for spec in TABLE}, columns, positions, positions, {}), TABLE


def of_words(name: str, draw: np.random.Generator) -> tuple[Task, Dataset, list[InputSpec]]:
    """A tag a word."""
    words = [draw.choice(list("abcdefgh"), int(size)).tolist() for size in draw.integers(1, 9, ROWS)]
    frame = pl.DataFrame({"words": words, "tags": [["B-X" if word < "c" else "O" for word in row] for row in words]})
    feature = WordsFeature.fit("words", ("words",), frame, TextConfig(tokenizer="words"), FitContext())
    task = Tags.fit(frame["tags"]).bound({"words": "words"})
    schema = Schema((feature,), {}, "tags")
    inputs = {"words": feature.encode(frame).column}
    return task, Dataset.of(schema, inputs, task.encode_targets(frame)[0]), schema.specs()


def of_series(name: str, draw: np.random.Generator) -> tuple[Task, Dataset, list[InputSpec]]:
    """The next steps of two series of two variables."""
    table = series_table(ROWS, columns=("y", "z"), keys=("a", "b"))
    task = forecast_of(table, ("y", "z"), horizon=4, lookback=16)
    data = task.examples(Dataset.of_targets(task.encode_targets(table.frame)[0]), table, "train")
    return task, data, task.inputs([])


# Jobs whose rows are made in another way, with their models and settings.
OTHERS: dict[str, tuple[Callable[[str, np.random.Generator], Any], dict[str, Any], dict[str, Any]]] = {
    "several": (of_several, {"hidden": [16]}, {}),
    "tags": (of_words, {"tokens": {"architecture": "lstm", "dim": 8, "hidden": 8}, "hidden": []}, {"accumulate": 2}),
    "forecast, dlinear": (of_series, {"frames": {"architecture": "dlinear"}, "hidden": [], "dropout": 0.0}, {}),
    "forecast, patchtst": (
        of_series,
        {"frames": {"architecture": "patchtst", "patch": 4, "stride": 2, "layers": 1}, "hidden": []},
        {"accumulate": 2},
    ),
}


def curve(name: str) -> list[float]:
    make, model, settings = OTHERS[name] if name in OTHERS else (of_rows, *JOBS[name][1:3])
    task, data, specs = make(name, np.random.default_rng(7))
    spec = networks.specify(NetworkConfig.model_validate(model), specs, task.heads())
    with seeded(1, "initialisation"):
        network = Network(spec)
    train = TrainConfig.model_validate({"epochs": 3, "batch_size": 16, "patience": 0, **settings})
    config = recipe.complete(train, spec, len(data), next((item.size for item in specs if item.height), None))
    loop = Loop(network, task, data, data, config, 1, torch.device("cpu"), torch.float32, [])
    return [event.loss for event in loop.run() if isinstance(event, StepDone)]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", [*JOBS, *OTHERS])
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
