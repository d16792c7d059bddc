"""The kinds of answers: what evaluation, explanation and the report hold on to, whatever the task."""

from __future__ import annotations

from enum import StrEnum


class AnswerKind(StrEnum):
    """CLASS: one of several labels a row, by their probabilities. LABELS: any number of labels a row, each by a
    probability of its own. NUMBER: a value a row, in the target's unit. TAGS: a label for each word of a row. FORECAST:
    the next steps of series. SEVERAL: an answer of each of several tasks."""

    CLASS = "class"
    LABELS = "labels"
    NUMBER = "number"
    TAGS = "tags"
    FORECAST = "forecast"
    SEVERAL = "several"
