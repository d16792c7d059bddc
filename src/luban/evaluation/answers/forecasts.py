"""Answers that are the next steps of series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from luban.core.sentence import sentence, with_parts
from luban.evaluation.answers.base import Answer, Constant
from luban.evaluation.quality import Quality
from luban.evaluation.scores.bootstrap import FEW_RESAMPLES
from luban.evaluation.scores.sampled import Units
from luban.evaluation.scores.scoring import score_rows
from luban.features.dataset import Dataset
from luban.tasks.base import Array, Floats
from luban.tasks.forecast.metrics import errors, of_variable, part, truth_of
from luban.tasks.forecast.naive import NAIVE
from luban.tasks.forecast.tables import names_of, steps_of
from luban.tasks.forecast.task import Forecast

SHOWN = 3  # of the steps of a forecast, in one line


class Forecasts(Answer[Forecast]):
    """targets: (rows,) with the fields values, scale and naive. outputs: (rows, V, H, 1 + Q), mean and quantiles."""

    def texts(self, task: Forecast, targets: Array) -> list[str]:
        return [_line(row[0]) for row in part(targets, "values")]

    def cells(self, task: Forecast, targets: Array, frame: pl.DataFrame) -> pl.Series:
        return pl.Series(self.texts(task, targets))

    def said(self, task: Forecast, outputs: Floats) -> pl.Series:
        return pl.Series([_line(row[0, :, 0]) for row in outputs])

    def certain(self, task: Forecast, targets: Array) -> Floats:
        quantiles = len(task.config.quantiles)
        found: Floats = np.repeat(part(targets, "values")[..., None], 1 + quantiles, axis=-1)
        return found

    def quality(self, task: Forecast, targets: Array, outputs: Floats) -> Quality:
        """The absolute error of an origin, in standard deviations, averaged over steps and variables."""
        off = np.abs(errors(targets, outputs)).reshape(len(targets), -1).mean(axis=1)
        return Quality("mae", off, False, False, False)

    def wrongness(self, task: Forecast, targets: Array, outputs: Floats) -> Floats:
        return self.quality(task, targets, outputs).values

    def constant(self, task: Forecast, targets: Array) -> Constant | None:
        """None: what a naive forecast repeats depends on the series."""
        return None

    def details(
        self,
        task: Forecast,
        targets: Array,
        outputs: Floats,
        others: Mapping[str, Floats],
        units: Units | None,
        seed: int,
    ) -> dict[str, Any]:
        """How it was measured; of each step ahead the squared error, and of each variable all scores."""
        config, levels = task.config, task.config.quantiles
        facts = {
            "windows": len(targets),
            "lookback": task.lookback,
            "horizon": task.horizon,
            "frequency": str(config.frequency),
        }
        if len(levels) > 1:
            protocol = sentence(
                "forecast.protocol_quantiles",
                "rolling origin: {windows:,} windows, each {horizon} steps of {frequency} from the {lookback} steps "
                "before; mse, mae and crps in standard deviations of the training rows, coverage meant to be "
                "{level:.0%}",
                level=levels[-1] - levels[0],
                **facts,
            )
        else:
            protocol = sentence(
                "forecast.protocol",
                "rolling origin: {windows:,} windows, each {horizon} steps of {frequency} from the {lookback} steps "
                "before; mse, mae and crps in standard deviations of the training rows",
                **facts,
            )
        models = {"model": outputs, **others}
        squares = {name: (errors(targets, said) ** 2).mean(axis=(0, 1)) for name, said in models.items()}
        steps = [
            {"step": step + 1, **{name: float(found[step]) for name, found in squares.items()}}
            for step in range(task.horizon)
        ]
        variables = {}
        for place, name in enumerate(task.columns if len(task.columns) > 1 else ()):
            own = of_variable(targets, place), outputs[:, place : place + 1]
            scores = score_rows(task.metrics, *own, FEW_RESAMPLES, seed, units)
            variables[name] = {metric: score.to_json() for metric, score in scores.items()}
        return {"forecast": with_parts({**facts, "protocol": protocol, "steps": steps, "variables": variables})}

    def stored(self, task: Forecast, frame: pl.DataFrame) -> tuple[Array, Floats]:
        names = [f"actual_{name}" for name in task.columns]
        values = np.stack([steps_of(frame[name], task.horizon) for name in names], axis=1)
        said = [name for column in task.columns for name in names_of(column, task.config.quantiles)]
        outputs = np.stack([steps_of(frame[name], task.horizon) for name in said], axis=1)
        shape = (len(frame), len(task.columns), 1 + len(task.config.quantiles), task.horizon)
        return truth_of(values, task.scale_of_rows(frame)), outputs.reshape(shape).transpose(0, 1, 3, 2)

    def references(self, task: Forecast, train: Dataset, data: Dataset) -> dict[str, Floats]:
        return {
            name: naive(task, train, data) for name, naive in NAIVE.items() if name != "seasonal" or task.season > 1
        }


def _line(values: Array) -> str:
    """Return a few steps in one line."""
    shown = ", ".join(f"{value:.4g}" for value in values[:SHOWN].tolist())
    return (
        f"{shown}, …, {values[-1]:.4g}" if len(values) > SHOWN + 1 else ", ".join(f"{v:.4g}" for v in values.tolist())
    )
