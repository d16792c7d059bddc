"""What a forecast depends on: stretches of the past and covariates, by what their exchange between windows costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tests.unit.forecasts import forecast_of, series_table

from luban.explain.windows import window_importance
from luban.features import cache
from luban.features.base import FitContext
from luban.features.dataset import Dataset
from luban.features.number import NumberConfig, NumberFeature
from luban.features.schema import Schema
from luban.models.choice import NetworkConfig
from luban.models.network import Network, specify
from luban.predictor import Predictor

LOOKBACK, HORIZON = 10, 3


def made(*, together: bool) -> tuple[Predictor, Dataset]:
    """A model that repeats the last value, and adds what is known of the step."""
    table = series_table(200, columns=("y", "z"))
    draw = np.random.default_rng(0)
    promo, wind = (pl.Series(name, draw.standard_normal(200)) for name in ("promo", "wind"))
    frame = table.frame.with_columns(promo, wind, y=table.frame["y"] + 5 * promo)
    table = replace(table, frame=frame)
    features = tuple(
        NumberFeature.fit(name, (name,), frame, NumberConfig(), FitContext()) for name in ("wind", "promo")
    )
    schema = Schema(features, {}, ["y", "z"])
    settings: dict[str, Any] = {"known": ("promo",), "normalise": "none", "quantiles": (), "together": together}
    task = forecast_of(table, ("y", "z"), horizon=HORIZON, lookback=LOOKBACK, **settings).taking(schema.specs())
    config = NetworkConfig.model_validate({"frames": {"architecture": "dlinear", "kernel": 1}, "hidden": []})
    network = Network(spec := specify(config, task.inputs(schema.specs()), task.heads()))
    head = network.heads[0].linear
    assert isinstance(head, torch.nn.Linear)
    variables = 2 if together else 1
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        for place in range(variables):
            for step in range(HORIZON):
                row = place * HORIZON + step
                head.weight[row, place * LOOKBACK + LOOKBACK - 1] = 1.0
                head.weight[row, (variables + 2) * LOOKBACK + step] = 0.7
    inputs, _ = cache.encode(schema, table, None, None)
    targets, _ = task.encode_targets(frame)
    data = task.examples(Dataset.of(schema, inputs, targets), table, "test")
    return Predictor(schema, task, spec, network, torch.device("cpu")), data


@pytest.mark.parametrize("together", [False, True])
def test_what_a_model_uses_is_found_and_nothing_else(together: bool) -> None:
    predictor, data = made(together=together)
    metric = predictor.task.metrics[0]
    found = {item.column: item.drop for item in window_importance(predictor, data, metric)}
    assert {name for name in found if not name.startswith("t-")} == {"wind", "promo"}
    assert len(found) == 8 + 2
    used = {name for name, drop in found.items() if drop.low > 0}
    assert used == {next(name for name in found if name.endswith("t-0")), "promo"}
    assert all(drop.value == 0 for name, drop in found.items() if name not in used)
    assert window_importance(predictor, data, metric) == window_importance(predictor, data, metric)
