"""Would more data help: the linear baseline fitted on 10, 30 and 100 % of the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from luban.core.sentence import Sentence, sentence, with_parts
from luban.data.draw import sample_rows
from luban.evaluation.baselines import fit_baselines
from luban.evaluation.rows import Rows
from luban.evaluation.scores.bootstrap import FEW_RESAMPLES
from luban.evaluation.scores.intervals import shown
from luban.evaluation.scores.scoring import compare_rows
from luban.tasks.base import Floats, Metric, Task

SHARES = (0.1, 0.3)
MIN_ROWS = 20  # of the smallest fit
MAX_TEST_ROWS = 5_000


@dataclass(frozen=True)
class LearningCurve:
    """points: rows and score, from few rows to all. verdict: one sentence."""

    model: str
    metric: str
    points: tuple[tuple[int, float], ...]
    verdict: Sentence

    def to_json(self) -> dict[str, Any]:
        points = [{"rows": rows, "score": None if np.isnan(score) else score} for rows, score in self.points]
        return with_parts({"model": self.model, "metric": self.metric, "points": points, "verdict": self.verdict})


def learning_curve(
    task: Task,
    metric: Metric,
    fitting: Rows,
    test: Rows,
    of_all: Floats,
    kinds: Mapping[str, str],
    seed: int = 0,
) -> LearningCurve | None:
    """Score the linear baseline of ever more training rows on up to 5,000 test rows.

    of_all: the outputs for the test rows of the baseline that is fitted on all of `fitting`. Returns None where there
    are too few rows.
    """
    rng = np.random.default_rng(seed)
    order, count = rng.permutation(len(fitting)), len(fitting)
    chosen = sample_rows(len(test), MAX_TEST_ROWS, rng)
    if int(SHARES[0] * count) < MIN_ROWS:
        return None
    scored = test.take(chosen)
    outputs, sizes = [], []
    for share in SHARES:
        few = fitting.take(np.sort(order[: int(share * count)]))
        fitted = fit_baselines(task, few.table, few.targets, kinds, few.images, seed)
        linear = [baseline for baseline in fitted if baseline.name == "linear"]
        if not linear:
            return None
        outputs.append(linear[0].predict(scored.table, scored.images))
        sizes.append(len(few))
    outputs.append(of_all[chosen])
    ones = np.ones((1, len(scored)))
    values = [float(metric.compute(scored.targets, found, ones)[0]) for found in outputs]
    pair = outputs[-2], outputs[-1]
    gain = compare_rows(((metric,), (metric,)), scored.targets, pair, FEW_RESAMPLES, seed)[metric.name]
    helps = gain.times(1 if metric.higher_is_better else -1).low > 0
    points = tuple(zip((*sizes, count), values, strict=True))
    return LearningCurve("linear", metric.name, points, _verdict(metric.name, points, helps))


def _verdict(metric: str, points: Sequence[tuple[int, float]], helps: bool) -> Sentence:
    (few, before), (rows, after) = points[-2:]
    values = {
        "name": metric.replace("_", " "),
        "metric": metric,
        "before": shown(before),
        "few": few,
        "after": shown(after),
        "rows": rows,
    }
    if helps:
        return sentence(
            "learning_curve.helps",
            "More rows would probably help: a linear model goes from {name} {before} on {few:,} training rows to "
            "{after} on {rows:,}, still getting better (the linear model's curve).",
            **values,
        )
    return sentence(
        "learning_curve.helps_little",
        "More rows alone would probably help little: a linear model goes from {name} {before} on {few:,} training rows "
        "to {after} on {rows:,}, no more than chance (the linear model's curve).",
        **values,
    )
