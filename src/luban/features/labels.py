"""Columns with several labels a cell: DENSE, one component a label."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import Field

from luban.core.sentence import Sentence, sentence
from luban.core.settings import MOST_ROWS, WIDEST
from luban.core.strict import NotNegative
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.category import frequent
from luban.features.cells import share, strings
from luban.features.learned import clauses

SEPARATORS = (";", "|", "；", "、", ",", "，")  # the surest first
MISSING, UNSEEN, NUM_RESERVED = 0, 1, 2

SEPARATED_SHARE = 0.1  # of the cells must hold a separator
MAX_VOCABULARY = 500
MEAN_USES = 3.0  # of a label; prose cut at its commas hardly repeats
LABEL_CHARACTERS = 40


class LabelsConfig(FeatureConfig):
    """max_labels: the most frequent ones get a component each. min_count: rarer ones share the one of unseen labels."""

    max_labels: int = Field(default=1_000, ge=1, le=WIDEST)
    min_count: int = Field(default=2, ge=1, le=MOST_ROWS)


def find_separator(series: pl.Series) -> str | None:
    """Return what separates the labels in most cells, or None where no cell has several."""
    if series.dtype != pl.String:
        return None
    counts = {separator: int(series.str.contains(separator, literal=True).sum()) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: counts[separator])  # the first of equals
    return best if counts[best] else None


def split_labels(series: pl.Series, separator: str | None = None) -> pl.Series:
    """Return List(String): the labels of each cell, stripped, each once, in the order written; missing cells are null.

    separator: None finds it with `find_separator`; a fitted feature or task passes its own, or an empty string where a
    cell is one label. Lists are taken as they are.
    """
    if isinstance(series.dtype, (pl.List, pl.Array)):
        lists = series.cast(pl.List(pl.String))
    else:
        cells = strings(series)
        if separator is None:
            separator = find_separator(cells)
        lists = cells.str.split(separator) if separator else cells.reshape((len(cells), 1)).arr.to_list()
    cleaned = lists.to_frame().select(
        pl.col(lists.name).list.eval(
            pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != "").unique(maintain_order=True)
        )
    )
    labels = cleaned.to_series()
    return labels.set(labels.list.len() == 0, None) if len(labels) else labels


@dataclass(frozen=True, eq=False)
class LabelsFeature(Feature):
    """labels: label i has component 2 + i; component 0 marks a missing cell, 1 an unseen or rare label."""

    kind: ClassVar[str] = "labels"
    tensor_kind: ClassVar[TensorKind] = TensorKind.DENSE
    config_type: ClassVar[type[FeatureConfig]] = LabelsConfig

    name: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    separator: str
    labels_a_row: NotNegative

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        dtype = profile.sample.dtype
        if isinstance(dtype, (pl.List, pl.Array)):
            return 1.0 if dtype.inner == pl.String or dtype.inner.is_integer() else 0.0
        separator = find_separator(profile.sample)
        if separator is None:
            return 0.0
        if share(profile.sample.str.contains(separator, literal=True)) < SEPARATED_SHARE:
            return 0.0
        parts = split_labels(profile.sample, separator).explode().drop_nulls()
        vocabulary = parts.unique()
        if vocabulary.cast(pl.Float64, strict=False).is_not_null().all():
            return 0.0  # '1,234' is a number and '48.1,11.5' a place
        repeats = len(vocabulary) <= MAX_VOCABULARY and len(parts) >= MEAN_USES * len(vocabulary)
        combines = len(vocabulary) <= profile.sample.n_unique()  # 'Korea, Republic of' does not
        short = share(vocabulary.str.len_chars() <= LABEL_CHARACTERS) == 1.0
        return 0.85 if repeats and combines and short else 0.0

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: LabelsConfig, context: FitContext
    ) -> Self:
        series = frame[columns[0]]
        separator = find_separator(series) or ""
        lists = split_labels(series, separator)
        parts = lists.explode().drop_nulls()
        return cls(
            name=name,
            columns=columns,
            labels=frequent(parts, config.max_labels, config.min_count),
            separator=separator,
            labels_a_row=len(parts) / max(len(series) - lists.null_count(), 1),
        )

    def _multi_hot(self, frame: pl.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        lists = split_labels(frame[self.columns[0]], self.separator)
        values = np.zeros((len(lists), NUM_RESERVED + len(self.labels)), np.float32)
        values[:, MISSING] = lists.is_null().to_numpy()
        components = range(NUM_RESERVED, NUM_RESERVED + len(self.labels))
        pairs = pl.DataFrame({"row": np.arange(len(lists)), "label": lists}).explode("label").drop_nulls()
        found = pairs["label"].replace_strict(
            list(self.labels), list(components), default=UNSEEN, return_dtype=pl.Int64
        )
        values[pairs["row"].to_numpy(), found.to_numpy()] = 1.0
        return values

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        return Encoded(EncodedColumn(self.tensor_kind, self._multi_hot(frame)))

    def num_unseen(self, frame: pl.DataFrame) -> int:
        """Return how many cells hold a label without a component of its own."""
        return int(self._multi_hot(frame)[:, UNSEEN].sum())

    def spec(self) -> InputSpec:
        return InputSpec(self.name, self.tensor_kind, NUM_RESERVED + len(self.labels))

    def state(self) -> dict[str, Any]:
        return asdict(self) | {"columns": list(self.columns), "labels": list(self.labels)}

    def check_state(self) -> None:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: a label stands twice")

    def describe(self) -> Sentence:
        return clauses(
            [
                sentence(
                    "learned.labels", "{count} labels, {mean:.1f} a row", count=len(self.labels), mean=self.labels_a_row
                ),
                sentence("learned.separated", "separated by '{separator}'", separator=self.separator)
                if self.separator
                else None,
            ]
        )
