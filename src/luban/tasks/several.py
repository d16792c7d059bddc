"""Several targets in one training: a task that is made of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError
from luban.core.strict import Positive, Strict, checked
from luban.core.tensors import Batch, Columns, EncodedColumn, OutputKind, OutputSpec, TensorKind
from luban.features.base import ColumnProfile
from luban.features.dataset import Dataset
from luban.tasks.base import Array, Floats, LossConfig, Metric, Task
from luban.tasks.targets import MISSING

Balance = Literal["equal", "by_hand", "uncertainty"]

PRESENT = "(present)"  # the column of targets that says which of them a row has
LOG_VARIANCES = "(log variances)"  # the output of the network that says how uncertain each target is
LACKS_ALL = "all targets are missing"
RELATIVE_LOSS = "relative_loss"
CHANCE_ROWS = 10_000  # that the loss by chance is measured on


class StoredPart(Strict):
    """One of the tasks as a run stores it."""

    name: str
    state: dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """What training rows say of a target. chance: the mean loss of its units by chance. units: that a row has on
    average, where rows that lack the target have none. weight: by hand, 1 if nothing is said."""

    chance: float
    units: float
    weight: float = 1.0


class Several(Task):
    """Any mix of tasks, each with a head of its own on what they share.

    A row may lack some of its targets, and has no loss for these. The loss of a row is the sum over its targets of
    their losses, each multiplied by its factor and divided by the units that a row has on average, so that the mean
    over rows is the sum of the mean losses of the targets:
    equal: the factor is one over the loss by chance on training rows. by_hand: it is the target's weight.
    uncertainty: as equal, and e^-s besides, where s is learned, and adds itself: the log variance of Kendall, Gal and
    Cipolla (2018, arXiv:1705.07115, equation 10, up to constant factors).

    It is scored by each target's loss relative to chance, the mean over targets; of each target all else is known by
    its own task.
    """

    name: ClassVar[str] = "several"
    answer: ClassVar[AnswerKind] = AnswerKind.SEVERAL
    settings: LossConfig = LossConfig()

    def __init__(self, tasks: Sequence[Task], balance: Balance, scales: Sequence[Scale]) -> None:
        self.tasks, self.balance, self.scales = tuple(tasks), balance, tuple(scales)
        self.target = ", ".join(self.targets)
        self.couples_rows = any(task.couples_rows for task in tasks)
        self.metrics = (
            _relative(RELATIVE_LOSS, None, len(tasks)),
            *(_relative(f"{RELATIVE_LOSS}/{name}", i, len(tasks)) for i, name in enumerate(self.targets)),
        )

    @classmethod
    def balanced(
        cls,
        tasks: Sequence[Task],
        frame: pl.DataFrame,
        balance: Balance,
        weights: Mapping[str, float],
        settings: LossConfig,
    ) -> Self:
        """Return the task that balances fitted tasks on training rows. settings: of the loss."""
        even = cls(tasks, balance, [Scale(1.0, 1.0)] * len(tasks)).configured(settings)
        task = cls(even.tasks, balance, [_scale(part, frame, weights.get(part.target, 1.0)) for part in even.tasks])
        task.settings = settings
        return task

    def configured(self, settings: LossConfig) -> Self:
        """Give each task the settings that it takes; one that none of them takes goes to all, and is refused there."""
        taken = {name for task in self.tasks for name in task.takes}
        task = copy(self)
        task.settings = settings
        task.tasks = tuple(part.configured(_taken(settings, part.takes, taken)) for part in self.tasks)
        return task

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(task.target for task in self.tasks)

    @property
    def parts(self) -> tuple[Task, ...]:
        return self.tasks

    @property
    def learns_balance(self) -> bool:
        return self.balance == "uncertainty"

    def heads(self) -> tuple[OutputSpec, ...]:
        own = tuple(spec for task in self.tasks for spec in task.heads())
        if not self.learns_balance:
            return own
        return (*own, OutputSpec(LOG_VARIANCES, OutputKind.CONSTANT, len(self.tasks)))

    def encode_targets(self, frame: pl.DataFrame) -> tuple[dict[str, EncodedColumn], dict[int, tuple[str, str]]]:
        """Return all targets by column, and which of them each row has, (rows, T) float32. A row with a target that is
        there and cannot be read is unreadable, and so is one that lacks all."""
        columns: dict[str, EncodedColumn] = {}
        unreadable: dict[int, tuple[str, str]] = {}
        present: npt.NDArray[np.float32] = np.ones((len(frame), len(self.tasks)), np.float32)
        for place, task in enumerate(self.tasks):
            own, bad = task.encode_targets(frame)
            columns |= own
            for position, (column, reason) in bad.items():
                present[position, place] = 0
                if reason != MISSING:
                    unreadable.setdefault(position, (column, reason))
        for position in np.flatnonzero(~present.any(axis=1)).tolist():
            unreadable.setdefault(position, (self.tasks[0].target, LACKS_ALL))
        columns[PRESENT] = EncodedColumn(TensorKind.DENSE, present)
        return columns, unreadable

    def present(self, data: Dataset) -> tuple[npt.NDArray[np.bool_], ...]:
        return tuple(data.target(PRESENT).astype(np.bool_).T)

    def loss(self, outputs: Columns, batch: Batch) -> Tensor:
        losses_BT, units_BT = self._losses(outputs, batch)
        scale = partial(torch.tensor, dtype=losses_BT.dtype, device=losses_BT.device)
        shares_BT = units_BT / scale([own.units for own in self.scales])
        losses_BT = losses_BT * scale([self._factor(own) / own.units for own in self.scales])
        if self.learns_balance:
            log_variances_BT = outputs[LOG_VARIANCES]
            assert isinstance(log_variances_BT, Tensor)
            losses_BT = losses_BT * (-log_variances_BT.float()).exp() + log_variances_BT.float() * shares_BT
        return losses_BT.sum(dim=1)

    def _factor(self, scale: Scale) -> float:
        return scale.weight if self.balance == "by_hand" else 1 / scale.chance

    def _losses(self, outputs: Columns, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss of each target and its units, (B, T) each; 0 where a row lacks the target."""
        present_BT = batch.targets[PRESENT]
        assert isinstance(present_BT, Tensor)
        losses_BT = torch.stack([task.loss(outputs, batch) for task in self.tasks], dim=1)
        units_BT = torch.stack([task.num_units(batch) for task in self.tasks], dim=1).to(losses_BT) * present_BT
        return torch.where(present_BT > 0, losses_BT, 0.0), units_BT

    def drawn(self, batch: Batch, draw: torch.Generator) -> Batch:
        for task in self.tasks:
            batch = task.drawn(batch, draw)
        return batch

    def constant(self, logits: Tensor, batch: Batch) -> Columns:
        sizes = [sum(spec.size for spec in task.heads()) for task in self.tasks]
        *own, rest = torch.split(logits, [*sizes, logits.shape[1] - sum(sizes)], dim=1)
        found = Columns()
        for task, part in zip(self.tasks, own, strict=True):
            found |= task.constant(part, batch)
        return found | ({LOG_VARIANCES: rest.expand(len(batch), -1)} if self.learns_balance else {})

    def truth(self, data: Dataset) -> Array:
        """Return which targets each row has, (rows, T)."""
        return data.target(PRESENT)

    def keep(self, outputs: Columns, batch: Batch) -> Columns:
        """Return the loss of each target relative to chance, and its units: (B, 2T)."""
        losses_BT, units_BT = self._losses(outputs, batch)
        chances = torch.tensor([own.chance for own in self.scales], dtype=losses_BT.dtype, device=losses_BT.device)
        return {RELATIVE_LOSS: torch.cat([losses_BT / chances, units_BT], dim=1)}

    def answers(self, kept: Columns) -> Floats:
        found = kept[RELATIVE_LOSS]
        assert isinstance(found, Tensor)
        answers: Floats = found.numpy()
        return answers

    def beside(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Name a probability by its target, too: `probability_TARGET_LABEL`."""
        columns: dict[str, pl.Series] = {}
        for task, frame in zip(self.tasks, frames, strict=True):
            for name in frame.columns:
                own = name if name == f"predicted_{task.target}" else _with_target(name, task.target)
                while own in columns:
                    own += "_"
                columns[own] = frame[name]
        return pl.DataFrame(columns)

    def state(self) -> dict[str, Any]:
        return {
            "tasks": [{"name": task.name, "state": task.state()} for task in self.tasks],
            "balance": self.balance,
            "scales": [vars(scale) for scale in self.scales],
            "settings": self.settings.model_dump(mode="json"),
        }

    @property
    def output_dim(self) -> int:
        return sum(task.output_dim for task in self.tasks)

    # What follows is asked of one target, of the tasks that this one is made of.

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """Return 0: no column alone has several targets."""
        return 0.0

    @classmethod
    def fit(cls, target: pl.Series) -> Self:
        raise _ask_the_parts()

    def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
        raise _ask_the_parts()

    def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        raise _ask_the_parts()


class StoredScale(Strict):
    chance: Positive
    units: Positive
    weight: Positive


class StoredSeveral(Strict):
    """The state of a task of several targets."""

    tasks: list[StoredPart]
    balance: Balance
    scales: list[StoredScale]
    settings: dict[str, Any]


def from_state(state: dict[str, Any], kinds: Mapping[str, type[Task]]) -> Several:
    """Rebuild a task of several targets. kinds: the tasks that it may be made of, by name. Raises ValueError where a
    part is not what it must be."""
    stored = checked(StoredSeveral, state)
    unknown = [part.name for part in stored.tasks if part.name not in kinds]
    if unknown:
        raise ValueError(f"tasks: '{unknown[0][:40]}', which is none that is known")
    if len(stored.tasks) < 2 or len(stored.scales) != len(stored.tasks):
        raise ValueError(f"{len(stored.tasks)} tasks, {len(stored.scales)} scales")
    tasks = [kinds[part.name].from_state(part.state) for part in stored.tasks]
    if len({task.target for task in tasks}) < len(tasks):
        raise ValueError("tasks: a target stands twice")
    several = Several(tasks, stored.balance, [Scale(**scale.model_dump()) for scale in stored.scales])
    try:
        return several.configured(LossConfig.model_validate(stored.settings))
    except ConfigError as error:
        raise ValueError(f"settings: {error}") from None


def _with_target(name: str, target: str) -> str:
    return f"probability_{target}{name.removeprefix('probability')}" if name.startswith("probability") else name


def _ask_the_parts() -> AssertionError:
    return AssertionError("a task of several targets is asked by its parts")


def _taken(settings: LossConfig, takes: Sequence[str], known: set[str]) -> LossConfig:
    fields = LossConfig.model_fields
    return settings.model_copy(
        update={name: fields[name].default for name in fields if name in known and name not in takes}
    )


def _scale(task: Task, frame: pl.DataFrame, weight: float) -> Scale:
    """Measure the loss by chance on at most 10,000 of the rows that have a target."""
    columns, bad = task.encode_targets(frame)
    there = np.setdiff1d(np.arange(len(frame)), np.fromiter(bad, np.int64, len(bad)))
    chosen = there[np.unique(np.linspace(0, len(there) - 1, min(len(there), CHANCE_ROWS)).astype(np.int64))]
    batch = Batch({}, {name: column.take(chosen) for name, column in columns.items()}, chosen)
    units, loss = float(task.num_units(batch).sum()), float(task.chance_loss(batch).double().sum())
    smallest = float(np.finfo(np.float32).tiny)
    mean = units / max(1, len(chosen)) * len(there) / max(1, len(frame))
    return Scale(max(loss / max(units, 1.0), smallest), max(mean, smallest), weight)


def _relative(name: str, place: int | None, width: int) -> Metric:
    """Return the mean over targets of their losses relative to chance, or that of one target: 1 for a model that knows
    nothing, 0 at best. Its outputs are the losses and units of `width` targets, (rows, 2T); a target that no row has
    takes no part."""
    which = slice(None) if place is None else slice(place, place + 1)

    def compute(targets: Array, outputs: Floats, weights: Floats) -> Floats:
        losses, units = (
            weights @ outputs[:, start : start + width][:, which].astype(np.float64) for start in (0, width)
        )
        means: Floats = np.divide(losses, units, out=np.full(losses.shape, np.nan), where=units > 0)
        known = ~np.isnan(means)
        total = np.where(known, means, 0.0).sum(axis=1)
        found: Floats = np.divide(total, known.sum(axis=1), out=np.full(len(total), np.nan), where=known.any(axis=1))
        return found

    return Metric(name, compute, higher_is_better=False, of_answers=False)
