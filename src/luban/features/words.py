"""Columns of texts whose words are answered one by one: TOKENS, each word in one or more pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from torch import Tensor

from luban.core.sentence import Sentence
from luban.core.tensors import EncodedColumn, InputSpec, Ragged, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.parsing.words import words_of
from luban.features.text.feature import TextConfig, TextFeature

INSIDE = -1  # the mark of a piece that begins no word
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WordsFeature(Feature):
    """A text column whose pieces know which word they begin. text: the feature that its tokenizer comes from."""

    kind: ClassVar[str] = "words"
    tensor_kind: ClassVar[TensorKind] = TensorKind.TOKENS
    config_type: ClassVar[type[FeatureConfig]] = TextConfig
    settings: ClassVar[str] = "text"

    name: str
    columns: tuple[str, ...]
    text: TextFeature

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        return 0.0  # a task that answers words asks for it

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: TextConfig, context: FitContext
    ) -> Self:
        spaced = frame.select(words_of(frame[columns[0]]).list.join(" ").alias(columns[0]))
        text = TextFeature.fit(name, columns, spaced, config, context)
        feature = cls(name, columns, text)
        lengths = feature._lengths(frame)
        return replace(
            feature,
            text=replace(
                text,
                mean_length=float(lengths.mean()) if len(lengths) else 0.0,
                cut_share=float((lengths > text.max_length).mean()) if len(lengths) else 0.0,
            ),
        )

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Make (N, 2) int32: the id of each piece, and the place of the word that it begins, or INSIDE.

        A row longer than max_length is cut before the first word that does not fit.
        """
        words = words_of(frame[self.columns[0]])
        before, after, pieces, starts = self._pieces(words)
        counts = words.list.len().fill_null(0).to_numpy().astype(np.int64)
        rows, offsets = list[npt.NDArray[np.int32]](), [0]
        room = self.text.max_length - len(before) - len(after)
        ends = np.concatenate([[0], np.cumsum(counts)])
        for row in range(len(words)):
            first, last = ends[row], ends[row + 1]
            lengths = np.cumsum(np.diff(starts[first : last + 1]))
            kept = int(np.searchsorted(lengths, room, side="right"))
            ids = pieces[starts[first] : starts[first + kept]]
            marks = np.full(len(ids), INSIDE, np.int32)
            marks[starts[first : first + kept] - starts[first]] = np.arange(kept)
            outer = [np.stack([side, np.full(len(side), INSIDE, np.int32)], axis=1) for side in (before, after)]
            rows.append(np.concatenate([outer[0], np.stack([ids, marks], axis=1), outer[1]]))
            offsets.append(offsets[-1] + len(rows[-1]))
        values = np.concatenate(rows) if rows else np.zeros((0, 2), np.int32)
        return Encoded(EncodedColumn(self.tensor_kind, values.astype(np.int32), np.array(offsets, np.int64)))

    def _pieces(self, words: pl.Series) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Any, Ints]:
        """Return what stands before and behind each row, the pieces of all words one after the other, and where each
        word's begin, with the end of the last."""
        tokenizer = self.text.encoder.tokenizer
        unknown = tokenizer.token_to_id("[UNK]")
        unknown = tokenizer.token_to_id("<unk>") if unknown is None else unknown
        template = tokenizer.encode("a").ids
        inner = tokenizer.encode("a", add_special_tokens=False).ids
        at = next(i for i in range(len(template) + 1) if template[i : i + len(inner)] == inner)
        before, after = np.array(template[:at], np.int32), np.array(template[at + len(inner) :], np.int32)
        flat = words.explode().drop_nulls() if len(words) else pl.Series([], dtype=pl.String)
        unique = flat.unique(maintain_order=True)
        encoded = tokenizer.encode_batch_fast(unique.to_list(), add_special_tokens=False)
        control = set(self.text.encoder.control_ids.tolist())
        ids = [[i for i in each.ids if i not in control] or [unknown or 0] for each in encoded]
        numbers = dict(zip(unique.to_list(), range(len(unique)), strict=True))
        order = np.array([numbers[word] for word in flat.to_list()], np.int64)
        sizes = np.array([len(each) for each in ids], np.int64)
        firsts = np.concatenate([[0], np.cumsum(sizes)])
        packed = np.array([i for each in ids for i in each], np.int32)
        starts = np.concatenate([[0], np.cumsum(sizes[order])]).astype(np.int64)
        places = np.arange(starts[-1]) + np.repeat(firsts[order] - starts[:-1], sizes[order])
        return before, after, packed[places] if len(places) else np.zeros(0, np.int32), starts

    def _lengths(self, frame: pl.DataFrame) -> Ints:
        words = words_of(frame[self.columns[0]])
        before, after, _, starts = self._pieces(words)
        counts = words.list.len().fill_null(0).to_numpy().astype(np.int64)
        found: Ints = np.diff(starts[np.concatenate([[0], np.cumsum(counts)])]) + len(before) + len(after)
        return found

    def prepare(self, stored: Tensor | Ragged) -> Ragged:
        assert isinstance(stored, Ragged)
        return Ragged(stored.values[:, 0], stored.offsets, stored.values[:, 1])

    def spec(self) -> InputSpec:
        return replace(self.text.spec(), name=self.name)

    def state(self) -> dict[str, Any]:
        return self.text.state()

    def files(self) -> dict[str, bytes]:
        return {f"{self.kind}_{name}": content for name, content in self.text.files().items()}

    @classmethod
    def from_state(cls, state: dict[str, Any], files: dict[str, bytes]) -> Self:
        own = f"{cls.kind}_"  # beside the tokenizer of a table's texts
        text = TextFeature.from_state(
            state, {name.removeprefix(own): each for name, each in files.items() if name.startswith(own)}
        )
        return cls(text.name, text.columns, text)

    def describe(self) -> Sentence:
        return self.text.describe()
