"""Statistical models beside a forecast: what statsforecast says of each window, and what it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.forecasts import forecast_of, series_table

from luban.core.errors import ConfigError
from luban.evaluation import forecasters
from luban.evaluation.forecasters import beside, check_installed, fitted
from luban.features.dataset import Dataset


def test_each_window_is_forecast_from_its_own_look_back() -> None:
    from statsforecast.models import AutoETS

    table = series_table(130, columns=("y", "z"))
    task = forecast_of(table, ("y", "z"), horizon=6, lookback=60, season=24, quantiles=(0.1, 0.5, 0.975))
    data = task.examples(Dataset.of_targets(task.encode_targets(table.frame)[0]), table, "test")
    found = fitted(task, data.select(np.array([0, 40])), "auto_ets")
    assert found.shape == (2, 2, 6, 4)
    origin = int(data.index[40])
    past = table.frame["z"].to_numpy()[origin - 59 : origin + 1]
    own = AutoETS(season_length=24).forecast(y=past, h=6, level=[80, 95])
    for number, key in enumerate(("mean", "lo-80", "mean", "hi-95")):
        np.testing.assert_allclose(found[1, 1, :, number], own[key])


def test_a_model_is_scored_on_the_same_windows() -> None:
    table = series_table(130)
    task = forecast_of(table, horizon=6, lookback=60, season=24)
    data = task.examples(Dataset.of_targets(task.encode_targets(table.frame)[0]), table, "test")
    truth = task.truth(data)
    outputs = np.repeat(truth["values"][..., None], 4, axis=-1)
    found = beside(task, data, outputs, ("auto_ets",))
    assert found["windows"] == 42
    assert found["model"]["mse"]["value"] == 0
    assert 0 < found["auto_ets"]["mse"]["value"] < 1
    assert found["sentences"][0].startswith("AutoETS on the look-back of 42 windows: mse 0.0")
    assert found["sentences_parts"][0]["id"] == "forecast.forecaster"


def test_what_cannot_be_fitted_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed((), forecasts=False)
    check_installed(("auto_ets",), forecasts=True)
    with pytest.raises(ConfigError, match="evaluate.forecasters: expected a forecast, found another task"):
        check_installed(("auto_ets",), forecasts=False)
    monkeypatch.setattr(forecasters, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"found none. Install it: pip install 'luban\[forecast\]'"):
        check_installed(("auto_ets",), forecasts=True)
