"""What evaluation does with answers: one file a kind, and the table of them all."""

from __future__ import annotations

from typing import Any

from luban.core.answers import AnswerKind
from luban.evaluation.answers.base import Answer
from luban.evaluation.answers.classes import Classes
from luban.evaluation.answers.forecasts import Forecasts
from luban.evaluation.answers.labels import Labels
from luban.evaluation.answers.numbers import Numbers
from luban.evaluation.answers.tags import OfWords
from luban.tasks.base import Task

ANSWERS: dict[AnswerKind, Answer[Any]] = {
    AnswerKind.CLASS: Classes(),
    AnswerKind.LABELS: Labels(),
    AnswerKind.NUMBER: Numbers(),
    AnswerKind.TAGS: OfWords(),
    AnswerKind.FORECAST: Forecasts(),
}


def answer_of(task: Task) -> Answer[Any]:
    """Return what evaluation does with the answers of a task."""
    return ANSWERS[task.answer]
