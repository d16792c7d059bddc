"""A trained model as a person uses it: predict, evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.data import sources
from luban.data.table import Table
from luban.evaluation.evaluate import Evaluation, evaluate
from luban.predictor import Prediction, Predictor


@dataclass(frozen=True)
class Model:
    """A trained model. directory: its run directory. metrics: its scores on the test rows."""

    predictor: Predictor
    directory: RunDirectory
    metrics: dict[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Open a finished run. Raises ArtifactError."""
        directory = RunDirectory.open(path)
        return cls(Predictor.load(path), directory, directory.read_json(artifact.METRICS))

    def predict(self, rows: object) -> pl.DataFrame:
        """Predict every row of a table or path, in order: the label or value, and probabilities."""
        return self.prediction(sources.read(rows)).frame

    def prediction(self, table: Table) -> Prediction:
        """Predict a table that was read; also returns what was unusual in it."""
        return self.predictor.predict(table)

    def evaluate(self, rows: object) -> Evaluation:
        """Score a table or path that has the target column. Raises SchemaError where it does not."""
        table, task = sources.read(rows), self.predictor.task
        table.require(task.target, "target")
        targets, bad = task.encode(table.frame[task.target])
        checked = table.without({position: (task.target, reason) for position, reason in bad.items()})
        checked.check_rejected()
        kept = np.setdiff1d(np.arange(len(table)), np.fromiter(bad, np.int64, len(bad)))
        return evaluate(task, targets[kept], self.predictor.predict(checked).outputs, {})
