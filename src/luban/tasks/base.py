"""The protocol of a task: what it asks of a network, its loss, its metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field, field_validator
from torch import Tensor

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError
from luban.core.sentence import Sentence
from luban.core.settings import Settings, Weight
from luban.core.strict import arguments
from luban.core.tensors import Batch, Columns, EncodedColumn, InputSpec, OutputKind, OutputSpec, TensorKind
from luban.data.table import Table
from luban.features.base import ColumnProfile
from luban.features.dataset import Dataset
from luban.tasks.config import TaskConfig

Floats = npt.NDArray[np.floating[Any]]
Array = npt.NDArray[np.generic]
SetMethod = Literal["lac", "aps", "residual", "risk"]  # of prediction sets
Direction = Literal["higher", "lower"]  # of scores: which is the better one


class LossOfLabels(Settings):
    """Settings of the loss of tasks of labels. class_weights: `balanced`, or a weight by label."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["balanced"] | dict[str, Weight] | None = None

    @field_validator("class_weights", mode="before")
    @classmethod
    def _labels_as_text(cls, value: Any) -> Any:
        # YAML reads a label such as 1 as a number.
        return {str(label): weight for label, weight in value.items()} if isinstance(value, dict) else value


class LossOfNumbers(Settings):
    """Settings of the loss of tasks of numbers, whose own choice None is."""

    loss: Literal["mse", "mae", "huber"] | None = None


class LossConfig(LossOfNumbers, LossOfLabels):
    """All that `train.loss` may hold, of which a task takes the settings of its own type."""


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
    its labels are called, one an output; none of a number. config_type: of the settings of the loss that it takes.
    """

    name: ClassVar[str]
    answer: ClassVar[AnswerKind]  # what evaluation, explanation and the report hold on to
    couples_rows: bool = False
    set_methods: ClassVar[tuple[SetMethod, ...]] = ()
    has_threshold: ClassVar[bool] = False
    config_type: ClassVar[type[Settings]] = Settings
    metrics: tuple[Metric, ...]  # the first is the one that decides: best weights, baselines, verdict
    target: str  # the name of the target column
    names: Sequence[str] = ()
    settings: Settings = Settings()
    is_joint: ClassVar[bool] = False  # all target columns are of one task
    is_ordered: ClassVar[bool] = False  # rows are steps of time, and what is known at each decides what follows
    has_logits: ClassVar[bool] = True  # its answers are made of one vector of logits a row
    architecture: ClassVar[str] = ""  # that is meant where none is named, if it is not that of the inputs

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of the settings of the loss that it takes."""
        return tuple(self.config_type.model_fields)

    def configured(self, settings: LossConfig) -> Self:
        """Return the same task with other settings of the loss. Raises ConfigError for one that it does not take."""
        for name, field in LossConfig.model_fields.items():
            value = getattr(settings, name)
            if name not in self.takes and value != field.default:
                raise ConfigError(
                    f"train.loss.{name}",
                    expected=f"no such setting for the task {self.name}",
                    found=f"'{value}'",
                    action="Remove it",
                )
        task = copy(self)
        task.settings = self.config_type.model_validate({name: getattr(settings, name) for name in self.takes})
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

    @classmethod
    def fitted(cls, frame: pl.DataFrame, columns: Sequence[str], settings: TaskConfig) -> Self:
        """Learn a task of all target columns from training rows. A task that is not joint is never asked."""
        raise AssertionError(f"{cls.name} is fitted on one target")

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

    def inputs(self, specs: list[InputSpec]) -> list[InputSpec]:
        """Return what the network takes of what the features give."""
        return specs

    def input_kinds(self, kinds: set[TensorKind]) -> set[TensorKind]:
        """Return the kinds of what the network takes, from those of what the features give."""
        return kinds

    def taking(self, specs: Sequence[InputSpec]) -> Self:
        """Return the task with what it must know of fitted features."""
        return self

    def resolved(self, settings: TaskConfig) -> TaskConfig:
        """Return the settings of the task with everything decided."""
        return settings

    @classmethod
    def usual_targets(cls, table: Table, settings: TaskConfig, kinds: Mapping[str, str]) -> tuple[str, ...]:
        """Return the targets where none is named; none where that is asked of the columns' names. kinds: of columns, as
        the user says."""
        return ()

    @classmethod
    def planned(cls, table: Table, settings: TaskConfig) -> tuple[TaskConfig, dict[str, str]]:
        """Return the settings with what the columns tell, and the kinds that they ask columns to have. Raises
        ConfigError where they cannot be told."""
        return settings, {}

    @classmethod
    def arranged(
        cls, tables: dict[str, Table], targets: Sequence[str], settings: TaskConfig
    ) -> tuple[dict[str, Table], TaskConfig, list[Sentence]]:
        """Return tables by role with their rows as examples are taken from them, the settings with what they tell, and
        what was done."""
        return tables, settings, []

    def rearranged(self, table: Table, role: str) -> tuple[Table, list[Sentence]]:
        """Return other rows in the order that examples are taken from, and what was done. role: of the rows."""
        return table, []

    def examples(self, data: Dataset, table: Table, role: str) -> Dataset:
        """Return what is learned from and answered, made of the rows of a part of a table: the rows themselves."""
        return data

    def check_inputs(self, frame: pl.DataFrame, numbers: Sequence[str], where: str) -> None:  # noqa: B027 - most tasks know of none
        """Raise DataError where inputs tell what is to be predicted, by a column that a task alone can know of.

        frame: training rows. numbers: inputs that are numbers. where: the name of the table.
        """

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

    def check_loss(self, frame: pl.DataFrame) -> None:
        """Raise ConfigError where the settings of the loss are not for this task or these labels. frame: some rows."""
        columns, _ = self.encode_targets(frame.head(1))
        rows = np.arange(min(1, len(frame)))
        self.chance_loss(Batch({}, {name: column.take(rows) for name, column in columns.items()}, rows))

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

    def actual(self, truth: Array, frame: pl.DataFrame) -> dict[str, pl.Series]:
        """Return the columns of the truth, `actual_TARGET`. frame: the rows."""
        return {f"actual_{target}": frame[target] for target in self.targets}

    def laid_out(self, frame: pl.DataFrame, horizon: int | None = None) -> pl.DataFrame:
        """Return the columns of a prediction file as a person reads them. horizon: steps of a forecast."""
        return frame

    def check_horizon(self, horizon: int | None) -> None:
        """Raise ConfigError where so many steps cannot be forecast."""
        if horizon is not None:
            raise ConfigError(
                "--horizon",
                expected="a run that forecasts",
                found=f"one of the task {self.name}",
                action="Leave --horizon out",
            )

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
