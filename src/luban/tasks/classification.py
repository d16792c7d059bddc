"""One label a row: two classes, or many."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import AfterValidator
from torch import Tensor
from torch.nn import functional as F

from luban.core.answers import AnswerKind
from luban.core.errors import DataError, listed
from luban.core.settings import Settings
from luban.core.strict import Count, same_length
from luban.features.base import ColumnProfile
from luban.features.cells import quoted, strings
from luban.tasks import metrics
from luban.tasks.base import Array, Floats, LossOfLabels, Metric, SetMethod, Task
from luban.tasks.targets import (
    INFINITE,
    MISSING,
    UnseenLabel,
    counts_classes,
    is_scalar,
    label_weights,
    no_targets,
    require_repeated,
    sampled_numbers,
)

Label = bool | int | float | str

MAX_PROBABILITY_COLUMNS = 100
INFINITE_NAMES = ("inf", "-inf")  # what float cells are called


def _of_one_type(labels: list[Label]) -> list[Label]:
    if len({type(label) for label in labels}) > 1:
        raise ValueError("labels of several types")
    if "" in labels:
        raise ValueError("an empty label")
    return labels


class Classification(Task):
    """Labels and their probabilities; softmax and cross-entropy, if a task does not say otherwise.

    labels: sorted, of the target's own type; strings that are numbers sort as numbers; of two the positive one is last.
    counts: training rows of each.
    A cell belongs to a label by what it is called, so that the string '1' of a CSV file is the number 1 of another
    table.
    """

    answer: ClassVar[AnswerKind] = AnswerKind.CLASS
    config_type: ClassVar[type[Settings]] = LossOfLabels
    settings: LossOfLabels = LossOfLabels()

    def __init__(
        self, target: str, labels: Annotated[list[Label], AfterValidator(_of_one_type)], counts: list[Count]
    ) -> None:
        self.target, self.labels, self.counts = target, labels, counts
        self.names: list[str] = strings(pl.Series(labels)).to_list()

    @classmethod
    def fit(cls, target: pl.Series) -> Self:
        if not is_scalar(target.dtype):
            raise DataError(
                f"target '{target.name}'",
                expected="one label a row",
                found=f"cells of type {target.dtype}",
                action="Choose another target, or another task",
            )
        names = _names(target)
        if target.dtype.is_float():
            names = names.set(names.is_in(INFINITE_NAMES), None)
        counted = names.drop_nulls().rename("name").value_counts()
        counts = dict(zip(counted["name"].to_list(), counted["count"].to_list(), strict=True))
        if not counts:
            raise no_targets(target, "a label in each row")
        if len(counts) == 1:
            raise DataError(
                f"target '{target.name}'",
                expected="two different labels or more",
                found=f"only {quoted(*counts)} in all rows",
                action="Add rows of another class, or choose another target",
            )
        require_repeated(target, len(counts), sum(counts.values()))
        ordered = _ordered(list(counts))
        cls.check_labels(target.name, ordered)
        return cls(target.name, _labels(ordered, target.dtype), [counts[name] for name in ordered])

    @classmethod
    def check_labels(cls, target: str, names: list[str]) -> None:
        """Raise DataError where the task cannot have these labels."""

    @property
    def output_dim(self) -> int:
        return len(self.labels)

    def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
        """Return (rows,) int64 positions among the labels, and the rows without one, whose target is 0."""
        cells = _names(target)
        ids = cells.replace_strict(self.names, range(len(self.names)), default=None, return_dtype=pl.Int64)
        bad = {position: self._reason(cells[position], target.dtype) for position in ids.is_null().arg_true()}
        return ids.fill_null(0).to_numpy(writable=True), bad

    def spellings(self) -> tuple[str, ...]:
        return tuple(self.names)

    def _reason(self, cell: str | None, dtype: pl.DataType) -> str:
        if cell is None:
            return MISSING
        if dtype.is_float() and cell in INFINITE_NAMES:
            return INFINITE
        return UnseenLabel(cell)

    def row_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (B, C); targets: (B,) int64. Class weights multiply a row's loss and are 1 on average if balanced."""
        weights = self.class_weights()
        return F.cross_entropy(
            logits,
            targets,
            weight=None if weights is None else torch.from_numpy(weights).to(logits),
            label_smoothing=self.settings.label_smoothing,
            reduction="none",
        )

    def class_weights(self) -> Floats | None:
        """Return the weight of each label, (C,), or None for equal ones. Raises ConfigError for wrong settings."""
        if self.settings.class_weights is None:
            return None
        counts = np.array(self.counts, dtype=np.float64)
        return label_weights(self.settings, self.names, counts.sum() / (len(counts) * counts))

    def outputs(self, logits: Tensor) -> Tensor:
        """Return probabilities, (B, C)."""
        return logits.float().softmax(dim=-1)

    def decide(self, outputs: Floats) -> npt.NDArray[np.int64]:
        """Return the position of the label that is said of each row, (rows,): the most probable one."""
        best: npt.NDArray[np.int64] = outputs.argmax(axis=1)
        return best

    def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the label as `predicted_TARGET`, and `probability_LABEL` for each of up to 100 labels, or
        `probability` of the label where there are more."""
        best = self.decide(outputs)
        columns = {f"predicted_{self.target}": pl.Series(self.labels)[best]}
        if len(self.labels) > MAX_PROBABILITY_COLUMNS:
            columns["probability"] = pl.Series(outputs.max(axis=1))
        else:
            for position, name in enumerate(self.names):
                columns[f"probability_{name}"] = pl.Series(outputs[:, position])
        return pl.DataFrame(columns)

    def state(self) -> dict[str, Any]:
        return {"target": self.target, "labels": self.labels, "counts": self.counts}

    def check_state(self) -> None:
        same_length(labels=self.labels, counts=self.counts)
        if len(set(self.names)) < len(self.names):
            raise ValueError("labels: a label stands twice")
        if len(self.names) < 2:
            raise ValueError("labels: fewer than two")
        self.check_labels(self.target, self.names)


class Binary(Classification):
    """Two classes; the positive one is the second label: of sorted labels (1 of 0 and 1), until another is chosen.

    threshold: from which probability on the positive one is said; where there is none, the more probable one is.
    """

    name: ClassVar[str] = "binary"
    set_methods: ClassVar[tuple[SetMethod, ...]] = ("lac", "aps")
    has_threshold: ClassVar[bool] = True
    metrics: tuple[Metric, ...] = metrics.BINARY
    threshold: np.float32 | None = None

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        dtype = profile.sample.dtype
        return 1.0 if is_scalar(dtype) and (dtype == pl.Boolean or profile.num_unique == 2) else 0.0

    @property
    def output_dim(self) -> int:
        return 1

    def row_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (B, 1); targets: (B,) int64. Class weights multiply a row's loss and are 1 on average if balanced."""
        weights = self.class_weights()
        smoothing = self.settings.label_smoothing
        smoothed = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits.squeeze(-1), smoothed, reduction="none")
        return losses if weights is None else losses * torch.from_numpy(weights).to(logits)[targets]

    def outputs(self, logits: Tensor) -> Tensor:
        """Return probabilities of both classes, (B, 2)."""
        # 1 - sigmoid(x) is 0 in float32 from x = 17 on, which a log loss cannot tell from a certain error.
        return torch.cat([-logits, logits], dim=-1).float().sigmoid()

    def decide(self, outputs: Floats) -> npt.NDArray[np.int64]:
        if self.threshold is None:
            return super().decide(outputs)
        return (outputs[:, 1] >= self.threshold).astype(np.int64)

    @property
    def positive(self) -> str:
        return self.names[1]

    @property
    def decided(self) -> Sequence[str]:
        return self.names[1:]

    def deciding_at(self, thresholds: Sequence[float]) -> Self:
        task = copy(self)
        task.threshold = np.float32(thresholds[0])
        task.metrics = metrics.of_answers(type(self).metrics, lambda outputs: np.eye(2)[task.decide(outputs)])
        return task

    def with_positive(self, place: int) -> Self:
        """Return the same task with the label at a place as the positive one."""
        order = [1 - place, place]
        return type(self)(self.target, [self.labels[p] for p in order], [self.counts[p] for p in order])

    @classmethod
    def check_labels(cls, target: str, names: list[str]) -> None:
        if len(names) > 2:
            raise DataError(
                f"target '{target}'",
                expected="two labels",
                found=f"{len(names)}: {listed(names)}",
                action="Set data.task=multiclass",
            )


