"""Forecasts without a model: the last value, and the value one season before, with the quantiles of their errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from luban.features.dataset import Dataset
from luban.tasks.base import Floats
from luban.tasks.forecast.metrics import part
from luban.tasks.forecast.task import SCALE, STEPS, Forecast

MOST_ORIGINS = 2_000  # of training rows, whose errors quantiles are taken of
Rows = npt.NDArray[np.int64]


def last_value(task: Forecast, train: Dataset, data: Dataset) -> Floats:
    """Repeat the last value known, (rows, V, H, 1 + Q)."""
    return _with_quantiles(
        task, train, data, lambda steps, rows: np.repeat(steps[rows][:, :, None], task.horizon, axis=2)
    )


def seasonal(task: Forecast, train: Dataset, data: Dataset) -> Floats:
    """Repeat the last season known, (rows, V, H, 1 + Q): the last value where the look-back is shorter than that."""

    def repeated(steps: Floats, rows: Rows) -> Floats:
        season = task.season if task.season <= task.lookback else 1
        behind = season - np.arange(task.horizon) % season - 1
        found: Floats = steps[rows[:, None] - behind].transpose(0, 2, 1)
        return found

    return _with_quantiles(task, train, data, repeated)


def mean_of_past(task: Forecast, train: Dataset, data: Dataset) -> Floats:
    """Repeat the mean of the look-back, (rows, V, H, 1 + Q)."""

    def repeated(steps: Floats, rows: Rows) -> Floats:
        sums = np.concatenate([np.zeros((1, steps.shape[1])), np.nancumsum(steps, axis=0)])
        mean = (sums[rows + 1] - sums[rows + 1 - task.lookback]) / task.lookback
        return np.repeat(mean[:, :, None], task.horizon, axis=2)

    return _with_quantiles(task, train, data, repeated)


def _with_quantiles(
    task: Forecast, train: Dataset, data: Dataset, forecast: Callable[[Floats, Rows], Floats]
) -> Floats:
    """Add the quantiles of the errors on training rows to a forecast, of each variable and step."""
    mean = forecast(np.asarray(data.targets[STEPS].values), data.index)
    levels = task.config.quantiles
    if not levels:
        return mean[..., None]
    every = np.unique(np.linspace(0, len(train) - 1, min(len(train), MOST_ORIGINS)).astype(np.int64))
    own = train.select(every)
    truth = task.truth(own)
    off = part(truth, "values") - forecast(np.asarray(own.targets[STEPS].values), own.index)
    relative = np.quantile(off / part(truth, "scale")[..., None], levels, axis=0)  # (Q, V, H)
    std = np.asarray(data.targets[SCALE].values)[data.index][..., 1]  # (rows, V)
    bands = mean[None] + relative[:, None] * std[None, :, :, None]
    return np.concatenate([mean[..., None], np.moveaxis(bands, 0, -1)], axis=-1)


NAIVE: dict[str, Callable[[Forecast, Dataset, Dataset], Floats]] = {
    "last_value": last_value,
    "mean_of_past": mean_of_past,
    "seasonal": seasonal,
}
