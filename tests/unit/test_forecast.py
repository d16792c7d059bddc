"""Forecasts: what is learned of series, what is said of them, and what cannot be forecast."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tests.unit.forecasts import START, forecast_of, series_table

from luban.core.errors import ConfigError, DataError, SchemaError
from luban.core.tensors import Columns, InputSpec, TensorKind
from luban.data.table import Table
from luban.features.dataset import Dataset
from luban.models.choice import NetworkConfig, complete
from luban.tasks.base import LossConfig
from luban.tasks.config import TaskConfig
from luban.tasks.forecast.arrange import arranged, check_leaks, decided, targets_of
from luban.tasks.forecast.config import ForecastConfig
from luban.tasks.forecast.metrics import part
from luban.tasks.forecast.naive import last_value, seasonal
from luban.tasks.forecast.task import Forecast

COLUMNS = ("y", "z")


def windows(task: Forecast, table: Table, role: str = "train") -> Dataset:
    targets, bad = task.encode_targets(table.frame)
    kept = np.setdiff1d(np.arange(len(table)), list(bad))
    return task.examples(Dataset.of_targets(targets).select(kept), table, role)


def outputs_of(task: Forecast, count: int, seed: int = 0) -> Columns:
    rows = count * (1 if task.config.together else len(task.columns))
    (head,) = task.heads()
    return {"forecast": torch.randn(rows, head.size, generator=torch.Generator().manual_seed(seed))}


# What is learned


def test_scales_are_those_of_the_training_rows_of_each_series() -> None:
    table = series_table(60, columns=COLUMNS, keys=("a", "b"))
    task = forecast_of(table, COLUMNS, horizon=4, season=24)
    assert sorted(task.scales) == ["a", "b"]
    own = table.frame.filter(pl.col("place") == "b")["z"].to_numpy()
    expected = (own.mean(), own.std(), np.abs(own[24:] - own[:-24]).mean())
    assert task.scales["b"][1] == pytest.approx(expected)


def test_what_is_left_open_is_decided_from_the_rows() -> None:
    task = forecast_of(series_table(500), horizon=24)
    assert (task.lookback, task.season) == (72, 24)
    assert forecast_of(series_table(500), horizon=4).lookback == 48
    assert forecast_of(series_table(50), horizon=24).lookback == 13
    assert task.resolved(TaskConfig()).forecast == task.config


def test_a_constant_series_has_a_scale_of_one() -> None:
    table = series_table(40)
    constant = replace(table, frame=table.frame.with_columns(y=pl.lit(3.0)))
    assert forecast_of(constant, horizon=2).scales[""] == [(3.0, 1.0, 1.0)]


def test_series_that_are_too_short_cannot_be_learned() -> None:
    with pytest.raises(
        DataError, match=r"a series with 29 rows \(look-back 24, horizon 5\) and no gap, found 28 at most"
    ):
        forecast_of(series_table(28), horizon=5, lookback=24)


def test_a_table_where_a_target_is_never_there_cannot_be_learned() -> None:
    table = series_table(40)
    nothing = replace(table, frame=table.frame.with_columns(z=pl.lit(None, pl.Float64)))
    with pytest.raises(DataError, match="target 'z': expected a number in some row"):
        forecast_of(nothing, ("y", "z"), horizon=2)


def test_state_is_what_is_stored() -> None:
    task = forecast_of(series_table(60, columns=COLUMNS, keys=("a", "b")), COLUMNS, horizon=4, known=("promo",))
    task = task.taking([InputSpec("promo", TensorKind.DENSE, 2), InputSpec("kind", TensorKind.IDS, 3)])
    again = Forecast.from_state(json.loads(json.dumps(task.state())))
    assert again.state() == task.state()
    assert [spec.size for spec in again.inputs([])] == [1 + 5, 4 * 2]
    for change in ({"scales": {"a": [[0.0, 1.0, 1.0]]}}, {"known": ["other"]}, {"columns": []}):
        with pytest.raises(ValueError, match=r"scales|known|columns"):
            Forecast.from_state(json.loads(json.dumps({**task.state(), **change})))


# What is said


@pytest.mark.parametrize("together", [False, True])
def test_quantiles_never_cross(together: bool) -> None:
    task = forecast_of(
        series_table(60, columns=COLUMNS), COLUMNS, horizon=3, quantiles=(0.05, 0.25, 0.5, 0.95), together=together
    )
    data = windows(task, series_table(60, columns=COLUMNS))
    batch = data.batch(np.arange(5))
    answers = task.answers(task.keep(outputs_of(task, 5), batch))
    assert answers.shape == (5, 2, 3, 5)
    assert (np.diff(answers[..., 1:], axis=-1) > 0).all()


def test_the_loss_of_a_perfect_forecast_is_zero_and_units_are_variables() -> None:
    table = series_table(60, columns=COLUMNS)
    task = forecast_of(table, COLUMNS, horizon=3, quantiles=())
    batch = windows(task, table).batch(np.arange(6))
    level, scale, steps = (batch.targets[name] for name in ("level", "scale", "steps"))
    assert isinstance(steps, torch.Tensor)
    standard = (steps.transpose(1, 2) - scale[..., :1]) / scale[..., 1:2]  # type: ignore[index]
    raw = (standard - level[..., :1]) / level[..., 1:]  # type: ignore[index]
    perfect = {"forecast": raw.float().reshape(12, 3)}
    torch.testing.assert_close(task.loss(perfect, batch), torch.zeros(6), atol=1e-8, rtol=0)
    assert task.num_units(batch).tolist() == [2.0] * 6
    answers = task.answers(task.keep(perfect, batch))
    np.testing.assert_allclose(answers[..., 0], steps.transpose(1, 2), rtol=1e-5)


def test_the_loss_is_that_of_the_mean_and_twice_that_of_the_quantiles() -> None:
    table = series_table(60)
    task = forecast_of(table, horizon=4, quantiles=(0.1, 0.9))
    data = windows(task, table)
    batch, outputs = data.batch(np.arange(7)), outputs_of(task, 7)
    answers, truth = task.answers(task.keep(outputs, batch)), task.truth(data.select(np.arange(7)))
    off = (part(truth, "values") - answers[..., 0]) / part(truth, "scale")[..., None]
    expected = (off**2).mean(axis=-1).sum(axis=1)
    for place, quantile in ((1, 0.1), (2, 0.9)):
        off = (part(truth, "values") - answers[..., place]) / part(truth, "scale")[..., None]
        expected += 2 * np.where(off > 0, quantile * off, (quantile - 1) * off).mean(axis=-1).sum(axis=1) / 2
    np.testing.assert_allclose(task.loss(outputs, batch), expected, rtol=1e-4)


def test_other_losses_of_the_mean_are_taken_and_those_of_classes_refused() -> None:
    table = series_table(60)
    task = forecast_of(table, horizon=4, quantiles=())
    batch, outputs = windows(task, table).batch(np.arange(7)), outputs_of(task, 7)
    losses = [task.configured(LossConfig(loss=name)).loss(outputs, batch).sum() for name in ("mse", "mae", "huber")]
    assert len({round(float(loss), 4) for loss in losses}) == 3
    with pytest.raises(ConfigError, match=r"train.loss.label_smoothing: expected no such setting"):
        task.configured(LossConfig(label_smoothing=0.1))


def test_a_constant_output_has_a_row_a_variable() -> None:
    table = series_table(60, columns=COLUMNS)
    task = forecast_of(table, COLUMNS, horizon=3, normalise="none")
    batch = windows(task, table).batch(np.arange(6))
    found = task.chance_loss(replace(batch, inputs={}))
    assert found.shape == (6,)
    assert bool(found.isfinite().all())


# Scores


def test_scores_are_those_of_their_formulas() -> None:
    table = series_table(80, columns=COLUMNS)
    task = forecast_of(table, COLUMNS, horizon=3, season=24)
    data = windows(task, table)
    truth, answers = (
        task.truth(data),
        task.answers(task.keep(outputs_of(task, len(data)), data.batch(np.arange(len(data))))),
    )
    found = {metric.name: float(metric.compute(truth, answers, np.ones((1, len(data))))[0]) for metric in task.metrics}
    sums = dict.fromkeys(found, 0.0)
    steps = table.frame.select(COLUMNS).to_numpy()
    for row, origin in enumerate(data.index.tolist()):
        for variable, name in enumerate(COLUMNS):
            _, std, naive = task.scales[""][variable]
            for step in range(3):
                actual, said = steps[origin + 1 + step, variable], answers[row, variable, step]
                off = said[0] - actual
                sums["mse"] += (off / std) ** 2
                sums["mae"] += abs(off) / std
                sums["mase"] += abs(off) / naive
                sums["smape"] += 2 * abs(off) / (abs(actual) + abs(said[0]))
                sums["crps"] += (
                    2
                    * np.mean(
                        [
                            max(q * (actual - x), (q - 1) * (actual - x))
                            for q, x in zip(task.config.quantiles, said[1:], strict=True)
                        ]
                    )
                    / std
                )
                sums["coverage"] += float(said[1] <= actual <= said[-1])
            assert name in task.columns
    assert found == pytest.approx({name: total / (len(data) * 6) for name, total in sums.items()})


def test_crps_tends_to_that_of_the_distribution() -> None:
    """Of a standard normal forecast and an outcome of 0.5: 0.3314 (Gneiting and Raftery, 2007, equation 21)."""
    from scipy.stats import norm

    levels = tuple((np.arange(99) + 1) / 100)
    table = series_table(40)
    task = forecast_of(table, horizon=1, quantiles=levels)
    truth = task.truth(windows(task, table))[:1]
    part(truth, "values")[:], part(truth, "scale")[:] = 0.5, 1.0
    answers = np.concatenate([[0.0], norm.ppf(levels)])[None, None, None]
    crps = next(metric for metric in task.metrics if metric.name == "crps")
    z = 0.5
    expected = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / math.sqrt(math.pi)
    assert float(crps.compute(truth, answers, np.ones((1, 1)))[0]) == pytest.approx(expected, rel=0.02)


def test_without_quantiles_there_is_no_score_of_them() -> None:
    assert [metric.name for metric in forecast_of(series_table(60), horizon=2, quantiles=()).metrics] == [
        "mse",
        "mae",
        "mase",
        "smape",
    ]
    assert "coverage" not in {
        metric.name for metric in forecast_of(series_table(60), horizon=2, quantiles=(0.5,)).metrics
    }


def test_naive_forecasts_repeat_what_was_known() -> None:
    table = series_table(120, columns=COLUMNS)
    task = forecast_of(table, COLUMNS, horizon=30, lookback=40, season=24)
    data = windows(task, table)
    steps = table.frame.select(COLUMNS).to_numpy()
    last, season = last_value(task, data, data), seasonal(task, data, data)
    assert last.shape == season.shape == (len(data), 2, 30, 4)
    for row in (0, len(data) - 1):
        origin = int(data.index[row])
        for step in range(30):
            np.testing.assert_array_equal(last[row, :, step, 0], steps[origin])
            behind = origin + 1 + step - 24 * (1 + step // 24)
            np.testing.assert_array_equal(season[row, :, step, 0], steps[behind])
    covered = (last[..., 1] <= part(task.truth(data), "values")) & (part(task.truth(data), "values") <= last[..., 3])
    assert covered.mean() == pytest.approx(0.8, abs=0.03)


# Tables


def test_predictions_are_lists_a_row_or_a_row_a_step() -> None:
    table = series_table(60, columns=COLUMNS, keys=("a", "b"))
    task = forecast_of(table, COLUMNS, horizon=3, lookback=10, quantiles=(0.1, 0.9))
    answers = np.arange(2 * 2 * 3 * 3, dtype=np.float64).reshape(2, 2, 3, 3)
    frame = task.decode(answers, table.frame[[59, 119]])
    assert frame.columns == [
        "place",
        "time",
        *(f"predicted_{name}{q}" for name in COLUMNS for q in ("", "_q0.1", "_q0.9")),
    ]
    assert frame["predicted_z"].to_list() == [[9.0, 12.0, 15.0], [27.0, 30.0, 33.0]]
    rows = task.laid_out(frame, 2)
    assert rows["place"].to_list() == ["a", "a", "b", "b"]
    assert [(cell - START).total_seconds() / 3600 for cell in rows["time"].to_list()] == [60, 61, 60, 61]
    assert rows["predicted_z_q0.9"].to_list() == [11.0, 14.0, 29.0, 32.0]
    assert task.decode(answers).columns == frame.columns[2:]
    for horizon, told in ((4, "Train with task.forecast.horizon=4"), (0, "Correct it")):
        with pytest.raises(ConfigError, match=f"horizon: expected 1 to 3 steps, .* found {horizon}. {told}"):
            task.check_horizon(horizon)


def test_rows_to_predict_are_put_in_order_and_series_told_of() -> None:
    table = series_table(60, keys=("a", "b"))
    task = forecast_of(table, horizon=3, lookback=10)
    others = pl.concat([series_table(20, keys=("c",)).frame, series_table(5, keys=("a",)).frame]).reverse()
    rows = Table(others, "new.csv", None, np.arange(1, 26))
    found, notes = task.rearranged(rows, "predict")
    assert len(found) == 31
    assert notes == [
        "the rows are put in the order of 'time'",
        "1 of 2 series with less than 10 known rows at the end: no forecast for them",
        "'place': 'c' not among the series of the training: scaled by their own first values",
    ]
    data = windows(task, found, "predict")
    assert found.frame["place"][data.rows.tolist()].to_list() == ["c"]
    with pytest.raises(DataError, match="expected a series with 10 known rows at its end and no gap"):
        task.rearranged(rows.take(np.arange(5)), "predict")
    with pytest.raises(SchemaError, match="new.csv, target 'y'"):
        task.rearranged(replace(rows, frame=others.drop("y")), "predict")


def test_a_series_that_was_not_trained_on_has_the_scale_of_its_first_window() -> None:
    table = series_table(60, keys=("a", "b"))
    task = forecast_of(table, horizon=3, lookback=10)
    new = series_table(40, seed=3, keys=("c",)).frame
    targets, _ = task.encode_targets(new)
    first = new["y"].to_numpy()[:10]
    assert np.asarray(targets["scale"].values)[:, 0, :2].tolist() == [[first.mean(), first.std()]] * 40


def test_what_is_known_in_advance_must_be_there() -> None:
    table = series_table(60)
    table = replace(table, frame=table.frame.with_columns(promo=pl.lit(1)))
    task = forecast_of(table, horizon=3, lookback=10, known=("promo",)).taking(
        [InputSpec("promo", TensorKind.DENSE, 1)]
    )
    with pytest.raises(
        DataError, match="column 'promo': expected a cell in each of the 3 rows behind .* found 3 missing"
    ):
        task.rearranged(table, "predict")
    behind = series_table(63).frame.tail(3).with_columns(y=pl.lit(None, pl.Float64), promo=pl.lit(0))
    whole = Table(pl.concat([table.frame, behind]), "rows.csv", None, np.arange(1, 64))
    found, notes = task.rearranged(whole, "predict")
    assert (len(found), notes) == (63, [])


def test_a_missing_value_breaks_the_windows_across_it() -> None:
    table = series_table(60)
    cells = [None if place == 30 else cell for place, cell in enumerate(table.frame["y"])]
    task = forecast_of(table, horizon=3, lookback=5)
    found = windows(task, replace(table, frame=table.frame.with_columns(y=pl.Series(cells))))
    assert set(found.index.tolist()) == {*range(4, 27), *range(35, 57)}


# Settings


def test_the_time_and_the_targets_are_told_by_the_columns() -> None:
    frame = pl.DataFrame(
        {
            "日期": ["2024-01-01", "2024-01-02", "2024-01-03"],
            "place": ["a", "b", "a"],
            "y": ["1", "2,5", "3"],
            "z": [1, 2, 4],
            "one": [1, 1, 1],
        }
    )
    table = Table(frame, "rows.csv", None, np.arange(1, 4))
    config = decided(table, ForecastConfig())
    assert config.time == "日期"
    assert targets_of(table, config, {}) == ("z",)
    assert targets_of(table, config, {"other": "number"}) == ("z",)
    with pytest.raises(ConfigError, match="data.target: expected the columns to forecast, found no other column"):
        targets_of(table, config, {"z": "ignore"})
    with pytest.raises(SchemaError, match=r"task.forecast.known 'promo'"):
        decided(table, ForecastConfig(known=("promo",)))


def test_tables_beside_the_training_rows_have_their_frequency() -> None:
    tables = {"train": series_table(30), "test": series_table(1)}
    found, config, notes = arranged(tables, ("y",), ForecastConfig(time="time", horizon=2))
    assert config.frequency == "1h"
    assert len(found["test"]) == 1
    assert notes == ["forecasts 2 steps of 1h (task.forecast.horizon)"]


def test_a_column_that_holds_the_future_of_a_target_is_told() -> None:
    y = np.cumsum(np.random.default_rng(0).standard_normal(300))
    frame = pl.DataFrame(
        {
            "y": y,
            "later": 3 - 2 * np.roll(y, -4),
            "other": np.random.default_rng(1).standard_normal(300),
            "step": np.arange(300),
        }
    )
    check_leaks(frame, ["y"], ["other", "step"], 10, "rows.csv")
    check_leaks(frame, ["y"], ["later"], 3, "rows.csv")
    with pytest.raises(
        DataError,
        match="column 'later': expected what is known at its time, found the values that 'y' has 4 steps later",
    ):
        check_leaks(frame[:290], ["y"], ["other", "later"], 10, "rows.csv")


@pytest.mark.parametrize(
    "settings", [{"quantiles": [0.5, 0.1]}, {"quantiles": [0.5, 0.5]}, {"frequency": "1 hour"}, {"horizon": 0}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ascending|frequency|greater"):
        ForecastConfig.model_validate(settings)


def test_inputs_beside_the_targets_are_numbers_dates_or_categories() -> None:
    task = forecast_of(series_table(60), horizon=3)
    with pytest.raises(ConfigError, match="found 'photo', which is encoded to grid. Set data.columns.photo=ignore"):
        task.taking([InputSpec("photo", TensorKind.GRID, 3, 8, 8)])


def test_errors_of_the_naive_forecast_are_between_moments_and_not_rows() -> None:
    table = series_table(60)
    kept = np.delete(np.arange(60), [20, 21, 41])
    task = forecast_of(table.take(kept), horizon=2, lookback=4, season=7)
    values = table.frame["y"].to_numpy()
    pairs = [i for i in range(7, 60) if not set(range(i - 7, i + 1)) & {20, 21, 41}]
    assert task.scales[""][0][2] == pytest.approx(np.mean([abs(values[i] - values[i - 7]) for i in pairs]))


def test_rows_of_another_step_are_told() -> None:
    task = forecast_of(series_table(60), horizon=3, lookback=10)
    daily = series_table(60).frame.with_columns(time=START + pl.int_range(60) * timedelta(days=1))
    rows = Table(daily, "new.csv", None, np.arange(1, 61))
    with pytest.raises(DataError, match="column 'time': expected rows that are 1h apart, .* found 1d mostly"):
        task.rearranged(rows, "predict")


def test_forecasts_by_days_are_dates() -> None:
    daily = series_table(60).frame.with_columns(time=START + pl.int_range(60) * timedelta(days=1))
    table = Table(daily, "days.csv", None, np.arange(1, 61))
    task = forecast_of(table, horizon=3, lookback=10, frequency="1d")
    rows = task.laid_out(task.decode(np.zeros((1, 1, 3, 4)), daily.tail(1)))
    assert rows["time"].to_list() == [(START + timedelta(days=day)).date() for day in (60, 61, 62)]


def test_no_forecast_is_made_inside_a_gap_that_a_line_fills() -> None:
    table = series_table(60)
    kept = table.take(np.delete(np.arange(60), [30, 31]))
    for fill, lacking in (("interpolate", {30, 31}), ("forward", set())):
        task = forecast_of(table, horizon=3, lookback=5, fill=fill)
        whole, _ = task.rearranged(kept, "test")
        assert len(whole) == 60
        found = windows(task, whole, "test")
        assert set(range(4, 57)) - set(found.index.tolist()) == lacking


def test_what_is_known_in_advance_is_an_input() -> None:
    task = forecast_of(series_table(60), horizon=3, known=("promo",))
    with pytest.raises(ConfigError, match="task.forecast.known: expected inputs: 'wind', found 'promo', which is none"):
        task.taking([InputSpec("wind", TensorKind.DENSE, 1)])


def test_a_forecast_has_a_network_of_its_own_where_none_is_named() -> None:
    kinds = {TensorKind.FRAMES}
    found, notes = complete(NetworkConfig(), kinds, chinese=False, usual=Forecast.architecture)
    assert found.frames is not None
    assert (found.frames.architecture, found.hidden, found.dropout) == ("dlinear", (), 0.0)
    assert notes == ["windows: dlinear (change with --model)"]
    chosen = NetworkConfig.model_validate({"frames": {"architecture": "gru"}, "dropout": 0.1})
    assert complete(chosen, kinds, chinese=False, usual=Forecast.architecture)[0].dropout == 0.1
