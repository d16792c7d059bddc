"""What preflight tries a run on: its network, a few of its rows, and the form of a finding."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from luban.core.runtime import autocast, generator
from luban.core.tensors import Batch, Columns, EncodedColumn, Ragged
from luban.features.dataset import Dataset
from luban.models.network import Network
from luban.tasks.base import Task
from luban.training.budget import Budget
from luban.training.recipe import TrainConfig

Rows = npt.NDArray[np.int64]
Status = Literal["passed", "warning", "failed"]

SMALL_BATCH = 8  # rows that the checks of the network share
SAMPLE = 64  # rows that they are chosen from
SEARCHED = 10_000  # rows that are looked through for rare targets
WILD = 10.0  # times the mean loss by chance: a row whose target is so far out is no test of a network


@dataclass(frozen=True)
class Check:
    """What one check found. expected, found, action: as an error says them; action: empty where all is well."""

    name: str
    status: Status
    expected: str
    found: str
    action: str = ""


@dataclass(frozen=True)
class Trial:
    """A run that is about to start.

    train: rows as the loop takes them, encoded by frozen encoders where it does so. config: completed by the recipe.
    backbones: name prefixes of pretrained parameters. fitted_head: whether the network can be good before its first
    step. folder: of the run, where checkpoints will be. validation_rows: scored after each epoch. row_numbers: of the
    training table, for messages. lengths: (rows,) that batches are made by, None for those of `train`.
    """

    network: Network
    task: Task
    train: Dataset
    config: TrainConfig
    seed: int
    device: torch.device
    dtype: torch.dtype
    backbones: list[str] = field(default_factory=list)
    fitted_head: bool = False
    folder: Path | None = None
    validation_rows: int = 0
    row_numbers: Rows | None = None
    lengths: Rows | None = None

    @cached_property
    def budget(self) -> Budget:
        """How long the training is, and the rows of each step."""
        return Budget(self.train.lengths if self.lengths is None else self.lengths, self.config, self.seed)

    @cached_property
    def trained(self) -> Task:
        """The task with the loss of the training."""
        return self.task.configured(self.config.loss)

    @cached_property
    def plain(self) -> Task:
        """The task with the loss without what keeps it from falling to zero."""
        return self.task.configured(self.config.loss.model_copy(update={"label_smoothing": 0.0, "class_weights": None}))

    @property
    def is_flat(self) -> bool:
        """Whether rows are so small that a pass over the whole sample costs next to nothing."""
        return all(not column.is_packed and column.values.ndim <= 2 for column in self.train.inputs.values())

    @cached_property
    def sample(self) -> Rows:
        """Positions of at most SAMPLE rows drawn at random, and of one row of each of SMALL_BATCH targets."""
        order = torch.randperm(len(self.train), generator=generator(self.seed, "preflight")).numpy()
        _, firsts = np.unique(
            _alike(self.train.targets.values(), self.train.index[order[:SEARCHED]]), return_index=True
        )
        wanted = np.concatenate([order[:SAMPLE], order[np.sort(firsts)[:SMALL_BATCH]]])
        _, unique = np.unique(wanted, return_index=True)
        rows: Rows = wanted[np.sort(unique)]
        return rows

    @cached_property
    def cells(self) -> dict[str, Rows]:
        """For each input a number for each row of the sample: equal cells have equal numbers."""
        index = self.train.index[self.sample]
        return {name: _alike([column], index) for name, column in self.train.inputs.items()}

    @cached_property
    def small(self) -> Rows:
        """Places in the sample of SMALL_BATCH rows at most: no two alike, many targets, short but not of one length."""
        table = np.stack(list(self.cells.values()), axis=1)
        _, places = np.unique(table, axis=0, return_index=True)
        places = np.sort(places)
        lengths = self.train.lengths[self.sample][places]
        losses = self.chance(self.plain, self.targets(places)).numpy()
        is_wild = losses > WILD * losses.mean()
        groups = _alike(self.train.targets.values(), self.train.index[self.sample[places]])
        by_length = np.lexsort((lengths, is_wild, lengths == 0))
        rank = np.zeros(len(places), np.int64)  # of each row among those with its target
        seen: dict[int, int] = {}
        for place in by_length:
            group = int(groups[place])
            rank[place] = seen[group] = seen.get(group, -1) + 1
        order = np.lexsort((lengths, rank, is_wild, lengths == 0))
        chosen = order[:SMALL_BATCH]
        if len(order) > SMALL_BATCH and np.ptp(lengths[chosen]) == 0:
            # One row of middling length, for without it no padding is seen.
            chosen[-1] = np.argsort(lengths, kind="stable")[len(lengths) // 2]
        small: Rows = places[np.unique(chosen)]
        return small

    def targets(self, places: Rows) -> Batch:
        """Return the targets alone of the rows at the given places of the sample."""
        return Batch({}, self.train.targets_of(self.sample[places]), self.sample[places])

    def chance(self, task: Task, batch: Batch) -> Tensor:
        """Return the mean loss of each row's units for a network that knows nothing, (B,)."""
        return task.chance_loss(batch) / task.num_units(batch).clamp(min=1).to(batch.device)

    def losses(self, task: Task, outputs: Columns, batch: Batch) -> Tensor:
        """Return the mean loss of each row's units, (B,)."""
        return task.loss(outputs, batch) / task.num_units(batch).clamp(min=1).to(batch.device)

    def batch(self, places: Rows) -> Batch:
        """Return the rows at the given places of the sample, on the device."""
        return self.train.batch(self.sample[places]).to(self.device)

    def source_row(self, place: int) -> int:
        """Return what the row at a place of the sample is called in its source."""
        return self.train.source_rows(self.sample[[place]], self.row_numbers)[0]

    def outputs(self, network: nn.Module, inputs: Columns) -> Columns:
        """Return the network's outputs, float32, in the precision of the run."""
        with autocast(self.device, self.dtype):
            outputs: Columns = network(inputs)
        return {name: as_float(value) for name, value in outputs.items()}

    def copy(self) -> Trial:
        """Return a trial of the same run on a copy of its network, which shares only what stays as it is."""
        frozen = {id(p): p for p in self.network.parameters() if not p.requires_grad}
        return replace(self, network=copy.deepcopy(self.network, dict(frozen)))


