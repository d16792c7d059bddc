"""Columns of numbers: DENSE, the scaled value and, where training had missing cells, an indicator of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from luban.core.sentence import Sentence, sentence
from luban.core.strict import Count, NotNegative
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.cells import plain_numbers, quoted, share, strings
from luban.features.learned import clauses, lacking, missing
from luban.features.parsing.numbers import reads

Scaling = Literal["auto", "standard", "quantile", "none"]

PARSED_SHARE = 0.99  # of the cells must read as numbers for a column of strings to be one of numbers
LEADING_ZERO_SHARE = 0.01  # '02139' is a code: as a number it would lose its zero
HEAVY_TAIL_KURTOSIS = 10.0  # the normal distribution has 3, the exponential 9
HEAVY_TAIL_DISTINCT = 10  # fewer distinct values have no tail to speak of
NUM_QUANTILES = 256
QUANTILE_MARGIN = 1e-7  # a value past the ends of training lands 5.2 standard deviations out
VALUE_LIMIT = 1e4  # scaled values stay finite in every float type, whatever a cell holds


class NumberConfig(FeatureConfig):
    """scaling: `standard` is the z-score; `quantile` maps ranks to a normal distribution; `auto` takes `quantile` where
    the tail is heavy (kurtosis above 10) and `standard` elsewhere."""

    scaling: Scaling = "auto"


def parse_numbers(
    series: pl.Series, missing_values: frozenset[str] = frozenset()
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return (rows,) numbers, NaN where there is none, and (rows,) whether the cell is there but is not a number.

    Strings are read however the column writes its numbers; durations, and times of the day, are seconds.
    """
    dtype = series.dtype
    if isinstance(dtype, pl.Duration):
        series = series.dt.total_microseconds() / 1e6
    elif dtype == pl.Time:
        series = series.cast(pl.Int64) / 1e9
    elif not (dtype.is_numeric() or dtype == pl.Boolean):
        plain = plain_numbers(series)
        if plain is not None and not _codes(missing_values):
            return plain.to_numpy(), np.zeros(len(series), np.bool_)  # NaN where null
        cells = strings(series)
        found = reads(cells.set(cells.is_in(list(missing_values)), None))
        return found.values, found.is_other
    numbers = series.cast(pl.Float64).fill_null(math.nan).to_numpy()
    if codes := _codes(missing_values):
        numbers = np.where(np.isin(numbers, codes), math.nan, numbers)
    return numbers, np.zeros(len(series), np.bool_)


@lru_cache(maxsize=8)
def _codes(missing_values: frozenset[str]) -> tuple[float, ...]:
    """Return the numbers that mean 'missing'."""
    return tuple(pl.Series(list(missing_values), dtype=pl.String).cast(pl.Float64, strict=False).drop_nulls())


def _advice(cell: str) -> str:
    """Return what to do about a cell that is no number: what holds digits says something, and is not missing."""
    if any(letter.isdigit() for letter in cell):
        return "Write it like 1234.5"
    return "Add it to data.missing_values"


def _kurtosis(values: npt.NDArray[np.float64]) -> float:
    """Pearson's: 3 for the normal distribution."""
    if not len(values):
        return 0.0
    scaled = values / np.abs(values).max(initial=1e-300)
    deviations = scaled - scaled.mean()
    variance = float(np.mean(deviations**2))
    return float(np.mean(deviations**4)) / variance**2 if variance > 1e-150 else 0.0


