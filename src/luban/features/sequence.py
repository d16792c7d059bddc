"""Columns of number sequences: FRAMES, one row of D numbers for each step of time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from luban.core.sentence import Sentence, sentence
from luban.core.strict import Positive, same_length
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext

MAX_STEPS = 100_000
SHOWN_STEPS, SHOWN_NUMBERS = 96, 4  # of a sequence, and of each of its steps: what a small chart can show


class SequenceConfig(FeatureConfig):
    """max_length: steps that are kept of a sequence, the last ones."""

    max_length: int = Field(default=1024, ge=1, le=MAX_STEPS)


def as_steps(cell: object, width: int | None) -> npt.NDArray[np.float32] | Sentence:
    """Return a cell `[1, 2, 3]` or `[[1, 2], [3, 4]]` as (T, D), or the reason why it is not one."""
    if not isinstance(cell, (list, tuple, np.ndarray, pl.Series)):
        kind = type(cell).__name__
        return sentence("sequence.no_list", "expected a list of numbers, found {kind}", kind=kind)
    try:
        steps = np.asarray(
            [list(s) if isinstance(s, (list, tuple, pl.Series)) else [s] for s in cell][-MAX_STEPS:], float
        )
    except (TypeError, ValueError):
        return _no_steps()
    if len(steps) and steps.ndim != 2:
        return _no_steps()
    if not len(steps):
        return np.zeros((0, width or 1), np.float32)
    if width is not None and steps.shape[1] != width:
        found = steps.shape[1]
        return sentence("sequence.width", "expected {width} numbers a step, found {found}", width=width, found=found)
    return steps.astype(np.float32)


def _no_steps() -> Sentence:
    return sentence("sequence.no_numbers", "expected a list of numbers, or of lists of numbers of one width")


@dataclass(frozen=True)
class Series:
    """A sequence as people look at it: T' of its steps, drawn evenly, and the first D' numbers of each.

    length, width: of all of it, T and D. steps, numbers: which are here, from 1. values: D' lists of T' numbers, None
    where one is not finite. spans: the first and last step of each of its parts, where it has any.
    """

    length: int
    width: int
    steps: tuple[int, ...]
    numbers: tuple[int, ...]
    values: tuple[tuple[float | None, ...], ...]
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, cell: object, last: int = MAX_STEPS, spans: tuple[tuple[int, int], ...] = ()) -> Self | None:
        """Return a cell's last steps; None of one that is missing, empty or no sequence of numbers."""
        found = None if cell is None else as_steps(cell, None)
        if found is None or isinstance(found, str) or not len(found):
            return None
        found = found[-last:]
        length, width = found.shape
        places = np.unique(np.linspace(0, length - 1, min(SHOWN_STEPS, length)).round().astype(int))
        kept = found[places, :SHOWN_NUMBERS].T
        values = tuple(tuple(float(f"{v:.6g}") if np.isfinite(v) else None for v in line) for line in kept)
        steps = tuple(int(place) + 1 for place in places)
        return cls(length, width, steps, tuple(range(1, len(kept) + 1)), values, spans)

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "length": self.length,
            "width": self.width,
            "steps": list(self.steps),
            "numbers": list(self.numbers),
        }
        found["values"] = [list(line) for line in self.values]
        return {**found, "spans": [list(span) for span in self.spans]} if self.spans else found


@dataclass(frozen=True, eq=False)
class SequenceFeature(Feature):
    """mean, std: (D,) over the steps of training."""

    kind: ClassVar[str] = "sequence"
    tensor_kind: ClassVar[TensorKind] = TensorKind.FRAMES
    config_type: ClassVar[type[FeatureConfig]] = SequenceConfig

    name: str
    columns: tuple[str, ...]
    mean: Annotated[tuple[float, ...], Field(min_length=1)]
    std: tuple[Positive, ...]
    max_length: Annotated[int, Field(ge=1, le=MAX_STEPS)]

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        dtype = profile.sample.dtype
        inner = dtype
        while isinstance(inner, (pl.List, pl.Array)):
            inner = inner.inner  # type: ignore[assignment]
        return 0.95 if dtype != inner and inner.is_numeric() else 0.0

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: SequenceConfig, context: FitContext
    ) -> Self:
        read = [as_steps(cell, None) for cell in frame[columns[0]].to_list() if cell is not None]
        rows = [steps for steps in read if not isinstance(steps, str) and len(steps)]
        widths = [steps.shape[1] for steps in rows]
        width = max(set(widths), key=widths.count, default=1)
        steps = np.concatenate([np.zeros((0, width)), *(row for row in rows if row.shape[1] == width)])
        finite = np.where(np.isfinite(steps), steps, np.nan)
        if not len(finite):
            finite = np.zeros((1, width))
        std = np.nanstd(finite, axis=0)
        return cls(
            name,
            columns,
            tuple(np.nan_to_num(np.nanmean(finite, axis=0)).tolist()),
            tuple(np.where(np.isfinite(std) & (std > 0), std, 1.0).tolist()),
            config.max_length,
        )

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        rows, bad = [], dict[int, str]()
        for position, cell in enumerate(frame[self.columns[0]].to_list()):
            steps = [] if cell is None else cell
            read = as_steps(steps, len(self.mean))
            if isinstance(read, str):
                bad[position] = read
                read = np.zeros((0, len(self.mean)), np.float32)
            rows.append(read[-self.max_length :])
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        values = np.concatenate([np.zeros((0, len(self.mean)), np.float32), *rows])
        scaled = (values - np.asarray(self.mean)) / np.asarray(self.std)
        scaled = np.where(np.isfinite(scaled), scaled, 0.0)  # a missing step is an average one
        return Encoded(EncodedColumn(self.tensor_kind, scaled.astype(np.float32), offsets), bad)

    def spec(self) -> InputSpec:
        return InputSpec(self.name, self.tensor_kind, len(self.mean), max_length=self.max_length)

    def state(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "columns": list(self.columns),
            "mean": list(self.mean),
            "std": list(self.std),
            "max_length": self.max_length,
        }

    def check_state(self) -> None:
        same_length(mean=self.mean, std=self.std)

    def describe(self) -> Sentence:
        return sentence("learned.sequence", "{count} numbers a step", count=len(self.mean))
