"""The judgement of a model beyond its scores: calibration, threshold, sets, slices, mistakes, and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from luban.data.draw import sample_rows
from luban.data.table import Table
from luban.evaluation.answers import answer_of
from luban.evaluation.calibration import Calibration, calibrate
from luban.evaluation.conformal import Conformal, check_coverage
from luban.evaluation.fairness import Fairness, compare_groups
from luban.evaluation.learning_curve import LearningCurve
from luban.evaluation.mistakes import find_confusions, find_mistakes
from luban.evaluation.robustness import Corruption
from luban.evaluation.slices import Slices, find_slices
from luban.evaluation.threshold import Threshold, score_threshold
from luban.tasks.base import Array, Floats, Task
from luban.tasks.validated import Validated

MAX_ROWS = 100_000  # that calibration, sets, slices and groups are measured on: bounds memory and time


@dataclass(frozen=True)
class Judgement:
    """None where a part has no meaning for the task, or was not measured."""

    calibration: Calibration | None
    threshold: Threshold | None
    conformal: Conformal | None
    slices: Slices | None
    mistakes: list[dict[str, Any]]
    confusions: list[dict[str, Any]]
    fairness: Fairness | None = None
    robustness: list[Corruption] | None = None
    learning_curve: LearningCurve | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values by the names in metrics.json."""
        parts = ("calibration", "threshold", "conformal", "slices", "fairness", "learning_curve")
        found = {name: part.to_json() if (part := getattr(self, name)) is not None else None for name in parts}
        robustness = None if self.robustness is None else [item.to_json() for item in self.robustness]
        return {**found, "mistakes": self.mistakes, "confusions": self.confusions, "robustness": robustness}


def judge(
    task: Task,
    table: Table,
    targets: Array,
    outputs: Floats,
    kinds: Mapping[str, str],
    validated: Validated,
    *,
    level: float = 0.9,
    by: str | None = None,
    seed: int = 0,
) -> Judgement:
    """Judge predictions of labelled rows.

    table: the rows, with all their columns. kinds: of the input columns. level: the coverage that sets promise. by: a
    column whose groups are compared. Raises SchemaError where that column is not there.
    """
    if by is not None:
        table.require(by)
    mistakes = find_mistakes(task, table, targets, outputs, kinds)
    confusions = find_confusions(task, targets, outputs)
    if len(table) > MAX_ROWS:
        rows = sample_rows(len(table), MAX_ROWS, np.random.default_rng(seed))
        table, targets, outputs = table.take(rows), targets[rows], outputs[rows]
    choice, scores = validated.threshold, validated.conformal
    return Judgement(
        calibration=calibrate(task, targets, outputs, validated.temperature, validated.rows, seed),
        threshold=None if choice is None else score_threshold(task, targets, outputs, choice, seed),
        conformal=None if scores is None else check_coverage(scores, level, targets, outputs),
        slices=find_slices(answer_of(task).quality(task, targets, outputs), table.frame, kinds),
        mistakes=mistakes,
        confusions=confusions,
        fairness=None if by is None else compare_groups(task, targets, outputs, table.frame[by], seed),
    )
