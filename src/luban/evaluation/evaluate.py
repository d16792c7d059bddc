"""The scores of a model beside those of its baselines, and whether it beats them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from luban.core.errors import DataError
from luban.evaluation.answers import answer_of
from luban.evaluation.scores.bootstrap import RESAMPLES
from luban.evaluation.scores.intervals import Score, shown
from luban.evaluation.scores.scoring import compare_rows, score_rows
from luban.tasks.base import Array, Direction, Floats, Task

if TYPE_CHECKING:
    from luban.evaluation.judgement import Judgement  # which takes long to import


@dataclass(frozen=True)
class Comparison:
    """The model against one baseline, by the deciding metric.

    difference: how much better the model is, negative where it is worse; its interval is of paired resamples.
    """

    baseline: str
    metric: str
    model: float
    other: float
    difference: Score

    @property
    def beats(self) -> bool:
        """Whether the model is better by more than chance: the whole interval is above zero."""
        return bool(self.difference.low > 0)

    @property
    def verdict(self) -> str:
        """One sentence in plain words."""
        metric = self.metric.replace("_", " ")
        scores = f"{metric} {shown(self.model)} against {shown(self.other)}"
        interval = f"95 % interval {shown(self.difference.low)} to {shown(self.difference.high)}"
        if math.isnan(self.difference.value):
            return f"The model cannot be compared with the {self.baseline} baseline: {metric} is not defined here."
        if math.isnan(self.difference.low):
            return f"The model and the {self.baseline} baseline are measured on too few rows to tell apart ({scores})."
        if self.beats:
            return (
                f"The model beats the {self.baseline} baseline "
                f"({scores}; better by {shown(self.difference.value)}, {interval})."
            )
        if self.difference.value > 0:
            return (
                f"The model does not clearly beat the {self.baseline} baseline "
                f"({scores}; the difference may be chance, {interval})."
            )
        return f"The model does not beat the {self.baseline} baseline ({scores})."

    def to_json(self) -> dict[str, Any]:
        return {
            "baseline": self.baseline,
            "metric": self.metric,
            "difference": self.difference.to_json(),
            "beats": self.beats,
        }


@dataclass(frozen=True)
class Evaluation:
    """What is known of a model on some rows.

    scores: by metric. baselines: by baseline and metric. decider: the metric that decides. comparisons: one a baseline,
    the strongest first, and verdict is about that one. labels, confusion: of classification with up to 100 classes;
    confusion[i][j] counts the rows of class i that are taken for class j. judgement: what more is known, if it was
    judged. directions: by metric, whether the higher or the lower score is the better one. targets: of a task of
    several targets, what is known of each. details: what else is known of answers of this kind, as JSON values.
    """

    rows: int
    task: str
    decider: str
    scores: dict[str, Score]
    baselines: dict[str, dict[str, Score]]
    comparisons: tuple[Comparison, ...]
    verdict: str
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    judgement: Judgement | None = None
    directions: Mapping[str, Direction] = field(default_factory=dict)
    targets: Mapping[str, Evaluation] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def beats_baselines(self) -> bool:
        """Whether the model beats every baseline by more than chance, of each target; false where there is none."""
        if self.targets:
            return all(found.beats_baselines for found in self.targets.values())
        return bool(self.comparisons) and all(comparison.beats for comparison in self.comparisons)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; a score that is not defined is null."""
        return {
            "rows": self.rows,
            "task": self.task,
            "decider": self.decider,
            "directions": dict(self.directions),
            "scores": _to_json(self.scores),
            "baselines": {name: _to_json(scores) for name, scores in self.baselines.items()},
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "verdict": {"text": self.verdict, "beats_baselines": self.beats_baselines},
            "labels": list(self.labels),
            "confusion": None if self.confusion is None else [list(counts) for counts in self.confusion],
            **self.details,
            **({} if self.judgement is None else self.judgement.to_json()),
            **({"targets": {name: found.to_json() for name, found in self.targets.items()}} if self.targets else {}),
        }


def evaluate(
    task: Task,
    targets: Array,
    outputs: Floats,
    baselines: Mapping[str, Floats],
    *,
    decider: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    units: npt.NDArray[np.int64] | None = None,
    deciding: Mapping[str, Task] | None = None,
) -> Evaluation:
    """Score a model and its baselines on the same rows.

    targets, outputs, baselines: rows first, as the task makes them. decider: a metric's name, the task's first if
    None. units: of rows that are no evidence apart, as `Dataset.units`. deciding: the tasks of baselines that have
    thresholds of their own. Raises DataError where there are no rows.
    """
    if not len(targets):
        raise DataError("evaluation", expected="rows to score", found="none", action="Give a table with targets")
    metric = {metric.name: metric for metric in task.metrics}[decider or task.metrics[0].name]
    mine = score_rows(task.metrics, targets, outputs, resamples, seed, units)
    tasks = dict.fromkeys(baselines, task) | dict(deciding or {})
    others = {
        name: score_rows(tasks[name].metrics, targets, theirs, resamples, seed, units)
        for name, theirs in baselines.items()
    }
    sign = 1 if metric.higher_is_better else -1
    comparisons = []
    for name, theirs in baselines.items():
        own = next(other for other in tasks[name].metrics if other.name == metric.name)
        less = compare_rows(((own,), (metric,)), targets, (theirs, outputs), resamples, seed, units)[metric.name]
        values = mine[metric.name].value, others[name][metric.name].value
        comparisons.append(Comparison(name, metric.name, *values, less.times(sign)))
    comparisons.sort(key=lambda found: found.difference.value if not math.isnan(found.difference.value) else math.inf)
    answer = answer_of(task)
    confusion = answer.confusion(task, targets, outputs)
    return Evaluation(
        rows=len(targets),
        task=task.name,
        decider=metric.name,
        scores=mine,
        baselines=others,
        comparisons=tuple(comparisons),
        verdict=comparisons[0].verdict if comparisons else "There is no baseline to compare the model with.",
        labels=() if confusion is None else tuple(task.names),
        confusion=confusion,
        directions={metric.name: metric.direction for metric in task.metrics},
        details=answer.details(task, targets, outputs, baselines, units, seed),
    )


def _to_json(scores: Mapping[str, Score]) -> dict[str, dict[str, float | None]]:
    return {name: score.to_json() for name, score in scores.items()}
