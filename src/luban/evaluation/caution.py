"""What an interval cannot know: where the rows are too few, or one of them outweighs the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from luban.core.answers import AnswerKind
from luban.core.sentence import Sentence, sentence
from luban.features.cells import shortened
from luban.tasks.base import Array, Floats, Task

MIN_CLASS = 15  # rows of a class, below which benchmarks/coverage.py found intervals too narrow
HEAVY = 0.4  # of the squared error on one row: 20 normal errors hardly ever have it


def cautions(task: Task, targets: Array, outputs: Floats) -> list[Sentence]:
    """Say which intervals may be too narrow on these rows; nothing where 95 % are 95 %."""
    find = CAUTIONS.get(task.answer)
    return [] if find is None else find(task, targets, outputs)


def _few_of_classes(task: Task, targets: Array, outputs: Floats) -> list[Sentence]:
    return _few(task, np.bincount(targets.astype(np.int64)))


def _few_of_labels(task: Task, targets: Array, outputs: Floats) -> list[Sentence]:
    return _few(task, targets.sum(axis=0))


def _few(task: Task, counts: npt.NDArray[Any]) -> list[Sentence]:
    """counts: rows of each label, (C,)."""
    few = np.flatnonzero((counts > 0) & (counts < MIN_CLASS))
    if not len(few):
        return []
    label = shortened(task.names[few[0]])
    return [
        sentence(
            "caution.few",
            "{labels:count label} {labels:do have} fewer than {least} of the scored rows, '{label}' {rows}: the "
            "intervals of scores that all labels weigh in alike may be too narrow",
            labels=len(few),
            least=MIN_CLASS,
            label=label,
            rows=int(counts[few[0]]),
        )
    ]


def _heavy(task: Task, targets: Array, outputs: Floats) -> list[Sentence]:
    squares = (outputs.astype(np.float64) - targets.astype(np.float64)) ** 2
    total = float(squares.sum())
    if not total or float(squares.max()) < HEAVY * total:
        return []
    return [
        sentence(
            "caution.heavy",
            "one row makes {share:.0%} of the squared error: the intervals of MSE, RMSE and R² may be too narrow",
            share=float(squares.max()) / total,
        )
    ]


# What there is to say of a kind of answer; nothing of others.
CAUTIONS: dict[AnswerKind, Callable[[Task, Array, Floats], list[Sentence]]] = {
    AnswerKind.CLASS: _few_of_classes,
    AnswerKind.LABELS: _few_of_labels,
    AnswerKind.NUMBER: _heavy,
}
