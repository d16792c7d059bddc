"""The protocol of a feature: one kind of column, from raw cells to tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl
from torch import Tensor

from luban.core.sentence import Sentence
from luban.core.settings import Settings
from luban.core.strict import arguments
from luban.core.tensors import EncodedColumn, InputSpec, Ragged, TensorKind


class FeatureConfig(Settings):
    """Settings of one kind of column; each kind subclasses it beside its code."""


@dataclass(frozen=True)
class ColumnProfile:
    """What inference sees of a column.

    sample: up to 10,000 non-missing cells, drawn evenly over the column. num_rows, num_missing, num_unique: of the
    whole column; an empty string counts as missing. folder: where relative paths in cells start. companions: of a
    target, the columns whose cells it answers part by part.
    """

    name: str
    sample: pl.Series
    num_rows: int
    num_missing: int
    num_unique: int
    folder: Path | None = None
    companions: tuple[str, ...] = ()


@dataclass(frozen=True)
class FitContext:
    """What fitting may need beside the cells.

    folder: where relative paths in cells start, and may not leave. missing_values: cells that mean 'missing' in number
    and date columns. tokenizer: the `tokenizer.json` of a pretrained checkpoint. max_positions: its longest input.
    """

    folder: Path | None = None
    missing_values: frozenset[str] = frozenset()
    tokenizer: Path | None = None
    max_positions: int | None = None


@dataclass(frozen=True)
class Encoded:
    """An encoded chunk. bad: position in the chunk -> why the cell could not be read; its value is that of a missing
    cell, so that prediction can go on while training sets the row aside."""

    column: EncodedColumn
    bad: dict[int, str] = field(default_factory=dict)


class Feature(ABC):
    """A fitted feature: one input of the network, made from one or more columns of the table.

    Missing cells (null, or empty string) are a state of every feature: they encode to a value of their own and never
    raise. `fit` sees training rows only.
    """

    kind: ClassVar[str]
    tensor_kind: ClassVar[TensorKind]
    config_type: ClassVar[type[FeatureConfig]]
    settings: ClassVar[str] = ""  # of which kind it has the settings, where not of its own

    name: str
    columns: tuple[str, ...]

    @classmethod
    @abstractmethod
    def match(cls, profile: ColumnProfile) -> float:
        """Return how surely (0 to 1) the column is of this kind; the surest kind wins, earlier in FEATURES on a tie."""

    @classmethod
    @abstractmethod
    def fit(cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: Any, context: FitContext) -> Self:
        """Learn the feature from training rows."""

    @abstractmethod
    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Encode the rows of a frame that has the feature's columns; never raises for a bad cell."""

    def suited(self, frame: pl.DataFrame) -> Self:
        """Return the feature as it reads the cells of one table: what a table writes in its own way is found in all its
        rows, before they are encoded in chunks. Twice is as once."""
        return self

    def remarks(self, frame: pl.DataFrame) -> list[Sentence]:
        """Return what is unusual in the cells of a table, beside those of training, a sentence each."""
        return []

    def prepare(self, stored: Tensor | Ragged) -> Tensor | Ragged:
        """Turn stored rows into what the network takes (uint8 pixels into floats, say)."""
        return stored

    @abstractmethod
    def spec(self) -> InputSpec:
        """Return what the network must know of this input."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return the fitted state as JSON values; `from_state(state(), files())` encodes alike."""

    def files(self) -> dict[str, bytes]:
        """Return large parts of the state by file name (`tokenizer.json`)."""
        return {}

    @classmethod
    def from_state(cls, state: dict[str, Any], files: dict[str, bytes]) -> Self:
        """Rebuild a fitted feature. Raises ValueError where a part is not of the type that its field declares, or the
        parts contradict each other."""
        feature = cls(**arguments(cls, state))
        if not feature.columns:
            raise ValueError("columns: none")
        feature.check_state()
        return feature

    def check_state(self) -> None:  # noqa: B027 - of most kinds there is nothing more to check
        """Raise ValueError where the parts of the state contradict each other."""

    def describe(self) -> Sentence:
        """Return a few words on what was fitted, for the printed schema ('18 categories, 2 % missing')."""
        return Sentence()
