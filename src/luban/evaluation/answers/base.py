"""The protocol of a kind of answer: all that evaluation asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.evaluation.quality import Quality
from luban.evaluation.scores.sampled import Units
from luban.features.dataset import Dataset
from luban.tasks.base import Array, Floats, Task

T = TypeVar("T", bound=Task)
Booleans = npt.NDArray[np.bool_]
Rate = tuple[npt.NDArray[Any], npt.NDArray[Any]]  # numerator, and which rows are counted: (rows,) each


@dataclass(frozen=True)
class Constant:
    """The same outputs for every row: the simplest baseline. note: what it is, in words. outputs: of one row."""

    name: str
    note: str
    outputs: Floats


class Answer(ABC, Generic[T]):
    """What evaluation does with answers of one kind. What has a default here need not apply to all kinds, and the
    default says that it does not.

    targets, outputs: rows first, as the task makes them. has_probabilities: whether outputs are probabilities of the
    task's labels, (rows, C): then they can be calibrated, and a wrong answer is more or less confident.
    """

    has_probabilities: ClassVar[bool] = False

    @abstractmethod
    def texts(self, task: T, targets: Array) -> list[str]:
        """Return the truth of each row as text."""

    @abstractmethod
    def certain(self, task: T, targets: Array) -> Floats:
        """Return the outputs of a model that is certain of these targets."""

    @abstractmethod
    def quality(self, task: T, targets: Array, outputs: Floats) -> Quality:
        """Return how good the answer of each row is."""

    @abstractmethod
    def wrongness(self, task: T, targets: Array, outputs: Floats) -> Floats:
        """Return how far each row is wrong, (rows,), zero where it is right: how confident the wrong answer is, or how
        large the error."""

    @abstractmethod
    def constant(self, task: T, targets: Array) -> Constant | None:
        """Return the best answer that is the same for every row, as training rows have it; None where it would say
        nothing."""

    def references(self, task: T, train: Dataset, data: Dataset) -> dict[str, Floats]:
        """Return the outputs of simple predictors that look at what the network takes, by name."""
        return {}

    def cells(self, task: T, targets: Array, frame: pl.DataFrame) -> pl.Series:
        """Return the truth of rows as a person reads it. frame: the rows."""
        return frame[task.target]

    def said(self, task: T, outputs: Floats) -> pl.Series:
        """Return the answers as a person reads them."""
        return task.decode(outputs)[f"predicted_{task.target}"]

    def details(
        self, task: T, targets: Array, outputs: Floats, others: Mapping[str, Floats], units: Units | None, seed: int
    ) -> dict[str, Any]:
        """Return what else is known of answers, as JSON values by the names in metrics.json. others: of baselines."""
        return {}

    def stored(self, task: T, frame: pl.DataFrame) -> tuple[Array, Floats]:
        """Return the truth and the answers of a prediction file, where they are no cells of a row each. Raises
        ValueError where they are not what they must be."""
        raise AssertionError(f"the answers of {task.name} are cells")

    def confusion(self, task: T, targets: Array, outputs: Floats) -> tuple[tuple[int, ...], ...] | None:
        """Return how many rows of each label are taken for each; None where a table of that would say nothing."""
        return None

    def confusions(self, task: T, targets: Array, outputs: Floats, limit: int) -> list[dict[str, Any]]:
        """Return what is taken for what, the commonest first."""
        return []

    def decisions(self, task: T, targets: Array, outputs: Floats) -> tuple[Floats, Booleans] | None:
        """Return (rows, L) each: the probability of each label in `task.decided`, and whether the row has it; None
        where nothing is decided by a threshold."""
        return None

    def events(self, targets: Array, outputs: Floats) -> tuple[Floats, Booleans] | None:
        """Return probabilities and whether they came true, one an event, as many a row; None where outputs are none."""
        return None

    def at_temperature(self, outputs: Floats, temperature: float) -> Floats:
        """Return outputs as they were, had their logits been divided by a temperature; values as they are."""
        return outputs

    def rates(self, task: T, targets: Array, outputs: Floats) -> dict[str, Rate]:
        """Return what is compared between groups of rows, by name: the quality of a row, if nothing else is said."""
        quality = self.quality(task, targets, outputs)
        if quality.is_share:
            return {quality.metric: (quality.values.astype(np.bool_), np.ones(len(targets), np.bool_))}
        return {quality.metric: (quality.values, np.ones(len(targets)))}