def as_float(value: Tensor | Ragged) -> Tensor | Ragged:
    return Ragged(value.values.float(), value.offsets) if isinstance(value, Ragged) else value.float()


def of_rows(outputs: Columns, count: int) -> list[Tensor]:
    """Return all outputs of each of `count` rows side by side, (M,) a row; a row may be several to the network."""
    rows = [_apart(value, count) for value in outputs.values()]
    return [torch.cat([part.flatten() for part in parts]) for parts in zip(*rows, strict=True)]


def _apart(value: Tensor | Ragged, count: int) -> Sequence[Tensor]:
    if isinstance(value, Ragged) and len(value) == count:
        return torch.split(value.values, value.lengths.tolist())
    return (value.values if isinstance(value, Ragged) else value).reshape(count, -1).unbind()


def _alike(columns: Iterable[EncodedColumn], index: Rows) -> Rows:
    """Return a number for each row, equal where the cells of all columns are. index: positions in the columns."""
    stored = [_as_bytes(column.take(index), len(index)) for column in columns]
    numbers: dict[tuple[bytes, ...], int] = {}
    return np.array([numbers.setdefault(row, len(numbers)) for row in zip(*stored, strict=True)], np.int64)


def _as_bytes(stored: Tensor | Ragged, count: int) -> list[bytes]:
    """Return what each of `count` rows holds."""
    if isinstance(stored, Ragged):
        return [row.numpy().tobytes() for row in _apart(stored, count)]
    content, width = stored.numpy().tobytes(), stored[0].nbytes  # at once: thousands of columns have few rows each
    return [content[start : start + width] for start in range(0, len(content), width)]


@contextmanager
def without_dropout(network: nn.Module) -> Iterator[None]:
    """Switch dropout off, but let layers use the statistics of the batch as in training."""
    modes = {module: module.training for module in network.modules()}
    dropouts = {module: module.dropout for module in modes if isinstance(module, nn.RNNBase)}
    network.eval()
    for module in modes:
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.RNNBase):  # cuDNN's LSTM has no backward in eval
            module.training = True
        if isinstance(module, nn.RNNBase):
            module.dropout = 0.0
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module, rate in dropouts.items():
            module.dropout = rate
