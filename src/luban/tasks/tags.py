"""A label for each word of a row: parts of speech, names, whatever spans of words are called."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError, DataError, listed
from luban.core.sentence import Sentence, sentence
from luban.core.settings import Settings
from luban.core.strict import Count, same_length
from luban.core.tensors import Batch, Columns, EncodedColumn, OutputKind, OutputSpec, Ragged, TensorKind
from luban.features.base import ColumnProfile
from luban.features.dataset import Dataset
from luban.features.parsing.words import is_listed, places_of, words_of
from luban.features.words import WordsFeature
from luban.tasks.base import Array, Floats, LossOfLabels, Metric, Task
from luban.tasks.spans import OUTSIDE, are_spans, orphan, spans_of, tags_of
from luban.tasks.tag_metrics import metrics_of
from luban.tasks.targets import MISSING, UnseenLabel, label_weights, no_targets, require_repeated

TAGS_IN_SOME_ROW = "tags in some row"


class Tags(Task):
    """A tag a word, by softmax and cross-entropy on the first piece of each word.

    labels: sorted. counts: words of the training rows with each. words: the column and input that the tags are of.
    lenient: whether spans may begin with an I-, as in IOB1.
    """

    name: ClassVar[str] = "tags"
    answer: ClassVar[AnswerKind] = AnswerKind.TAGS
    has_logits: ClassVar[bool] = False
    config_type: ClassVar[type[Settings]] = LossOfLabels
    settings: LossOfLabels = LossOfLabels()
    metrics: tuple[Metric, ...] = metrics_of((), spans=True)  # of a fitted task those that its tags have

    def __init__(
        self,
        target: str,
        labels: Annotated[list[str], Field(min_length=2)],
        counts: list[Count],
        words: str = "",
        lenient: bool = False,
    ) -> None:
        self.target, self.labels, self.counts = target, labels, counts
        self.words, self.lenient = words, lenient
        self.names = labels
        self.metrics = metrics_of(labels, spans=self.marks_spans)

    @cached_property
    def marks_spans(self) -> bool:
        return are_spans(self.labels)

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """A list a row, as long as that of another column in every row, or spans of characters."""
        return 1.0 if len(profile.companions) else 0.0

    @classmethod
    def kinds(cls, profile: ColumnProfile, columns: list[str]) -> dict[str, str]:
        if not any(_rows(profile.sample)):
            raise no_targets(profile.sample.alias(profile.name), TAGS_IN_SOME_ROW, profile.num_rows)
        if not profile.companions:
            raise DataError(
                f"target '{profile.name}'",
                expected="a column of as many words as the target has tags, or of texts that it has spans of",
                found="none",
                action="Write the words of each row as a list, tokens, beside the list of their tags",
            )
        words = profile.companions[0]
        return {name: "words" if name == words else "ignore" for name in columns}

    @classmethod
    def fit(cls, target: pl.Series) -> Self:
        rows = [row for row in _rows(target) if row]
        counts = Counter(tag for row in rows for tag in row)
        if not counts:
            raise no_targets(target, TAGS_IN_SOME_ROW)
        labels = sorted(counts)
        require_repeated(target, len(labels), sum(counts.values()))
        if len(labels) < 2:
            raise DataError(
                f"target '{target.name}'",
                expected="two different tags or more",
                found=f"only '{labels[0]}'",
                action="Add rows with other tags, or choose another target",
            )
        begun = sum(1 for row in rows for span in spans_of(row) if row[span.start].startswith("I-"))
        spans = sum(len(spans_of(row)) for row in rows)
        return cls(target.name, labels, [counts[label] for label in labels], lenient=2 * begun > spans)

    def bound(self, kinds: Mapping[str, str]) -> Self:
        """Raise ConfigError where not just one input is a column of words."""
        found = [name for name, kind in kinds.items() if kind == WordsFeature.kind]
        if len(found) != 1 or len(kinds) != 1:
            raise ConfigError(
                "data.columns",
                expected="one input, a column of words, which the tags are of",
                found=listed(f"{name}={kind}" for name, kind in kinds.items()) if kinds else "none",
                action="Set the kind of the column of words, and of the others: data.columns.NAME=words or ignore",
            )
        return type(self)(self.target, self.labels, self.counts, found[0], self.lenient)

    def counted(self, frame: pl.DataFrame) -> Self:
        """Count the words of each tag where the target has spans of characters, which do not tell them."""
        if not isinstance(_inner(frame[self.target].dtype), pl.Struct):
            return self
        columns, _ = self.encode_targets(frame)
        found = np.bincount(np.asarray(columns[self.target].values, np.int64), minlength=len(self.labels))
        return type(self)(self.target, self.labels, np.maximum(found, 1).tolist(), self.words, self.lenient)

    def heads(self) -> tuple[OutputSpec, ...]:
        return (OutputSpec(self.target, OutputKind.PLACE, len(self.labels), self.words),)

    def encode_targets(self, frame: pl.DataFrame) -> tuple[dict[str, EncodedColumn], dict[int, tuple[str, str]]]:
        """Return (W,) int64 ids of all words' tags with the offsets of rows; a row that is unreadable has the first
        tag for each word, since it may be there for other targets."""
        words = words_of(frame[self.words]).to_list()
        texts = None if is_listed(frame[self.words]) else frame[self.words].to_list()
        ids = {label: place for place, label in enumerate(self.labels)}
        bad, rows = dict[int, tuple[str, str]](), list[list[int]]()
        for position, cell in enumerate(frame[self.target].to_list()):
            reason: str | None = None
            tags: list[str] = []
            try:
                tags = _tags(cell, None if texts is None else texts[position], words[position] or [])
            except ValueError as error:
                reason = str(error)
            count = len(words[position] or [])
            if reason is None and not tags:
                reason = MISSING
            elif reason is None and len(tags) != count:
                reason = f"{count} words and {len(tags)} tags"
            elif reason is None and (unseen := next((tag for tag in tags if tag not in ids), None)) is not None:
                reason = UnseenLabel(unseen)
            elif reason is None and self.marks_spans and not self.lenient and (place := orphan(tags)) is not None:
                reason = f"'{tags[place]}' at word {place + 1} goes on with a span that no word before it is of"
            if reason is not None:
                bad[position] = (self.target, reason)
            rows.append([0] * count if reason is not None else [ids[tag] for tag in tags])
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        values = np.array([place for row in rows for place in row], np.int64)
        return {self.target: EncodedColumn(TensorKind.TOKENS, values, offsets)}, bad

    def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
        """Return (rows,) of objects, the ids of each row's tags, whatever its words are."""
        ids = {label: place for place, label in enumerate(self.labels)}
        rows = _rows(target)
        bad: dict[int, str] = {}
        for position, row in enumerate(rows):
            if unseen := next((tag for tag in row if tag not in ids), None):
                bad[position] = UnseenLabel(unseen)
        return of_rows([np.array([ids.get(tag, 0) for tag in row], np.int64) for row in rows]), bad

    def loss(self, outputs: Columns, batch: Batch) -> Tensor:
        """Sum over the words of each row that have an answer; class weights multiply the loss of a word."""
        logits, truth, rows = self._answered(outputs, batch)
        counts = np.array(self.counts, dtype=np.float64)
        weights = label_weights(self.settings, self.labels, counts.sum() / (len(counts) * counts))
        losses = F.cross_entropy(
            logits.float(),
            truth,
            weight=None if weights is None else torch.from_numpy(weights).to(logits.device, torch.float32),
            label_smoothing=self.settings.label_smoothing,
            reduction="none",
        )
        return losses.new_zeros(len(batch)).index_add(0, rows, losses)

    def num_units(self, batch: Batch) -> Tensor:
        """The words of each row that have an answer."""
        targets = batch.targets[self.target]
        assert isinstance(targets, Ragged)
        words = batch.inputs.get(self.words)
        if not isinstance(words, Ragged) or words.marks is None:
            return targets.lengths.float()
        begun = (words.marks >= 0).cpu()
        rows = torch.repeat_interleave(torch.arange(len(batch)), words.lengths)
        return torch.zeros(len(batch)).index_add(0, rows[begun], torch.ones(int(begun.sum())))

    def constant(self, logits: Tensor, batch: Batch) -> Columns:
        """A vector for each place of the input, or for each word where only targets are there."""
        like = batch.inputs.get(self.words, batch.targets[self.target])
        assert isinstance(like, Ragged)
        return {self.target: Ragged(logits.expand(len(like.values), -1), like.offsets)}

    def _answered(self, outputs: Columns, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of the words that have an answer, (M, C), their tags, and their rows, (M,) each."""
        places, targets, words = outputs[self.target], batch.targets[self.target], batch.inputs.get(self.words)
        assert isinstance(places, Ragged)
        assert isinstance(targets, Ragged)
        device = places.values.device
        if not isinstance(words, Ragged) or words.marks is None:  # outputs that are one a word already
            rows = torch.repeat_interleave(torch.arange(len(batch)), targets.lengths)
            return places.values, targets.values, rows.to(device)
        begun = (words.marks >= 0).nonzero().flatten()
        rows = torch.repeat_interleave(torch.arange(len(batch)), words.lengths).to(device)[begun]
        truth = targets.values[targets.offsets[:-1].to(device)[rows] + words.marks[begun]]
        return places.values[begun], truth, rows

    def truth(self, data: Dataset) -> Array:
        column = data.targets[self.target]
        assert column.offsets is not None
        values, offsets = np.asarray(column.values), np.asarray(column.offsets)
        return of_rows([values[offsets[row] : offsets[row + 1]] for row in data.index])

    def keep(self, outputs: Columns, batch: Batch) -> Columns:
        """Of each word that has an answer the id of the most probable tag and its probability: Ragged (M, 2)."""
        places, words = outputs[self.target], batch.inputs[self.words]
        assert isinstance(places, Ragged)
        assert isinstance(words, Ragged)
        assert words.marks is not None
        begun = words.marks >= 0
        probabilities, ids = places.values[begun].float().softmax(dim=-1).max(dim=-1)
        before = torch.cat([torch.zeros(1, dtype=torch.int64), begun.cpu().cumsum(0)])
        return {self.target: Ragged(torch.stack([ids.float(), probabilities], dim=1), before[words.offsets])}

    def answers(self, kept: Columns) -> Floats:
        """Return (rows,) of objects: the tags of each row's words and their probabilities, (M, 2)."""
        found = kept[self.target]
        assert isinstance(found, Ragged)
        return of_rows([row.numpy() for row in torch.split(found.values, found.lengths.tolist())])

    def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the tags of each row as `predicted_TARGET`, a list; of tags that mark spans also `spans_TARGET`, JSON
        of each one's label, text, start, end and probability, that of its least sure word.

        frame: the rows, for the words; start and end count characters of a text, and words where rows are lists. A word
        that a row was cut before has the tag O, or none.
        """
        rest = OUTSIDE if OUTSIDE in self.labels else None
        words = None if frame is None else words_of(frame[self.words]).to_list()
        rows = list[list[str | None]]()
        for position, answer in enumerate(outputs):
            tags: list[str | None] = [self.labels[int(place)] for place in answer[:, 0]]
            count = len(tags) if words is None else len(words[position] or [])
            rows.append([*tags, *[rest] * (count - len(tags))][:count])
        columns = {f"predicted_{self.target}": pl.Series(rows, dtype=pl.List(pl.String))}
        if self.marks_spans and frame is not None and words is not None:
            texts = None if is_listed(frame[self.words]) else frame[self.words].to_list()
            found = [
                self._spans(rows[i], outputs[i], words[i] or [], None if texts is None else texts[i])
                for i in range(len(rows))
            ]
            columns[f"spans_{self.target}"] = pl.Series(found, dtype=pl.String)
        return pl.DataFrame(columns)

    def _spans(self, tags: list[str | None], answer: Array, words: list[str], text: str | None) -> str:
        places = None if text is None else places_of(text, words)
        found = []
        for span in spans_of([tag or OUTSIDE for tag in tags]):
            start, end = (span.start, span.end) if places is None else (places[span.start][0], places[span.end - 1][1])
            written = " ".join(words[span.start : span.end]) if text is None else text[start:end]
            sure = answer[span.start : span.end, 1]
            probability = round(float(sure.min()), 4) if len(sure) else None
            found.append({"label": span.label, "text": written, "start": start, "end": end, "probability": probability})
        return json.dumps(found, ensure_ascii=False)

    def remarks(self) -> list[Sentence]:
        if not self.marks_spans:
            return []
        kinds = len({tag[2:] for tag in self.labels if tag != OUTSIDE})
        return [
            sentence(
                "tags.spans",
                "target '{target}': the tags mark spans of {kinds:count kind}, which are scored whole (entity_f1)",
                target=self.target,
                kinds=kinds,
            )
        ]

    def state(self) -> dict[str, Any]:
        names = ("target", "labels", "counts", "words", "lenient")
        return {name: getattr(self, name) for name in names}

    def check_state(self) -> None:
        same_length(labels=self.labels, counts=self.counts)
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: a label stands twice")


def of_rows(rows: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return rows of different lengths as an array of objects, (rows,)."""
    found: npt.NDArray[Any] = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        found[place] = row
    return found


def _inner(dtype: pl.DataType) -> Any:
    return dtype.inner if isinstance(dtype, pl.List) else None


def _rows(target: pl.Series) -> list[list[str]]:
    """Return the tags of each row; of spans of characters one of each label that begins, and O."""
    return [_names(cell) for cell in target.to_list()]


def _names(cell: Any) -> list[str]:
    if isinstance(cell, list) and cell and isinstance(cell[0], dict):
        return [OUTSIDE, *(f"{prefix}-{item['label']}" for item in cell for prefix in "BI")]
    return [] if cell is None else [str(tag) for tag in (cell.split() if isinstance(cell, str) else cell)]


def _tags(cell: Any, text: str | None, words: Sequence[str]) -> list[str]:
    """Return the tags of a cell. text: that it has spans of characters of. words: of the text. Raises ValueError where
    they do not fit."""
    if text is not None and isinstance(cell, list) and all(isinstance(item, dict) for item in cell):
        return tags_of(cell, places_of(text, words))
    return _names(cell)
