"""The judgement of a model beyond its scores: calibration, threshold, sets, slices, mistakes, and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from luban.data.table import Table
from luban.evaluation import robustness
from luban.evaluation.calibration import Calibration, calibrate
from luban.evaluation.config import EvaluateConfig
from luban.evaluation.conformal import Conformal, check_coverage
from luban.evaluation.fairness import Fairness, compare_groups
from luban.evaluation.learning_curve import LearningCurve, learning_curve
from luban.evaluation.mistakes import find_confusions, find_mistakes
from luban.evaluation.quality import Quality
from luban.evaluation.robustness import Corruption
from luban.evaluation.slices import Slices, find_slices
from luban.evaluation.threshold import Threshold, score_threshold
from luban.evaluation.validated import Validated
from luban.features.plain import Images
from luban.predictor import Predictor
from luban.tasks.base import Array, Floats, Task

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

    def with_trials(self, robustness: list[Corruption] | None, curve: LearningCurve | None) -> Judgement:
        """Add what asks for more predictions and more fits."""
        return replace(self, robustness=robustness, learning_curve=curve)


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
        rows = np.sort(np.random.default_rng(seed).choice(len(table), MAX_ROWS, replace=False))
        table, targets, outputs = table.take(rows), targets[rows], outputs[rows]
    choice, scores, method = validated.choice, validated.scores, validated.method
    return Judgement(
        calibration=calibrate(task, targets, outputs, validated.temperature, validated.rows, seed),
        threshold=None if choice is None else score_threshold(task, targets, outputs, choice, validated.goal, seed),
        conformal=None if scores is None or method is None else check_coverage(method, scores, level, targets, outputs),
        slices=find_slices(Quality.of(task, targets, outputs), table.frame, kinds),
        mistakes=mistakes,
        confusions=confusions,
        fairness=None if by is None else compare_groups(task, targets, outputs, table.frame[by], seed),
    )


def try_out(
    predictor: Predictor,
    decider: str,
    fitted: tuple[Table, Array, Images],
    tested: tuple[Table, Array, Images],
    outputs: Floats,
    baselines: Mapping[str, Floats],
    kinds: Mapping[str, str],
    config: EvaluateConfig,
    seed: int = 0,
) -> tuple[list[Corruption] | None, LearningCurve | None]:
    """Measure robustness and the learning curve of the linear baseline; None for what the settings leave out.

    fitted, tested: the rows that the baselines were fitted on and the test rows, with targets and images. outputs,
    baselines: for the test rows.
    """
    task = predictor.task
    metric = {metric.name: metric for metric in task.metrics}[decider]
    losses = curve = None
    if config.robustness:
        table, targets, _ = tested
        losses = robustness.measure_robustness(predictor, table, targets, outputs, kinds, metric, seed)
    if config.learning_curve and "linear" in baselines:
        curve = learning_curve(task, metric, fitted, tested, baselines["linear"], kinds, seed)
    return losses, curve
