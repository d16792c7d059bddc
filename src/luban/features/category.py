"""Columns of categories: IDS, one id for each value that training saw often enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import polars as pl
from pydantic import Field

from luban.core.sentence import Sentence, sentence
from luban.core.settings import MOST_ROWS
from luban.core.strict import Count, Share
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.cells import strings
from luban.features.identifier import is_identifier_name, is_nearly_unique, is_whole
from luban.features.learned import clauses, lacking, missing
from luban.features.number import NumberFeature, parse_numbers
from luban.features.text.prose import Prose

MOST_CATEGORIES = 10_000_000
MISSING, UNSEEN, NUM_RESERVED = 0, 1, 2


class CategoryConfig(FeatureConfig):
    """max_categories: the most frequent ones get an id each. min_count: rarer values share the id of unseen ones.
    unknown_share: of the cells, that each training step takes for missing, and as many for unseen, where the training
    rows have fewer of these: so the model learns what to say of them."""

    max_categories: int = Field(default=10_000, ge=1, le=MOST_CATEGORIES)
    min_count: int = Field(default=2, ge=1, le=MOST_ROWS)
    unknown_share: float = Field(default=0.01, ge=0, le=0.25)


def frequent(cells: pl.Series, limit: int, min_count: int) -> tuple[str, ...]:
    """Return the values that occur at least min_count times, by descending frequency and then by name."""
    counts = cells.drop_nulls().alias("value").value_counts(name="count")
    counts = counts.filter(pl.col("count") >= min_count).sort(["count", "value"], descending=[True, False])
    return tuple(counts["value"].head(limit).to_list())


@dataclass(frozen=True, eq=False)
class CategoryFeature(Feature):
    """values: value i has id 2 + i; 0 is missing, 1 unseen or rare. unknown: as in `InputSpec`."""

    kind: ClassVar[str] = "category"
    tensor_kind: ClassVar[TensorKind] = TensorKind.IDS
    config_type: ClassVar[type[FeatureConfig]] = CategoryConfig

    name: str
    columns: tuple[str, ...]
    values: tuple[str, ...]
    num_distinct: Count
    num_rows: Count
    num_missing: Count
    unknown: tuple[Share, Share] = (0.0, 0.0)

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        dtype = profile.sample.dtype
        if dtype == pl.Boolean or isinstance(dtype, (pl.Categorical, pl.Enum)):
            return 1.0
        num_cells = profile.num_rows - profile.num_missing
        is_named = is_identifier_name(profile.name)
        if is_whole(profile.sample) or (is_named and _are_whole_numbers(profile)):
            return 0.92 if is_named and not is_nearly_unique(profile) else 0.0
        if dtype != pl.String or not num_cells:
            return 0.0
        distinct = profile.num_unique / num_cells
        prose = Prose.of(profile.sample)
        if distinct <= 0.2 or (distinct <= 0.5 and profile.num_unique <= 20):
            return 0.4 if prose.is_sentence and profile.num_unique > 200 else 0.8
        if distinct <= 0.5:
            return 0.3 if prose.is_phrase else 0.6
        return 0.2 if prose.has_spaces or prose.is_phrase else 0.5

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: CategoryConfig, context: FitContext
    ) -> Self:
        cells = strings(frame[columns[0]])
        values = frequent(cells, config.max_categories, config.min_count)
        num_missing, num_rare = cells.null_count(), int((~cells.drop_nulls().is_in(list(values))).sum())
        shares = [max(0.0, config.unknown_share - count / max(len(cells), 1)) for count in (num_missing, num_rare)]
        return cls(
            name=name,
            columns=columns,
            values=values,
            num_distinct=cells.drop_nulls().n_unique(),
            num_rows=len(cells),
            num_missing=num_missing,
            unknown=(shares[0], shares[1]),
        )

    def _ids(self, frame: pl.DataFrame) -> pl.Series:
        cells = strings(frame[self.columns[0]])
        ids = range(NUM_RESERVED, NUM_RESERVED + len(self.values))
        known = cells.replace_strict(list(self.values), list(ids), default=UNSEEN, return_dtype=pl.Int32)
        return known.set(cells.is_null(), MISSING)

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        return Encoded(EncodedColumn(self.tensor_kind, self._ids(frame).to_numpy(writable=True)))

    def num_unseen(self, frame: pl.DataFrame) -> int:
        """Return how many cells hold a value without an id of its own."""
        return int((self._ids(frame) == UNSEEN).sum())

    def remarks(self, frame: pl.DataFrame) -> list[Sentence]:
        cells = frame[self.columns[0]]
        return lacking(
            self.columns[0], strings(cells).null_count(), len(cells), self.num_missing / max(self.num_rows, 1)
        )

    def spec(self) -> InputSpec:
        return InputSpec(self.name, self.tensor_kind, NUM_RESERVED + len(self.values), unknown=self.unknown)

    def state(self) -> dict[str, Any]:
        lists = {name: list(getattr(self, name)) for name in ("columns", "values", "unknown")}
        return asdict(self) | lists

    def check_state(self) -> None:
        if len(set(self.values)) < len(self.values):
            raise ValueError("values: a value stands twice")

    def describe(self) -> Sentence:
        count = len(self.values)
        rare = self.num_distinct - count
        return clauses(
            [
                sentence("learned.category", "1 category")
                if count == 1
                else sentence("learned.categories", "{count} categories", count=count),
                sentence("learned.rare", "{rare:count rare one} in one group", rare=rare) if rare else None,
                missing(self.num_missing, self.num_rows),
            ]
        )


def _are_whole_numbers(profile: ColumnProfile) -> bool:
    """Tell whether strings are whole numbers, as the ids of a CSV file are."""
    if profile.sample.dtype != pl.String or not NumberFeature.match(profile):
        return False
    numbers, is_other = parse_numbers(profile.sample)
    return is_whole(pl.Series(numbers[~is_other]))
