"""Permutation importance of what a forecast is made from: stretches of the look-back, and what stands beside it.

Legend: B windows · V variables · L look-back · H horizon · D width of a step · R resamples
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor

from luban.core.tensors import Columns, Ragged
from luban.data.draw import sample_rows
from luban.evaluation.scores.bootstrap import weights_of_resamples
from luban.evaluation.scores.intervals import Score
from luban.explain.importance import MAX_ROWS, REPEATS, RESAMPLES, Importance
from luban.features.dataset import Dataset
from luban.predictor import Predictor
from luban.tasks.base import Metric
from luban.tasks.forecast.task import FUTURE, PAST, Forecast

STRETCHES = 8  # of the look-back
Change = Callable[[Columns, Tensor], Columns]  # inputs of B windows and another order of these -> inputs


def window_importance(
    predictor: Predictor, dataset: Dataset, metric: Metric, *, seed: int = 0, repeats: int = REPEATS
) -> tuple[Importance, ...]:
    """Return how much worse the score becomes as windows exchange a stretch of their past, or a covariate, the most
    important first. dataset: with targets, of which 500 windows at most are drawn."""
    task, draw = cast("Forecast", predictor.task), np.random.default_rng(seed)
    chosen = sample_rows(len(dataset), min(len(dataset), MAX_ROWS), np.random.default_rng(seed))
    rows = dataset.select(chosen)
    truth, batch = task.truth(rows), rows.batch(np.arange(len(rows))).to(predictor.device)
    sign = 1.0 if metric.higher_is_better else -1.0
    weights = np.concatenate([np.ones((1, len(rows))), *weights_of_resamples(len(rows), RESAMPLES, seed)])
    whole = metric.compute(truth, predictor.answers_of(batch), weights)
    found = []
    for name, change in changes_of(task).items():
        drops = np.zeros(len(weights))
        for _ in range(repeats):
            order = torch.from_numpy(draw.permutation(len(rows))).to(predictor.device)
            permuted = predictor.answers_of(replace(batch, inputs=change(batch.inputs, order)))
            drops += sign * (whole - metric.compute(truth, permuted, weights)) / repeats
        found.append(Importance(name, Score.of(float(drops[0]), drops[1:])))
    return tuple(sorted(found, key=lambda item: -np.nan_to_num(item.drop.value, nan=-np.inf)))


def changes_of(task: Forecast) -> dict[str, Change]:
    """Return by name what is exchanged: `t-23 … t-0` of the past, and each covariate, of the past and the future."""
    variables = len(task.columns) if task.config.together else 1
    ends = np.unique(np.linspace(0, task.lookback, min(STRETCHES, task.lookback) + 1).astype(np.int64)).tolist()
    found: dict[str, Change] = {}
    for start, end in pairwise(ends):
        last = f"t-{task.lookback - end}"
        name = f"t-{task.lookback - 1 - start} … {last}" if end > start + 1 else last
        found[name] = _past(task, slice(start, end), slice(0, variables))
    first, ahead = variables, 0
    for name, (_, size) in task.covariates.items():
        columns = slice(first, first + size)
        first += size
        future = None
        if name in task.known:
            future = slice(ahead, ahead + size)
            ahead += size
        found[name] = _beside(task, columns, future, sum(task.covariates[own][1] for own in task.known))
    return found


def _past(task: Forecast, steps: slice, columns: slice) -> Change:
    def change(inputs: Columns, order: Tensor) -> Columns:
        past = inputs[PAST]
        assert isinstance(past, Ragged)
        values = past.values.view(len(order), -1, task.lookback, past.values.shape[-1]).clone()
        values[:, :, steps, columns] = values[order][:, :, steps, columns]
        return {**inputs, PAST: Ragged(values.view(past.values.shape), past.offsets)}

    return change


def _beside(task: Forecast, columns: slice, ahead: slice | None, width: int) -> Change:
    past = _past(task, slice(0, task.lookback), columns)

    def change(inputs: Columns, order: Tensor) -> Columns:
        found = past(inputs, order)
        if ahead is None:
            return found
        future = inputs[FUTURE]
        assert isinstance(future, Tensor)
        values = future.view(len(order), -1, task.horizon, width).clone()
        values[..., ahead] = values[order][..., ahead]
        return {**found, FUTURE: values.view(future.shape)}

    return change
