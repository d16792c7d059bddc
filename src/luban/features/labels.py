"""Columns with several labels a cell: DENSE, one component a label."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import Field

from luban.core.sentence import Sentence, sentence
from luban.core.settings import MOST_ROWS, WIDEST
from luban.core.strict import Count, NotNegative
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.category import MISSING, NUM_RESERVED, UNSEEN, frequent
from luban.features.cells import quoted, share, strings
from luban.features.learned import clauses, lacking, missing
from luban.features.parsing import lists
from luban.features.parsing.lists import LABEL_CHARACTERS, SEPARATED_SHARE
from luban.features.parsing.spellings import known, respelled

MAX_VOCABULARY, MAX_LISTED = 500, 5_000  # labels that are joined by a separator, and those of written lists
MEAN_USES, MEAN_LISTED = 3.0, 2.0  # of a label; prose cut at its commas hardly repeats


class LabelsConfig(FeatureConfig):
    """max_labels: the most frequent ones get a component each. min_count: rarer ones share the one of unseen labels."""

    max_labels: int = Field(default=1_000, ge=1, le=WIDEST)
    min_count: int = Field(default=2, ge=1, le=MOST_ROWS)


@dataclass(frozen=True, eq=False)
class LabelsFeature(Feature):
    """labels: label i has component 2 + i; component 0 marks a missing cell, 1 an unseen or rare label, each where
    training had some: the weights of a component that was always zero are as they were drawn. separator, positions: as
    in `lists.Writing`. num_missing, num_rare: cells of training; None where a run is too old to know."""

    kind: ClassVar[str] = "labels"
    tensor_kind: ClassVar[TensorKind] = TensorKind.DENSE
    config_type: ClassVar[type[FeatureConfig]] = LabelsConfig

    name: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    separator: str
    labels_a_row: NotNegative
    positions: Count = 0
    num_rows: Count = 0
    num_missing: Count | None = None
    num_rare: Count | None = None

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        dtype = profile.sample.dtype
        if isinstance(dtype, (pl.List, pl.Array)):
            return 1.0 if dtype.inner == pl.String or dtype.inner.is_integer() else 0.0
        sample = profile.sample
        writing = lists.find_writing(sample)
        if writing is None:
            return 0.0
        if writing.positions:
            return 0.95
        is_listed = not writing.separator
        if not is_listed and share(sample.str.contains(writing.separator, literal=True)) < SEPARATED_SHARE:
            return 0.0
        parts = lists.split(sample, writing).explode().drop_nulls()
        vocabulary = parts.unique()
        numbers = vocabulary.cast(pl.Float64, strict=False)
        if numbers.is_not_null().all() and not (is_listed and (numbers == numbers.floor()).all()):
            return 0.0  # '1,234' is a number, '48.1,11.5' a place and '[0.1, 0.2]' a vector
        most, uses = (MAX_LISTED, MEAN_LISTED) if is_listed else (MAX_VOCABULARY, MEAN_USES)
        repeats = len(vocabulary) <= most and len(parts) >= uses * len(vocabulary)
        combines = is_listed or len(vocabulary) <= sample.n_unique()  # 'Korea, Republic of' does not
        short = share(vocabulary.str.len_chars() <= LABEL_CHARACTERS) == 1.0
        return (0.93 if is_listed else 0.85) if repeats and combines and short and len(parts) else 0.0

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: LabelsConfig, context: FitContext
    ) -> Self:
        series = frame[columns[0]]
        writing = lists.find_writing(series, is_told=True) or lists.Writing()
        found = lists.split(series, writing)
        parts = found.explode().drop_nulls()
        labels = frequent(parts, config.max_labels, config.min_count)
        return cls(
            name=name,
            columns=columns,
            labels=labels,
            separator=writing.separator,
            labels_a_row=len(parts) / max(len(series) - found.null_count(), 1),
            positions=writing.positions,
            num_rows=len(series),
            num_missing=found.null_count(),
            num_rare=int((~parts.is_in(list(labels))).sum()),
        )

    @property
    def writing(self) -> lists.Writing:
        return lists.Writing(self.separator, self.positions)

    def suited(self, frame: pl.DataFrame) -> Self:
        writing = lists.suited(frame[self.columns[0]], self.writing, self.labels)
        return replace(self, separator=writing.separator)

    def remarks(self, frame: pl.DataFrame) -> list[Sentence]:
        if self.num_missing is None:
            return []
        count = lists.split(frame[self.columns[0]], self.writing).null_count()
        return lacking(self.columns[0], count, len(frame), self.num_missing / max(self.num_rows, 1))

    def _multi_hot(self, frame: pl.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        found = lists.split(frame[self.columns[0]], self.writing)
        values = np.zeros((len(found), NUM_RESERVED + len(self.labels)), np.float32)
        values[:, MISSING] = found.is_null().to_numpy()
        if self.num_missing is None:  # there, an empty list was a missing cell
            values[:, MISSING] = (found.list.len().fill_null(0) == 0).to_numpy()
        components = range(NUM_RESERVED, NUM_RESERVED + len(self.labels))
        pairs = pl.DataFrame({"row": np.arange(len(found)), "label": found}).explode("label").drop_nulls()
        names = respelled(pairs["label"], known(pairs["label"], self.labels))
        ids = names.replace_strict(list(self.labels), list(components), default=UNSEEN, return_dtype=pl.Int64)
        values[pairs["row"].to_numpy(), ids.to_numpy()] = 1.0
        return values

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        values = self._multi_hot(frame)
        for component, count in ((MISSING, self.num_missing), (UNSEEN, self.num_rare)):
            if count == 0:
                values[:, component] = 0.0
        return Encoded(EncodedColumn(self.tensor_kind, values))

    def num_unseen(self, frame: pl.DataFrame) -> int:
        """Return how many cells hold a label without a component of its own."""
        return int(self.suited(frame)._multi_hot(frame)[:, UNSEEN].sum())

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
                sentence("learned.positions", "named by their places from 0") if self.positions else None,
                missing(self.num_missing or 0, max(self.num_rows, 1)),
            ]
        )


def doubt(profile: ColumnProfile, kind: str, setting: str) -> str:
    """Say so where cells of a column that is taken for another kind may hold several labels. setting: that takes them
    so."""
    sign = lists.suspected(profile.sample) if kind in ("category", "binary", "multiclass") else None
    if sign is None:
        return ""
    cells = strings(profile.sample)
    cell = cells.filter(cells.str.contains(sign, literal=True))[0]
    return sentence(
        "infer.several",
        "column '{column}': {cell} may be several labels, and is taken for one value as it stands. Set {setting} if it "
        "is several",
        column=profile.name,
        cell=quoted(cell),
        setting=setting,
    )
