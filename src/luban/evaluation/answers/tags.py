"""Answers that are a label for each word of a row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from luban.evaluation.answers.base import Answer, Constant
from luban.evaluation.quality import Quality
from luban.tasks.base import Array, Floats
from luban.tasks.tag_metrics import NONE, right_words, said
from luban.tasks.tags import Tags, of_rows


class OfWords(Answer[Tags]):
    """targets: (rows,) of objects, the ids of each row's tags. outputs: (rows,) of objects, (words, 2) ids and
    probabilities."""

    def texts(self, task: Tags, targets: Array) -> list[str]:
        return [" ".join(task.labels[place] for place in row.tolist()) for row in targets]

    def cells(self, task: Tags, targets: Array, frame: pl.DataFrame) -> pl.Series:
        cells = frame[task.target]
        if isinstance(cells.dtype, pl.List) and isinstance(
            cells.dtype.inner, pl.Struct
        ):  # spans, as what is said reads
            return task.decode(self.certain(task, targets), frame)[f"predicted_{task.target}"]
        return cells

    def certain(self, task: Tags, targets: Array) -> Floats:
        return of_rows([np.stack([row, np.ones(len(row))], axis=1).astype(np.float32) for row in targets])

    def quality(self, task: Tags, targets: Array, outputs: Floats) -> Quality:
        """The share of the row's words that have their tag."""
        right = right_words(targets, outputs)
        return Quality("token_accuracy", right[:, 0] / np.maximum(right[:, 1], 1), True, False)

    def wrongness(self, task: Tags, targets: Array, outputs: Floats) -> Floats:
        """How many of the row's words have another tag."""
        right = right_words(targets, outputs)
        found: Floats = right[:, 1] - right[:, 0]
        return found

    def constant(self, task: Tags, targets: Array) -> Constant:
        """The commonest tag, for each of as many words as the longest row has."""
        longest = max((len(row) for row in targets), default=1)
        counts = np.bincount(np.concatenate([*targets, np.zeros(0, np.int64)]), minlength=len(task.labels))
        one = np.array([counts.argmax(), counts.max() / counts.sum()], np.float32)
        return Constant("majority", "always the most frequent tag", of_rows([np.tile(one, (longest, 1))]))

    def confusions(self, task: Tags, targets: Array, outputs: Floats, limit: int) -> list[dict[str, Any]]:
        """Which tags are taken for which others. share: of the actual tag's words."""
        pairs, totals = Counter[tuple[int, int]](), Counter[int]()
        for mine, truth in zip(said(outputs, targets), targets, strict=True):
            totals.update(truth.tolist())
            wrong = (mine != truth) & (mine != NONE)
            pairs.update(zip(truth[wrong].tolist(), mine[wrong].tolist(), strict=True))
        return [
            {
                "actual": task.labels[one],
                "predicted": task.labels[other],
                "rows": count,
                "share": count / totals[one],
            }
            for (one, other), count in pairs.most_common(limit)
        ]
