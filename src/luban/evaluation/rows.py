"""Labelled rows in both of their forms: cells, as baselines take them, and what the network takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from luban.core.tensors import TensorKind
from luban.data.table import Table
from luban.features.dataset import Dataset
from luban.features.plain.matrix import Images
from luban.tasks.base import Array, Task


@dataclass(frozen=True, eq=False)
class Rows:
    """source: the table that they are part of. positions: in it, (rows,). dataset: the same rows encoded."""

    source: Table
    positions: npt.NDArray[np.int64]
    dataset: Dataset
    task: Task

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, chosen: npt.NDArray[np.int64]) -> Self:
        """Keep the rows at the given places among these; nothing is copied."""
        return type(self)(self.source, self.positions[chosen], self.dataset.select(chosen), self.task)

    @property
    def targets(self) -> Array:
        return self.task.truth(self.dataset)

    @cached_property
    def table(self) -> Table:
        """Their cells, copied out of the source."""
        return self.source.take(self.positions)

    @property
    def has_images(self) -> bool:
        return any(column.kind == TensorKind.GRID for column in self.dataset.inputs.values())

    @cached_property
    def images(self) -> Images:
        """Their images, (rows, C, H, W) uint8, by input name."""
        return {
            name: np.asarray(column.values[self.dataset.index], np.uint8)
            for name, column in self.dataset.inputs.items()
            if column.kind == TensorKind.GRID
        }