class Multiclass(Classification):
    """One class of several."""

    name: ClassVar[str] = "multiclass"
    set_methods: ClassVar[tuple[SetMethod, ...]] = ("lac", "aps")
    metrics: tuple[Metric, ...] = metrics.MULTICLASS

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """Strings are classes; so are few, repeated integers."""
        if not is_scalar(profile.sample.dtype):
            return 0.0
        if sampled_numbers(profile) is None:
            return 0.7
        return 0.7 if counts_classes(profile) else 0.1


def _names(target: pl.Series) -> pl.Series:
    """Return what the cells are called; null where missing."""
    return strings(target.cast(pl.Float64) if target.dtype.is_decimal() else target)


def _ordered(names: list[str]) -> list[str]:
    """Sort names: as numbers where all are, else as text."""
    numbers = pl.Series(names).cast(pl.Float64, strict=False)
    if numbers.is_null().any() or not numbers.is_finite().all():
        return sorted(names)
    return [name for _, name in sorted(zip(numbers.to_list(), names, strict=True))]


def _labels(names: list[str], dtype: pl.DataType) -> list[Label]:
    """Return the labels that are called so, in the type of their column; whole numbers as integers."""
    if dtype == pl.Boolean:
        return [name == "true" for name in names]
    if not dtype.is_numeric():
        return list(names)
    is_whole = all(name.lstrip("-").isdigit() for name in names)
    return [int(name) if is_whole else float(name) for name in names]
