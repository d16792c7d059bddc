"""A kind of column, a head and a task that are not Luban's own: one line each in FEATURES, HEADS and TASKS.

This file is the program, too: the test runs it in a process of its own, since in this one the tables are long read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from torch import Tensor, nn
from torch.nn import functional as F

from luban import features
from luban.core.answers import AnswerKind
from luban.core.tensors import EncodedColumn, InputSpec, OutputKind, OutputSpec, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.number import NumberConfig
from luban.models.heads import HEADS
from luban.models.heads.base import Head, States, Widths


class LengthFeature(Feature):
    """How many letters a cell has."""

    kind: ClassVar[str] = "length"
    tensor_kind: ClassVar[TensorKind] = TensorKind.DENSE
    config_type: ClassVar[type[FeatureConfig]] = NumberConfig
    settings: ClassVar[str] = "number"

    def __init__(self, name: str, columns: tuple[str, ...]) -> None:
        self.name, self.columns = name, columns

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        return 0.0

    @classmethod
    def fit(cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: Any, context: FitContext) -> Self:
        return cls(name, columns)

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        lengths = frame[self.columns[0]].str.len_chars().fill_null(0).to_numpy().astype(np.float32)
        return Encoded(EncodedColumn(TensorKind.DENSE, lengths[:, None] / 10))

    def spec(self) -> InputSpec:
        return InputSpec(self.name, TensorKind.DENSE, 1)

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "columns": list(self.columns)}

    def files(self) -> dict[str, bytes]:
        return {}

    def describe(self) -> str:
        return "letters"


class PositiveHead(Head):
    """The joined vectors (B, D) -> (B, size), above zero."""

    reads = "fused"

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, size)

    @classmethod
    def build(cls, spec: OutputSpec, widths: Widths) -> Self:
        return cls(widths.fused, spec.size)

    def forward(self, states: States) -> Tensor:
        assert states.fused is not None
        return F.softplus(self.linear(states.fused))


def counts() -> Any:
    """Return the task; what tasks need reads the table of features, so that they come after it."""
    from luban.tasks.base import Array, Floats, Metric, Task
    from luban.tasks.metrics import REGRESSION

    class Counts(Task):
        """A number of events a row, by the likelihood of Poisson's law."""

        name: ClassVar[str] = "counts"
        answer: ClassVar[AnswerKind] = AnswerKind.NUMBER
        metrics: tuple[Metric, ...] = REGRESSION

        def __init__(self, target: str) -> None:
            self.target = target

        @classmethod
        def match(cls, profile: ColumnProfile) -> float:
            return 0.0

        @classmethod
        def fit(cls, target: pl.Series) -> Self:
            return cls(target.name)

        @property
        def output_dim(self) -> int:
            return 1

        def heads(self) -> tuple[OutputSpec, ...]:
            return (OutputSpec(self.target, OutputKind.DECODED, 1),)

        def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
            return target.cast(pl.Float64).to_numpy(), {}

        def row_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
            rate = logits.squeeze(-1).clamp(min=1e-3)
            return rate - targets.to(rate.dtype) * rate.log()

        def outputs(self, logits: Tensor) -> Tensor:
            return logits.squeeze(-1).double()

        def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
            return pl.DataFrame({f"predicted_{self.target}": pl.Series(outputs, dtype=pl.Float64)})

        def state(self) -> dict[str, Any]:
            return {"target": self.target}

    return Counts


def train(folder: Path) -> None:
    """Train by the names of the three, load the run again, and write what was found."""
    features.FEATURES += (LengthFeature,)
    HEADS[OutputKind.DECODED] = PositiveHead
    from luban import tasks

    tasks.TASKS += (counts(),)

    import luban

    draw = np.random.default_rng(0)
    letters = draw.integers(1, 30, 400)
    rows = pl.DataFrame({"word": ["x" * size for size in letters], "bugs": draw.poisson(0.3 * letters)})
    model = luban.train(
        rows,
        target="bugs",
        quiet=True,
        data={"task": "counts", "columns": {"word": "length"}},
        model={"hidden": [], "dropout": 0.0},
        train={"epochs": 40, "preflight": False, "optim": {"learning_rate": 0.05}},
        runs=str(folder),
        device="cpu",
    )
    loaded = luban.load(model.directory.path)
    predicted = loaded.predict(rows)["predicted_bugs"].to_numpy()
    found = {
        "feature": type(loaded.predictor.schema.features[0]).__name__,
        "head": type(loaded.predictor.network.heads[0]).__name__,
        "task": loaded.predictor.task.name,
        "off": float(np.abs(predicted - 0.3 * letters).mean()),
        "same": loaded.predict(rows).equals(model.predict(rows)),
        "page": (Path(str(model.directory.path)) / "report.html").exists(),
    }
    (folder / "found.json").write_text(json.dumps(found), "utf-8")


def test_a_column_a_head_and_a_task_of_one_s_own_are_trained_saved_and_loaded(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found.pop("off") < 0.5
    expected = {"feature": "LengthFeature", "head": "PositiveHead", "task": "counts", "same": True, "page": True}
    assert found == expected


def test_they_need_no_other_line() -> None:
    from luban import tasks

    assert "counts" not in {task.name for task in tasks.TASKS}
    assert "length" not in {feature.kind for feature in features.FEATURES}


if __name__ == "__main__":
    train(Path(sys.argv[1]))
