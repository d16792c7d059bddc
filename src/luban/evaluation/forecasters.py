"""Statistical models that are fitted on the look-back of each window anew: the only adapter to `statsforecast`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from luban.core.errors import ConfigError
from luban.core.sentence import sentence, with_parts
from luban.evaluation.config import Forecaster
from luban.evaluation.evaluate import Evaluation, evaluate
from luban.evaluation.scores.intervals import shown
from luban.features.dataset import Dataset
from luban.tasks.base import Floats
from luban.tasks.forecast.task import STEPS, Forecast

CLASSES: dict[Forecaster, str] = {"auto_ets": "AutoETS", "auto_arima": "AutoARIMA"}
MOST_SERIES = 42  # windows times variables: an AutoARIMA of a season of 24 takes ten seconds


def check_installed(wanted: Sequence[Forecaster], *, forecasts: bool) -> None:
    """Raise ConfigError, before time is spent, where forecasters are wanted that there are not, or of another task.

    forecasts: whether the task is a forecast.
    """
    if wanted and not forecasts:
        raise ConfigError(
            "evaluate.forecasters", expected="a forecast", found="another task", action="Remove the setting"
        )
    if wanted and find_spec("statsforecast") is None:
        raise ConfigError(
            "evaluate.forecasters",
            expected="the package statsforecast",
            found="none",
            action="Install it: pip install 'luban[forecast]'",
        )


def beside(
    task: Forecast, data: Dataset, outputs: Floats, wanted: Sequence[Forecaster], *, seed: int = 0
) -> dict[str, Any]:
    """Return what forecasters score on some of the windows, and the model on the same, as JSON values.

    outputs: of the model, for all of the data. As many windows are drawn evenly as make MOST_SERIES series at most.
    """
    count = min(len(data), max(1, MOST_SERIES // len(task.columns)))
    chosen = np.unique(np.linspace(0, len(data) - 1, count).astype(np.int64))
    own = data.select(chosen)
    theirs: dict[str, Floats] = {name: fitted(task, own, name) for name in wanted}
    found = evaluate(task, task.truth(own), outputs[chosen], theirs, seed=seed, units=own.units)
    return with_parts(
        {
            "windows": len(chosen),
            "model": _scores(found, None),
            **{name: _scores(found, name) for name in wanted},
            "sentences": [_sentence(found, name, len(chosen)) for name in wanted],
        }
    )


def _scores(found: Evaluation, name: str | None) -> Mapping[str, Any]:
    scores = found.scores if name is None else found.baselines[name]
    return {metric: score.to_json() for metric, score in scores.items()}


def _sentence(found: Evaluation, name: str, windows: int) -> str:
    one = next(comparison for comparison in found.comparisons if comparison.baseline == name)
    return sentence(
        "forecast.forecaster",
        "{name} on the look-back of {windows} windows: {metric} {other} against {model} of the model there (difference "
        "{difference}, 95 % interval {low} to {high}; above 0 the model is better)",
        name=CLASSES[name],  # type: ignore[index]
        windows=windows,
        metric=one.metric,
        other=shown(one.other),
        model=shown(one.model),
        difference=shown(one.difference.value),
        low=shown(one.difference.low),
        high=shown(one.difference.high),
    )


def fitted(task: Forecast, data: Dataset, name: Forecaster) -> Floats:
    """Return the forecasts of a model that is fitted on the look-back of each window, (rows, V, H, 1 + Q)."""
    from statsforecast import models  # takes seconds to import

    levels = task.config.quantiles
    widths = sorted({_width(level) for level in levels} - {0})
    steps = np.asarray(data.targets[STEPS].values)
    outputs = np.empty((len(data), len(task.columns), task.horizon, 1 + len(levels)))
    for row, origin in enumerate(data.index.tolist()):
        for place in range(len(task.columns)):
            past = steps[origin - task.lookback + 1 : origin + 1, place]
            season = task.season if len(past) >= 2 * task.season else 1
            model = getattr(models, CLASSES[name])(season_length=season)
            found = model.forecast(y=past, h=task.horizon, level=widths or None)
            outputs[row, place, :, 0] = np.asarray(found["mean"])
            for number, level in enumerate(levels, 1):
                outputs[row, place, :, number] = np.asarray(found[_key(level)])
    return outputs


def _key(level: float) -> str:
    """Return what statsforecast calls a quantile: the end of an interval around the mean."""
    width = _width(level)
    return f"{'lo' if level < 0.5 else 'hi'}-{width}" if width else "mean"


def _width(level: float) -> float:
    """Return the per cent that lie between a quantile and its mirror image; whole ones are integers, named as such."""
    width = round(100 * abs(2 * level - 1), 6)
    return int(width) if width == int(width) else width
