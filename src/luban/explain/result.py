"""What an explanation says; JSON as reports read it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from luban.core.sentence import with_parts
from luban.explain.check import Check
from luban.explain.edit import Edit
from luban.explain.importance import Importance
from luban.explain.nearest import Neighbour
from luban.explain.view import Part, Pictures
from luban.features.sequence import Series

SEGMENTS_NOTE = (
    " It is of {segments} segments of the text, which its {words} words were put together into: {samples} deletions, "
    "which are as many as are tried of so long a text, tell no more parts apart."
)
ATTENTION_NOTE = "where the model looks, which is not why it answers"


@dataclass(frozen=True)
class Weighted:
    part: Part
    weight: float

    def to_json(self) -> dict[str, Any]:
        return with_parts({self.part.form: self.part.label, "weight": self.weight})


@dataclass(frozen=True)
class ColumnExplanation:
    """One column's share. attention: of words, the share of the attention that each gets; it adds up to 1 at most.
    series: the numbers of a sequence, its spans the parts."""

    column: str
    kind: str
    parts: tuple[Weighted, ...]
    pictures: Pictures | None = None
    attention: tuple[Weighted, ...] | None = None
    series: Series | None = None

    def to_json(self) -> dict[str, Any]:
        image = None
        if self.pictures is not None:
            image = {"heat": _data_uri(self.pictures.heat), "picture": _data_uri(self.pictures.picture)}
        attention = None
        if self.attention is not None:
            attention = {"note": ATTENTION_NOTE, "parts": [part.to_json() for part in self.attention]}
        parts = [part.to_json() for part in self.parts]
        found = {"column": self.column, "kind": self.kind, "parts": parts, "image": image, "attention": attention}
        return found if self.series is None else {**found, "series": self.series.to_json()}


@dataclass(frozen=True)
class Sampling:
    """samples: deletions that the weights are of. words: of the texts. segments: parts of the texts that have a
    weight, fewer than words where neighbouring words were put together."""

    samples: int
    words: int
    segments: int

    def to_json(self) -> dict[str, int]:
        return {"samples": self.samples, "words": self.words, "segments": self.segments}

    @property
    def sentence(self) -> str:
        """What there is to know of them, in plain words; empty where each word has its own weight."""
        if self.segments == self.words:
            return ""
        return SEGMENTS_NOTE.format(segments=self.segments, words=self.words, samples=self.samples)


@dataclass(frozen=True)
class RowExplanation:
    """row: its number in the source. actual: what the table says, None where it has no target. unit: of the weights.
    sentence: all in plain words, the check's verdict included. edit: the smallest one found that changes the answer.
    nearest: rows of the training source with like vectors. sampling: of methods that draw."""

    row: int
    predicted: str
    actual: str | None
    probability: float | None
    method: str
    unit: str
    columns: tuple[ColumnExplanation, ...]
    check: Check
    sentence: str
    edit: Edit | None = None
    nearest: tuple[Neighbour, ...] = ()
    sampling: Sampling | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "predicted": self.predicted,
            "actual": self.actual,
            "probability": self.probability,
            "method": self.method,
            "unit": self.unit,
            "sentence": self.sentence,
            "inputs": [column.to_json() for column in self.columns],
            "sampling": None if self.sampling is None else self.sampling.to_json(),
            "check": self.check.to_json(),
            "edit": None if self.edit is None else self.edit.to_json(),
            "nearest": [neighbour.to_json() for neighbour in self.nearest],
        }


@dataclass(frozen=True)
class Explanations:
    """importance: empty where the rows have no targets. metric: that it is measured by."""

    importance: tuple[Importance, ...]
    metric: str
    rows: tuple[RowExplanation, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "importance": [item.to_json() for item in self.importance],
            "metric": self.metric,
            "rows": [row.to_json() for row in self.rows],
        }


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
