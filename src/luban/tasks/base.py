"""The protocol of a task: what it asks of a network, its loss, its metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field, field_validator
from torch import Tensor

from luban.core.answers import AnswerKind
from luban.core.sentence import Sentence
from luban.core.settings import LARGEST, Settings
from luban.core.strict import arguments
from luban.core.tensors import Batch, Columns, EncodedColumn, OutputKind, OutputSpec, TensorKind
from luban.features.base import ColumnProfile
from luban.features.dataset import Dataset

Floats = npt.NDArray[np.floating[Any]]
Array = npt.NDArray[np.generic]
SetMethod = Literal["lac", "aps", "residual", "risk"]  # of prediction sets
Direction = Literal["higher", "lower"]  # of scores: which is the better one


Weight = Annotated[float, Field(gt=0, le=LARGEST)]


class LossConfig(Settings):
    """Settings of the loss."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["balanced"] | dict[str, Weight] | None = None  # "balanced", or a weight by label
    loss: Literal["mse", "mae", "huber"] | None = None  # of regression, whose own choice None is

    @field_validator("class_weights", mode="before")
    @classmethod
    def _labels_as_text(cls, value: Any) -> Any:
        # YAML reads a label such as 1 as a number.
        return {str(label): weight for label, weight in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class Metric:
    """One score. compute(targets, outputs, weights) -> (R,): targets and outputs are rows-first as the task makes them,
    weights is (R, rows): how often each row counts in each of R bootstrap resamples. of_answers: whether it depends on
    the labels that are said alone, and not on how probable they are. breaks_ties: whether it ranks epochs of equal
    deciding scores.

    interval: how sure it is follows from what it is made of: a `share` of rows, or what ascends with one, a score
    `bounded` by 0 and 1, or `means`: a function of means over rows. Of a share, counts(targets, outputs) is how many
    rows have it, and of how many. Of means, parts(targets, outputs) -> (rows, K) is what is averaged, best the score
    that nothing can pass. formula: from shares or means, (R, K), to scores, (R,). extremes: from the means of rows,
    (K,), what they would be if all of it were wrong, and right: where no row differs from one of these, rows not met so
    far may.
    """

    name: str
    compute: Callable[[Array, Floats, Floats], Floats]
    higher_is_better: bool = True
    of_answers: bool = True
    breaks_ties: bool = False
    interval: Literal["share", "bounded", "means"] = "bounded"
    counts: Callable[[Array, Floats], tuple[int, int]] | None = None
    parts: Callable[[Array, Floats], Floats] | None = None
    formula: Callable[[Floats], Floats] | None = None
    extremes: Callable[[Floats], tuple[Floats, Floats]] | None = None
    best: float = 0.0

    @property
    def direction(self) -> Direction:
        return "higher" if self.higher_is_better else "lower"


class Task(ABC):
    """A fitted task. What is not said otherwise is that of one target a row, from one vector of logits a row:
    `logits` are the head's outputs (B, output_dim); `outputs` are probabilities, or values.

    set_methods: how prediction sets of it can be made, the usual one first. has_threshold: whether it decides by one.
    couples_rows: whether the loss is over the batch, so that a step may not cut it. settings: of the loss. names: what
    its labels are called, one an output; none of a number. takes: the settings of the loss that it honours.
    """

    name: ClassVar[str]
    answer: ClassVar[AnswerKind]  # what evaluation, explanation and the report hold on to
    couples_rows: bool = False
    set_methods: ClassVar[tuple[SetMethod, ...]] = ()
    has_threshold: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ()
    metrics: tuple[Metric, ...]  # the first is the one that decides: best weights, baselines, verdict
    target: str  # the name of the target column
    names: Sequence[str] = ()
    settings: LossConfig = LossConfig()

    def configured(self, settings: LossConfig) -> Self:
        """Return the same task with other settings of the loss."""
        task = copy(self)
        task.settings = settings
        return task

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target columns."""
        return (self.target,)

    @property
    def parts(self) -> tuple[Task, ...]:
        """The tasks of one target each that it is made of: itself alone, unless it has several targets."""
        return (self,)

    @classmethod
    @abstractmethod
    def match(cls, profile: ColumnProfile) -> float:
        """Return how surely (0 to 1) a target column like this one asks for this task."""

    @classmethod
    def kinds(cls, profile: ColumnProfile, columns: list[str]) -> dict[str, str]:
        """Return which kinds columns must have for a target like this one. Raises DataError where none can."""
        return {}

    @classmethod
    @abstractmethod
    def fit(cls, target: pl.Series) -> Self:
        """Learn labels or scale from training rows. Raises DataError where the target cannot be learned."""

    @property
    def output_dim(self) -> int:
        """The size of the one vector of logits."""
        raise NotImplementedError

    def bound(self, kinds: Mapping[str, str]) -> Self:
        """Return the task with what it must know of the inputs. kinds: of the columns that are such."""
        return self

    def counted(self, frame: pl.DataFrame) -> Self:
        """Return the task with what only targets and inputs together tell. frame: the training rows."""
        return self

    def heads(self) -> tuple[OutputSpec, ...]:
        """Return what the network has to compute."""
        return (OutputSpec(self.target, OutputKind.ROW, self.output_dim),)

    def encode_targets(self, frame: pl.DataFrame) -> tuple[dict[str, EncodedColumn], dict[int, tuple[str, str]]]:
        """Return the targets of a table by column, and for each unreadable row its position, column and reason."""
        values, bad = self.encode(frame[self.target])
        columns = {self.target: EncodedColumn(TensorKind.DENSE, values)}
        return columns, {position: (self.target, reason) for position, reason in bad.items()}

    @abstractmethod
    def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
        """Return targets, rows first, and for each unreadable one its position and the reason."""

    def row_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row, (B,), of one vector of logits a row."""
        raise NotImplementedError

    def loss(self, outputs: Columns, batch: Batch) -> Tensor:
        """Return the loss of each row, (B,): the sum over its units."""
        logits, targets = outputs[self.target], batch.targets[self.target]
        assert isinstance(logits, Tensor)
        assert isinstance(targets, Tensor)
        return self.row_loss(logits.float(), targets)

    def num_units(self, batch: Batch) -> Tensor:
        """Return how many units the loss of each row sums up, (B,): tokens, steps, boxes; one of a whole row."""
        return torch.ones(len(batch))

    def drawn(self, batch: Batch, draw: torch.Generator) -> Batch:
        """Return a batch of a training step with what is drawn for it: masks, negatives."""
        return batch

    def constant(self, logits: Tensor, batch: Batch) -> Columns:
        """Return outputs that are the same for every row or place. logits: (1, D), for all heads side by side."""
        parts = torch.split(logits, [spec.size for spec in self.heads()], dim=1)
        return {spec.name: part.expand(len(batch), -1) for spec, part in zip(self.heads(), parts, strict=True)}

    def chance_loss(self, batch: Batch) -> Tensor:
        """Return the loss (B,) of each row for a network that knows nothing, whose logits are all zero: of classes
        ln C, of numbers the squared distance from their mean, in units of their variance."""
        size = sum(spec.size for spec in self.heads())
        return self.loss(self.constant(torch.zeros(1, size, device=batch.device), batch), batch)

    def present(self, data: Dataset) -> tuple[npt.NDArray[np.bool_], ...]:
        """Return for each of its parts which rows have the target, (rows,)."""
        return (np.ones(len(data), np.bool_),)

    def truth(self, data: Dataset) -> Array:
        """Return what the answers are held against, rows first."""
        return data.target(self.target)

    def keep(self, outputs: Columns, batch: Batch) -> Columns:
        """Return what is kept of the outputs of a batch: never all logits of all tokens."""
        logits = outputs[self.target]
        assert isinstance(logits, Tensor)
        return {self.target: logits.float()}

    def answers(self, kept: Columns) -> Floats:
        """Return what metrics and predictions are made of, rows first, from what was kept of all rows."""
        logits = kept[self.target]
        assert isinstance(logits, Tensor)
        answers: Floats = self.outputs(logits).numpy()
        return answers

    def outputs(self, logits: Tensor) -> Tensor:
        """Return probabilities (B, C), or values (B,) in the target's own unit, of one vector of logits a row."""
        raise NotImplementedError

    @abstractmethod
    def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the columns of a prediction file: `predicted_TARGET`, and where there are labels `probability_LABEL`
        of each, or one `probability` beyond 100 labels. frame: the rows, for an answer that names parts of them."""

    def beside(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return the columns of a prediction file, from those of each of its parts."""
        (frame,) = frames
        return frame

    @property
    def positive(self) -> str | None:
        """The positive one of two classes, the last of the names; None where there is none."""
        return None

    @property
    def decided(self) -> Sequence[str]:
        """The labels that it decides on by a threshold: of two classes the positive one; none without a threshold."""
        return ()

    def deciding_at(self, thresholds: Sequence[float]) -> Self:
        """Return the same task with thresholds of its own, one for each label that it decides on, in what it says and
        in the scores of that. A task that decides by no threshold is never asked."""
        raise AssertionError(f"{self.name} decides by no threshold")

    def spellings(self) -> tuple[str, ...]:
        """Return the values of the target as training spelled them; none where a cell is not one of few values."""
        return ()

    def remarks(self) -> list[Sentence]:
        """Return what was decided of the target for the user, a sentence each."""
        return []

    @abstractmethod
    def state(self) -> dict[str, Any]: ...

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted task. Raises ValueError where a part is not of the type that `__init__` declares, or the
        parts contradict each other."""
        task = cls(**arguments(cls, state))
        task.check_state()
        return task

    def check_state(self) -> None:  # noqa: B027 - a task of numbers has nothing more to check
        """Raise ValueError where the parts of the state contradict each other."""
