"""What an interval cannot know: where the rows are too few, or one of them outweighs the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from luban.core.answers import AnswerKind
from luban.core.sentence import Sentence, sentence
from luban.features.cells import shortened
from luban.tasks.base import Array, Floats, Task

if TYPE_CHECKING:
    from luban.tasks.forecast.task import Forecast

MIN_CLASS = 15  # rows of a class, below which benchmarks/coverage.py found intervals too narrow
FAR = 0.1  # from the coverage that quantiles are meant to have
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


def _coverage(task: Task, targets: Array, outputs: Floats) -> list[Sentence]:
    metric = next((metric for metric in task.metrics if metric.name == "coverage"), None)
    levels = cast("Forecast", task).config.quantiles
    if metric is None:
        return []
    found = float(metric.compute(targets, outputs, np.ones((1, len(targets))))[0])
    meant = levels[-1] - levels[0]
    if abs(found - meant) <= FAR:
        return []
    return [
        sentence(
            "caution.coverage",
            "{found:.0%} of the truth lies between the outermost quantiles, where {meant:.0%} is meant: they are too "
            "{how}",
            found=found,
            meant=meant,
            how="narrow" if found < meant else "wide",
        )
    ]


# What there is to say of a kind of answer; nothing of others.
CAUTIONS: dict[AnswerKind, Callable[[Task, Array, Floats], list[Sentence]]] = {
    AnswerKind.CLASS: _few_of_classes,
    AnswerKind.LABELS: _few_of_labels,
    AnswerKind.NUMBER: _heavy,
    AnswerKind.FORECAST: _coverage,
}
