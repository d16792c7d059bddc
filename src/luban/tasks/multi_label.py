"""Any number of labels a row."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from luban.core.answers import AnswerKind
from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence
from luban.core.settings import Settings
from luban.core.strict import Count, same_length
from luban.features.base import ColumnProfile
from luban.features.labels import LabelsFeature
from luban.features.parsing import lists, spellings
from luban.features.parsing.lists import SEPARATORS, WEAK_SEPARATORS, Writing
from luban.tasks import metrics
from luban.tasks.base import Array, Floats, LossOfLabels, Metric, SetMethod, Task
from luban.tasks.classification import MAX_PROBABILITY_COLUMNS
from luban.tasks.metrics import LABEL_THRESHOLD
from luban.tasks.targets import MISSING, UnseenLabel, label_weights, no_targets, require_repeated


class MultiLabel(Task):
    """One sigmoid a label, trained with binary cross-entropy.

    labels: sorted. counts: training rows of each. num_rows: training rows. separator: between the labels of a cell,
    empty where cells are lists or hold one label each. positions: the length of vectors of 0 and 1, whose labels are
    named by their places; 0 where cells are none. thresholds: from which probability on a label is said, of all or
    of each, (C,).
    """

    name: ClassVar[str] = "multi_label"
    answer: ClassVar[AnswerKind] = AnswerKind.LABELS
    set_methods: ClassVar[tuple[SetMethod, ...]] = ("risk",)
    has_threshold: ClassVar[bool] = True
    config_type: ClassVar[type[Settings]] = LossOfLabels
    settings: LossOfLabels = LossOfLabels()
    metrics: tuple[Metric, ...] = metrics.MULTI_LABEL
    thresholds: npt.NDArray[np.float32] | float = LABEL_THRESHOLD

    def __init__(
        self,
        target: str,
        labels: Annotated[list[str], Field(min_length=1)],
        counts: list[Count],
        num_rows: Count,
        separator: str,
        positions: Count = 0,
    ) -> None:
        self.target, self.labels, self.counts, self.num_rows = target, labels, counts, num_rows
        self.separator, self.positions = separator, positions
        self.names = labels

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """As surely as the column, were it an input, would be one of labels."""
        return LabelsFeature.match(profile)

    @classmethod
    def fit(cls, target: pl.Series) -> Self:
        cells = _cells(target)
        writing = lists.find_writing(cells, is_told=True) or Writing()
        labels = lists.split(cells, writing)
        found = labels.explode().drop_nulls().rename("label")
        if not len(found):
            raise no_targets(target, "a label in some row")
        counted = found.value_counts().sort("label")
        require_repeated(target, len(counted), len(found))
        return cls(
            target.name,
            counted["label"].to_list(),
            counted["count"].to_list(),
            len(labels) - labels.null_count(),
            writing.separator,
            writing.positions,
        )

    @property
    def output_dim(self) -> int:
        return len(self.labels)

    def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
        """Return (rows, C) uint8, 1 where the row has the label; a list without labels is a row of zeros. Rows may be
        written otherwise than those of training."""
        cells = _cells(target)
        labels = lists.split(cells, lists.suited(cells, Writing(self.separator, self.positions), self.labels))
        lengths = labels.list.len().fill_null(0).to_numpy().astype(np.int64)
        rows = np.repeat(np.arange(len(target)), lengths)
        found = labels.filter(labels.list.len() > 0).explode()
        found = spellings.respelled(found, spellings.known(found, self.labels))
        ids = found.replace_strict(self.labels, range(len(self.labels)), default=None, return_dtype=pl.Int64)
        known = ids.is_not_null().to_numpy()
        encoded: npt.NDArray[np.uint8] = np.zeros((len(target), len(self.labels)), np.uint8)
        encoded[rows[known], ids.drop_nulls().to_numpy()] = 1
        bad: dict[int, str] = dict.fromkeys(labels.is_null().arg_true().to_list(), MISSING)
        for place in np.flatnonzero(~known):
            bad[int(rows[place])] = UnseenLabel(found[int(place)])
        return encoded, bad

    def row_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits, targets: (B, C); the mean over labels. Class weights multiply the loss of the rows with the label."""
        config = self.settings
        counts = np.array(self.counts, dtype=np.float64)
        weights = label_weights(config, self.labels, np.maximum(self.num_rows - counts, 1) / counts)
        smoothing = config.label_smoothing
        smoothed = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(
            logits,
            smoothed,
            pos_weight=None if weights is None else torch.from_numpy(weights).to(logits),
            reduction="none",
        ).mean(dim=1)

    def outputs(self, logits: Tensor) -> Tensor:
        """Return probabilities, (B, C), which need not sum to 1."""
        return logits.float().sigmoid()

    def decide(self, outputs: Floats) -> npt.NDArray[np.bool_]:
        """Return which labels are said of each row, (rows, C)."""
        said: npt.NDArray[np.bool_] = outputs >= self.thresholds
        return said

    @property
    def decided(self) -> Sequence[str]:
        return self.labels

    def deciding_at(self, thresholds: Sequence[float]) -> Self:
        task = copy(self)
        task.thresholds = np.array(thresholds, np.float32)
        task.metrics = metrics.of_answers(type(self).metrics, lambda outputs: task.decide(outputs).astype(np.float64))
        return task

    def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the labels as `predicted_TARGET`, joined with the separator of the training rows, and
        `probability_LABEL` for each of up to 100 labels, or `probability` of the most probable one where
        there are more."""
        rows, found = np.nonzero(self.decide(outputs))
        ends = np.searchsorted(rows, np.arange(len(outputs) + 1))
        names = np.array(self.labels, dtype=object)[found]
        separator = self.separator or SEPARATORS[0]
        joined = [separator.join(names[start:end]) for start, end in pairwise(ends)]
        columns = {f"predicted_{self.target}": pl.Series(joined, dtype=pl.String)}
        if len(self.labels) > MAX_PROBABILITY_COLUMNS:
            columns["probability"] = pl.Series(outputs.max(axis=1))
        else:
            for position, label in enumerate(self.labels):
                columns[f"probability_{label}"] = pl.Series(outputs[:, position])
        return pl.DataFrame(columns)

    def state(self) -> dict[str, Any]:
        names = ("target", "labels", "counts", "num_rows", "separator", "positions")
        return {name: getattr(self, name) for name in names}

    def remarks(self) -> list[Sentence]:
        if self.positions:
            return [
                sentence(
                    "labels.positions",
                    "target '{target}': cells are vectors of 0 and 1; labels are named by their places, "
                    "'0' is the first of {count}",
                    target=self.target,
                    count=self.positions,
                )
            ]
        if self.separator not in WEAK_SEPARATORS:
            return []
        return [
            sentence(
                "labels.separated",
                "target '{target}': several labels a cell, separated by '{separator}'",
                target=self.target,
                separator=self.separator,
            )
        ]

    def check_state(self) -> None:
        same_length(labels=self.labels, counts=self.counts)
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: a label stands twice")


def _cells(target: pl.Series) -> pl.Series:
    """Return strings or lists; raises DataError for other cells."""
    if isinstance(target.dtype, pl.List | pl.Array | pl.String):
        return target
    if isinstance(target.dtype, pl.Categorical | pl.Enum):
        return target.cast(pl.String)
    raise DataError(
        f"target '{target.name}'",
        expected="strings of labels, or lists",
        found=f"cells of type {target.dtype}",
        action="Choose another target, or another task",
    )
