"""One input of one row as explanations see it: parts that can be deleted, and a straight path to a neutral input.

Shapes: S variants of the row · K parts of the input · T tokens or frames · D width · C channels · H, W height and width
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
from torch import Tensor

from luban.core.sentence import sentence
from luban.core.tensors import Ragged
from luban.features.base import Feature
from luban.features.sequence import Series
from luban.models.base import Encoder

Inputs = dict[str, Tensor | Ragged]
MISSING_CELL = sentence("explanation.missing", "(missing)")


@dataclass(frozen=True)
class Part:
    """What an explanation gives a weight to. column: that it is in. form: a word of a text (`text`), a place in an
    image, a sound or a sequence (`bin`), or a cell (`value`). label: how it reads, a Sentence where that is no text of
    the data. gap: what its text has before it. words: how many it is put together from."""

    column: str
    form: Literal["text", "bin", "value"]
    label: str
    gap: str = " "
    words: int = 1


@dataclass(frozen=True)
class Pictures:
    """PNG files. heat: red where it speaks for the prediction and blue where against, clear where it does not matter;
    to be laid on picture."""

    heat: bytes
    picture: bytes


@dataclass(frozen=True)
class View:
    """kind: of the column. point, baseline: (1, ...) float, this row and the neutral input. groups: (1, ...) int64,
    like point or broadcast to it: the part that each number belongs to, -1 for none.

    lift: (S, ...) numbers like point -> what the network takes for them. masked: (S, K) bool, false where a part is
    deleted -> the same. draw: (1, ...) weights like point -> pictures, of what can be seen. series: the row's numbers,
    of what is drawn as lines, its spans the parts.
    """

    kind: str
    parts: tuple[Part, ...]
    point: Tensor
    baseline: Tensor
    groups: Tensor
    lift: Callable[[Tensor], Inputs]
    masked: Callable[[Tensor], Inputs]
    draw: Callable[[Tensor], Pictures] | None = None
    series: Series | None = None


@dataclass(frozen=True)
class RowInput:
    """What a view is made of. cells: one row with the feature's columns. stored: the row's encoded input.
    value: the same, as the network takes it, on its device."""

    feature: Any
    encoder: Encoder
    cells: pl.DataFrame
    stored: Tensor | Ragged
    value: Tensor | Ragged

    @property
    def name(self) -> str:
        feature: Feature = self.feature
        return feature.name


def mixed(point: Tensor, baseline: Tensor, groups: Tensor, keep: Tensor) -> Tensor:
    """Return (S, ...): point, with the baseline in place of the parts that `keep` (S, K) does not keep."""
    kept = keep[:, groups[0].clamp(min=0)] | (groups < 0)
    return point.where(kept, baseline)
