"""What the stages hand on: which rows are in which part, and what a training needs of the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from luban.data.draw import sample_rows
from luban.data.table import Table
from luban.features.dataset import Dataset
from luban.features.schema import ColumnPlan, Schema
from luban.models.choice import NetworkConfig
from luban.tasks.base import Task
from luban.tasks.config import TaskConfig

FIT_ROWS = 500_000  # features are fitted on at most so many training rows, drawn at random
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Some rows of a table: the training, validation or test rows."""

    table: Table
    rows: Positions  # ascending

    def materialize(self, limit: int | None = None, seed: int = 0) -> Table:
        """Copy the rows out, or `limit` of them drawn at random."""
        if limit is None:
            return self.table.take(self.rows)
        return self.table.take(self.rows[sample_rows(len(self.rows), limit, np.random.default_rng(seed))])


@dataclass(frozen=True)
class Parts:
    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True)
class Prepared:
    """All that a training needs of the data. model: completed; checkpoint: the folder of its pretrained weights.

    decided: settings of the data that were inferred. checksums: of the encoded inputs of each table, by name.
    positive: what the positive class of two is called. settings: of the task, with what was decided.
    """

    parts: Parts
    train: Dataset
    validation: Dataset
    test: Dataset
    schema: Schema
    plans: list[ColumnPlan]
    task: Task
    model: NetworkConfig
    checkpoint: Path | None
    decided: dict[str, object]
    checksums: list[dict[str, str]]
    settings: TaskConfig
    positive: str | None = None
