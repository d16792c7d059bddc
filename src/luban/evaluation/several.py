"""One evaluation out of those of several targets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from luban.evaluation.evaluate import Evaluation
from luban.evaluation.scores.intervals import Score
from luban.evaluation.scores.scoring import mean_of
from luban.tasks.base import Array, Floats, Task


def joined(
    task: Task, found: Mapping[str, Evaluation], targets: Array, outputs: Floats, *, decider: str, seed: int = 0
) -> Evaluation:
    """Return the evaluation of a task of several targets.

    found: of each target. targets, outputs: the truth and the answers of the task as it is validated, losses and units.
    decider: the metric that decides. The metrics of the task are the mean over all targets, and each target's own.
    """
    ones, (losses, units) = np.ones((1, len(targets))), np.split(outputs, 2, axis=1)
    scores = {}
    for metric, which in zip(task.metrics, [slice(None), *(slice(i, i + 1) for i in range(len(found)))], strict=True):
        interval = mean_of(_shares(units[:, which], losses[:, which]), seed)
        scores[metric.name] = Score(float(metric.compute(targets, outputs, ones)[0]), interval.low, interval.high)
    beaten = [name for name, own in found.items() if own.beats_baselines]
    verdict = f"Of {len(found)} targets the model beats all baselines on {len(beaten)}."
    details = " ".join(f"{name}: {own.verdict}" for name, own in found.items())
    return Evaluation(
        rows=len(targets),
        task=task.name,
        decider=decider,
        scores=scores,
        baselines={},
        comparisons=(),
        verdict=f"{verdict} {details}",
        directions={metric.name: metric.direction for metric in task.metrics},
        targets=found,
    )


def _shares(units: Floats, losses: Floats) -> Floats:
    """Return what each row adds to the mean over targets of their mean losses, times the rows, (rows,)."""
    means = units.astype(np.float64).mean(axis=0)
    known = means > 0
    shares: Floats = (losses[:, known].astype(np.float64) / means[known]).mean(axis=1)
    return shares