@dataclass(frozen=True, eq=False)
class NumberFeature(Feature):
    """scaling: the one in use. quantiles: values at even ranks from 0 to 1. indicator: whether missing cells have a
    component of their own. num_rows, num_missing, num_not_finite: of training."""

    kind: ClassVar[str] = "number"
    tensor_kind: ClassVar[TensorKind] = TensorKind.DENSE
    config_type: ClassVar[type[FeatureConfig]] = NumberConfig

    name: str
    columns: tuple[str, ...]
    scaling: Scaling
    chosen: bool
    mean: float
    std: NotNegative
    quantiles: tuple[float, ...]
    indicator: bool
    missing_values: tuple[str, ...]
    num_rows: Count
    num_missing: Count
    num_not_finite: Count

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        dtype = profile.sample.dtype
        if dtype.is_numeric() or isinstance(dtype, pl.Duration) or dtype == pl.Time:
            return 0.9
        if dtype != pl.String or not len(profile.sample):
            return 0.0
        numbers, bad = parse_numbers(profile.sample)
        is_code = share(strings(profile.sample).str.contains(r"^[0０]\d+$")) >= LEADING_ZERO_SHARE
        return 0.9 if not is_code and bad.mean() <= 1 - PARSED_SHARE and np.isfinite(numbers).any() else 0.0

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: NumberConfig, context: FitContext
    ) -> Self:
        numbers, _ = parse_numbers(frame[columns[0]], context.missing_values)
        finite = numbers[np.isfinite(numbers)]
        scaling = config.scaling
        if scaling == "auto":
            tailed = _kurtosis(finite) > HEAVY_TAIL_KURTOSIS and len(np.unique(finite)) > HEAVY_TAIL_DISTINCT
            scaling = "quantile" if tailed else "standard"
        if scaling == "quantile" and not len(finite):
            scaling = "standard"
        largest = float(np.abs(finite).max(initial=0.0)) or 1.0
        shrunk = finite / largest  # the squares of huge values stay finite
        varies = len(finite) > 0 and shrunk.min() < shrunk.max()
        ranks = np.linspace(0, 1, NUM_QUANTILES)
        return cls(
            name=name,
            columns=columns,
            scaling=scaling,
            chosen=config.scaling == "auto",
            mean=float(shrunk.mean() * largest) if len(finite) else 0.0,
            std=float(shrunk.std() * largest) if varies else 0.0,
            quantiles=tuple((np.quantile(shrunk, ranks) * largest).tolist()) if scaling == "quantile" else (),
            indicator=len(finite) < len(numbers),
            missing_values=tuple(sorted(context.missing_values)),
            num_rows=len(numbers),
            num_missing=len(numbers) - len(finite),
            num_not_finite=int(np.isinf(numbers).sum()),
        )

    def _scale(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if self.scaling == "none":
            return numbers
        if self.scaling == "standard":
            with np.errstate(over="ignore"):
                return np.clip((numbers - self.mean) / (self.std or 1.0), -VALUE_LIMIT, VALUE_LIMIT)
        ranks = np.linspace(0, 1, len(self.quantiles))
        largest = float(np.abs(self.quantiles).max()) or 1.0
        knots = np.asarray(self.quantiles) / largest
        with np.errstate(over="ignore"):
            numbers = numbers / largest
        # A repeated value takes the middle of its ranks, as in scikit-learn's QuantileTransformer, but so at the ends,
        # too: most cells of a column may be zero.
        first = np.interp(numbers, knots, ranks)
        last = -np.interp(-numbers, -knots[::-1], -ranks[::-1])
        middle = np.clip((first + last) / 2, QUANTILE_MARGIN, 1 - QUANTILE_MARGIN)
        scores: npt.NDArray[np.float64] = torch.special.ndtri(torch.from_numpy(middle)).numpy()
        return scores

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        series = frame[self.columns[0]]
        numbers, bad = parse_numbers(series, frozenset(self.missing_values))
        missing = ~np.isfinite(numbers)
        scaled = self._scale(np.where(missing, self.mean, numbers))
        if self.indicator:
            scaled = np.where(missing, 0.0, scaled)
        limit = float(np.finfo(np.float32).max)
        parts = [np.clip(scaled, -limit, limit), missing] if self.indicator else [np.clip(scaled, -limit, limit)]
        return Encoded(
            EncodedColumn(self.tensor_kind, np.stack(parts, axis=1).astype(np.float32)),
            {
                int(row): f"expected a number, found {quoted(series[int(row)])}. {_advice(str(series[int(row)]))}"
                for row in np.flatnonzero(bad)
            },
        )

    def remarks(self, frame: pl.DataFrame) -> list[Sentence]:
        cells = strings(frame[self.columns[0]])
        count = cells.null_count() + int(cells.is_in(list(self.missing_values)).sum())
        return lacking(self.columns[0], count, len(cells), self.num_missing / max(self.num_rows, 1))

    def spec(self) -> InputSpec:
        return InputSpec(self.name, self.tensor_kind, 1 + self.indicator)

    def state(self) -> dict[str, Any]:
        lists = {key: list(getattr(self, key)) for key in ("columns", "quantiles", "missing_values")}
        return asdict(self) | lists

    def check_state(self) -> None:
        if self.scaling == "quantile" and len(self.quantiles) != NUM_QUANTILES:
            raise ValueError(f"quantiles: expected {NUM_QUANTILES}, found {len(self.quantiles)}")
        if any(one > other for one, other in pairwise(self.quantiles)):
            raise ValueError("quantiles: not in ascending order")

    def describe(self) -> Sentence:
        how = {
            "standard": sentence("learned.standard", "z-score"),
            "quantile": sentence("learned.quantile", "quantiles to a normal distribution"),
            "none": sentence("learned.unscaled", "not scaled"),
        }
        is_chosen = self.scaling == "quantile" and self.chosen
        infinite = self.num_not_finite
        return clauses(
            [
                sentence("learned.moments", "mean {mean:.4g}, std {std:.4g}", mean=self.mean, std=self.std),
                how[self.scaling],
                sentence("learned.heavy", "heavy-tailed") if is_chosen else None,
                missing(self.num_missing, self.num_rows),
                sentence("learned.infinite", "{count} infinite taken as missing", count=infinite) if infinite else None,
            ]
        )
