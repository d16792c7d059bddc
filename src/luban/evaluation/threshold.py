"""The decision threshold: chosen on validation rows for a stated goal, scored on test rows beside the usual 0.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from luban.evaluation.answers import answer_of
from luban.evaluation.scores.bootstrap import RESAMPLES, ratio, sums_of_resamples
from luban.evaluation.scores.intervals import HALF, Score, proportion, wilson
from luban.tasks.base import Array, Floats, Task
from luban.tasks.goal import Goal
from luban.tasks.metrics import LABEL_THRESHOLD
from luban.tasks.validated import Choice

DEFAULT_GOAL = "f1"
CURVE = np.linspace(0.02, 0.98, 49)
MIN_ROWS = 20  # that a threshold is chosen on
MIN_LABEL_ROWS = 10  # with a label, and without it, that a threshold of its own is chosen on


@dataclass(frozen=True)
class Threshold:
    """label: the positive one. scores, default_scores: at the chosen threshold and at 0.5. curve: one threshold
    each, the same for all labels."""

    label: str
    choice: Choice
    sentence: str
    scores: dict[str, Score]
    default_scores: dict[str, Score]
    curve: list[dict[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "goal": self.choice.goal,
            "met": self.choice.met,
            "threshold": self.choice.threshold,
            "labels": self.choice.labels,
            "used": self.choice.stated,
            "sentence": self.sentence,
            "default": LABEL_THRESHOLD,
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "default_scores": {name: score.to_json() for name, score in self.default_scores.items()},
            "curve": self.curve,
        }


def choose(task: Task, targets: Array, outputs: Floats, goal: Goal, *, stated: bool = False) -> Choice | None:
    """Choose the threshold that serves a goal best on validation rows.

    Of several labels a row it is one for all of them; for a stated goal each label that 10 rows have and 10 have not
    gets one of its own too. Returns None where there are too few rows, or rows of one kind only.
    """
    decisions = answer_of(task).decisions(task, targets, outputs)
    if decisions is None or len(targets) < MIN_ROWS:
        return None
    probability, present = decisions
    if present.all() or not present.any():
        return None
    threshold, met = _chosen(probability.reshape(-1), present.reshape(-1), goal)
    if not stated or task.positive is not None:
        return Choice(goal=goal.text, threshold=threshold, met=met, stated=stated)
    counts = present.sum(axis=0)
    known = np.flatnonzero((counts >= MIN_LABEL_ROWS) & (len(present) - counts >= MIN_LABEL_ROWS))
    own = {task.decided[place]: _chosen(probability[:, place], present[:, place], goal) for place in known.tolist()}
    return Choice(
        goal=goal.text,
        threshold=threshold,
        met=all(reached for _, reached in own.values()) if own else met,
        stated=True,
        labels={label: found for label, (found, _) in own.items()} or None,
    )


def _chosen(probability: Floats, present: npt.NDArray[np.bool_], goal: Goal) -> tuple[float, bool]:
    """Return the best threshold, and whether it reaches the goal. probability, present: (n,)."""
    order = np.argsort(-probability, kind="stable")
    ranked, truth = probability[order], present[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of equal probabilities
    found = np.cumsum(truth)[last].astype(np.float64)
    best, met = _best(goal, found, last + 1 - found, float(truth.sum()), float((~truth).sum()))
    at_least, below = ranked[last[best]], ranked[last[best] + 1] if last[best] + 1 < len(ranked) else 0.0
    return between(float(below), float(at_least)), met


def between(below: float, at_least: float) -> float:
    """Return a threshold halfway that parts two probabilities, in as many digits as a file of predictions shows: what a
    reader compares with it has the same answer as the model."""
    halfway = np.float32((below + at_least) / 2)
    return float(str(halfway if halfway > np.float32(below) else np.float32(at_least)))


def _best(goal: Goal, found: Floats, false: Floats, positives: float, negatives: float) -> tuple[int, bool]:
    """Return the place of the best threshold among those from high to low, and whether it meets the goal."""
    recall, precision = found / positives, found / (found + false)
    if goal.kind == "recall":
        reached = recall >= goal.least
        return int(np.argmax(np.where(reached, precision, -1))), bool(reached.any())
    if goal.kind == "precision":
        reached = precision >= goal.least
        if not reached.any():
            return int(np.argmax(precision)), False
        return int(np.argmax(np.where(reached, recall, -1))), True
    if goal.kind == "cost":
        return int(np.argmin(goal.false_positive * false + goal.false_negative * (positives - found))), True
    if goal.kind == "balanced_accuracy":
        return int(np.argmax(recall - false / negatives)), True
    return int(np.argmax(2 * found / (found + false + positives))), True


def score_threshold(task: Task, targets: Array, outputs: Floats, choice: Choice, seed: int = 0) -> Threshold | None:
    """Score a chosen threshold on other rows; None where nothing is decided by one. task: with or without a threshold
    of its own."""
    decisions = answer_of(task).decisions(task, targets, outputs)
    if decisions is None:
        return None
    probability, present = decisions
    goal = choice.parsed_goal
    chosen, usual = (
        _scores(_counts(probability >= at, present), goal, seed)
        for at in (choice.thresholds(task), np.float32(LABEL_THRESHOLD))
    )
    label = "any label" if task.positive is None else task.positive
    return Threshold(label, choice, choice.sentence(task), chosen, usual, _curve(probability, present))


def _counts(predicted: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """(rows, 4): how many labels of each row are found, false, missed and rightly left out; bool for one label."""
    parts = (predicted & present, predicted & ~present, ~predicted & present, ~predicted & ~present)
    if predicted.shape[1] == 1:
        return np.concatenate(parts, axis=1)
    return np.stack([part.sum(axis=1) for part in parts], axis=1)


def _scores(counts: npt.NDArray[Any], goal: Goal, seed: int) -> dict[str, Score]:
    """Return scores with intervals: of one label a row shares, whose intervals are Wilson's; others by as many rows as
    their variance is worth, with half a row of each of the four kinds beside those that there are."""
    sums = counts.sum(axis=0, keepdims=True).astype(np.float64)
    values = _rates(sums, goal)
    samples = _rates(sums_of_resamples(counts, RESAMPLES, seed) + _half_rows(seed), goal)
    smoothed = _rates(sums + HALF, goal)
    highest = max(goal.false_positive, goal.false_negative)
    scores = {}
    for name, (value,) in values.items():
        unit = highest if name == "cost" else 1.0
        mean, variance = float(smoothed[name][0]) / unit, float(np.nanvar(samples[name])) / unit**2
        found = wilson(float(value) / unit, mean * (1 - mean) / variance if variance > 0 else len(counts))
        scores[name] = Score(float(value), found.low * unit, found.high * unit)
    if counts.dtype == np.bool_:
        found_, false, missed, rest = sums[0].astype(int).tolist()
        scores["precision"] = proportion(found_, found_ + false)
        scores["recall"] = proportion(found_, found_ + missed)
        scores["accuracy"] = proportion(found_ + rest, len(counts))
        scores["f1"] = f1_of(proportion(found_, found_ + false + missed))
    return scores


def _half_rows(seed: int) -> Floats:
    """(R, 4): how often half a row of each kind is drawn."""
    return np.random.default_rng([seed, 1]).poisson(HALF, (RESAMPLES, 4)).astype(np.float64)


def f1_of(jaccard: Score) -> Score:
    """Return F1 from the share of the rows found among those found, false or missed, which it ascends with."""
    ends = (2 * end / (1 + end) for end in (jaccard.value, jaccard.low, jaccard.high))
    return Score(*ends)


def _rates(sums: Floats, goal: Goal) -> dict[str, Floats]:
    """(R, 4) -> scores, (R,) each. cost: of a row, in the goal's unit."""
    found, false, missed, rest = sums.T
    recall, specificity = ratio(found, found + missed), ratio(rest, rest + false)
    rates = {
        "precision": ratio(found, found + false),
        "recall": recall,
        "f1": ratio(2 * found, 2 * found + false + missed),
        "balanced_accuracy": (recall + specificity) / 2,
        "accuracy": ratio(found + rest, sums.sum(axis=1)),
    }
    if goal.kind == "cost":
        rates["cost"] = ratio(goal.false_positive * false + goal.false_negative * missed, sums.sum(axis=1))
    return rates


def _curve(probability: Floats, present: npt.NDArray[np.bool_]) -> list[dict[str, float | None]]:
    points = []
    ranked = np.sort(probability.reshape(-1))
    own = np.sort(probability[present])
    for threshold in CURVE:
        chosen = len(ranked) - np.searchsorted(ranked, threshold)
        found = len(own) - np.searchsorted(own, threshold)
        points.append(
            {
                "threshold": round(float(threshold), 2),
                "precision": float(found / chosen) if chosen else None,
                "recall": float(found / len(own)) if len(own) else None,
                "f1": float(2 * found / (chosen + len(own))) if chosen + len(own) else None,
            }
        )
    return points
