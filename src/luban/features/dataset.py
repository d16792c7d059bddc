"""Encoded rows on their way to a network: training and prediction take their batches here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from luban.core.tensors import Batch, Columns, EncodedColumn, Ragged, absence
from luban.features.schema import Schema
from luban.features.stacks import Stack, stacks_of

Array = npt.NDArray[np.generic]
Positions = npt.NDArray[np.int64]
TOKEN_BUDGET = 2048  # packed tokens in one forward pass without gradients
Prepare = Callable[[Tensor | Ragged], Tensor | Ragged]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Some rows of encoded columns.

    inputs, targets: the columns of all rows, by name; no targets where they are not known. rows: (len(self),) positions
    in the table. index: (len(self),) positions in the columns. prepare: what turns stored rows into what the network
    takes, by input name; other inputs are taken as they are stored. units: (len(self),) a number for what is drawn as a
    whole in resamples, a document or a stretch of a series; None where each row is one.
    """

    inputs: dict[str, EncodedColumn]
    targets: dict[str, EncodedColumn]
    rows: Positions
    index: Positions
    prepare: Mapping[str, Prepare]
    units: Positions | None = None

    @classmethod
    def of(cls, schema: Schema, inputs: dict[str, EncodedColumn], targets: dict[str, EncodedColumn]) -> Self:
        """Take all rows of the columns that a schema made."""
        rows = np.arange(len(next(iter((inputs or targets).values()))), dtype=np.int64)
        prepare = {feature.name: feature.prepare for feature in schema.features}
        return cls(inputs, targets, rows, rows, prepare)

    @classmethod
    def of_targets(cls, targets: dict[str, EncodedColumn]) -> Self:
        """Take all rows of columns of targets, whose inputs are not asked for."""
        rows = np.arange(len(next(iter(targets.values()))), dtype=np.int64)
        return cls({}, targets, rows, rows, {})

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def lengths(self) -> Positions:
        """(rows,): tokens and frames of each row, summed over its inputs; 1 where rows have no length."""
        ragged = [column.lengths[self.index] for column in self.inputs.values() if column.is_packed]
        total: Positions = np.sum(ragged, axis=0, dtype=np.int64) if ragged else np.ones(len(self), np.int64)
        return total

    @property
    def token_budget(self) -> int:
        """How many tokens or frames are predicted in one pass."""
        return TOKEN_BUDGET * max((column.frames_a_token for column in self.inputs.values()), default=1)

    def select(self, positions: npt.NDArray[np.integer[Any]]) -> Self:
        """Keep the rows at the given positions of this data set, in the given order; columns are not copied."""
        units = None if self.units is None else self.units[positions]
        return replace(self, rows=self.rows[positions], index=self.index[positions], units=units)

    @cached_property
    def _absent(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Which rows lack an input, of those that some row lacks and whose values do not tell."""
        found = {name: column.absent for name, column in self.inputs.items() if column.absent is not None}
        return {name: np.asarray(rows) for name, rows in found.items() if rows.any()}

    @cached_property
    def _stacks(self) -> list[Stack]:
        return stacks_of(self.inputs)

    def batch(self, positions: npt.NDArray[np.integer[Any]]) -> Batch:
        """Copy the rows at the given positions of this data set out, ready for a network."""
        index = self.index[positions]
        stacked = {name: part for stack in self._stacks for name, part in stack.take(index).items()}
        inputs = {
            name: self._prepared(name, stacked[name] if name in stacked else column.take(index))
            for name, column in self.inputs.items()
        }
        inputs |= {absence(name): torch.from_numpy(rows[index]) for name, rows in self._absent.items()}
        return Batch(inputs, self.targets_of(positions), self.rows[positions])

    def targets_of(self, positions: npt.NDArray[np.integer[Any]]) -> Columns:
        """Copy the targets of the rows at the given positions out."""
        index = self.index[positions]
        return {name: column.take(index) for name, column in self.targets.items()}

    def source_rows(self, positions: npt.NDArray[np.integer[Any]], numbers: Positions | None) -> list[int]:
        """Return what the rows at the given positions are called in their source. numbers: of the table's rows, as
        `Table.row_numbers`; None where the rows come from no source and go by their places."""
        rows = self.rows[positions]
        return [int(row) for row in (rows if numbers is None else numbers[rows])]

    def target(self, name: str | None = None) -> Array:
        """Return a target of all rows, (rows, ...); the only one if none is named."""
        assert name is not None or len(self.targets) == 1, "the data set has no target, or several"
        column = self.targets[name] if name is not None else next(iter(self.targets.values()))
        assert column.offsets is None, "the target is packed"
        found: Array = np.asarray(column.values)[self.index]
        return found

    def _prepared(self, name: str, stored: Tensor | Ragged) -> Tensor | Ragged:
        return self.prepare[name](stored) if name in self.prepare else stored
