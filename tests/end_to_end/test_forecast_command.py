"""Forecasts through the command line: tables of series to a model, to the steps behind them, to scores and a page."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

START = datetime(2024, 1, 1)
FORECAST = ("--set", "data.task=forecast", "--set", "task.forecast.horizon=6", "--set", "task.forecast.lookback=24")
TRAIN = ("--set", "train.epochs=4", "--set", "train.optim.learning_rate=0.01", "--set", "model.dropout=0")


def series(rows: int, *, shift: int = 0, seed: int = 0, level: float = 10.0) -> dict[str, Any]:
    """Hours of a day, twice, and some noise."""
    rng, hours = np.random.default_rng(seed), np.arange(rows) + shift
    return {
        "date": [(START + timedelta(hours=int(hour))).strftime("%Y-%m-%d %H:%M:%S") for hour in hours],
        "load": (level + np.sin(hours * np.pi / 12) + 0.05 * rng.standard_normal(rows)).round(4),
        "heat": (2 * np.cos(hours * np.pi / 12) + 0.05 * rng.standard_normal(rows)).round(4),
    }


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_a_wide_table_to_a_model_to_the_steps_behind_it(luban, tmp_path: Path) -> None:
    pl.DataFrame(series(600)).write_csv(tmp_path / "load.csv")
    trained = luban("train", "load.csv", *FORECAST, *TRAIN)
    assert trained.code == 0, trained.err
    assert "targets: 'load', 'heat' (set them with --target)" in trained.out
    assert "forecasts 6 steps of 1h (task.forecast.horizon)" in trained.out
    assert "rolling origin: 55 windows, each 6 steps of 1h from the 24 steps before" in trained.out
    run = tmp_path / "runs" / "load"
    metrics = read(run / "metrics.json")
    assert set(metrics["scores"]) == {"mse", "mae", "mase", "smape", "crps", "coverage"}
    assert set(metrics["baselines"]) == {"last_value", "mean_of_past", "seasonal"}
    assert metrics["scores"]["mse"]["value"] < 0.5 * metrics["baselines"]["last_value"]["mse"]["value"]
    assert metrics["scores"]["mse"]["low"] < metrics["scores"]["mse"]["value"] < metrics["scores"]["mse"]["high"]
    assert len(metrics["forecast"]["steps"]) == 6
    assert set(metrics["forecast"]["variables"]) == {"load", "heat"}
    stored = pl.read_parquet(run / "predictions.parquet")
    assert stored.height == metrics["rows"] == 55
    squares = []
    for name in ("load", "heat"):
        train_rows = pl.read_csv(tmp_path / "load.csv")[name][:480]
        off = np.array(stored[f"actual_{name}"].to_list()) - np.array(stored[f"predicted_{name}"].to_list())
        squares.append((off / train_rows.to_numpy().std()) ** 2)
    assert np.mean(squares) == pytest.approx(metrics["scores"]["mse"]["value"], rel=1e-6)
    page = (run / "report.html").read_text("utf-8")
    assert "Forecast of “load”, the middle one of the test rows" in page
    assert "MSE by step ahead" in page

    pl.DataFrame(series(30, shift=600, seed=1)).write_csv(tmp_path / "new.csv")
    predicted = luban("predict", "runs/load", "new.csv", "-o", "out.csv", "--horizon", "3")
    assert predicted.code == 0, predicted.err
    found = pl.read_csv(tmp_path / "out.csv")
    assert found["date"].to_list() == [f"2024-01-27 0{hour}:00:00" for hour in (6, 7, 8)]
    truth = series(33, shift=600, seed=1)["load"][30:]
    assert np.abs(found["predicted_load"].to_numpy() - truth).max() < 0.6
    assert (found["predicted_load_q0.1"] < found["predicted_load_q0.9"]).all()
    too_far = luban("predict", "runs/load", "new.csv", "--horizon", "7")
    assert too_far.code == 1
    assert "horizon: expected 1 to 6 steps, which the run was trained for, found 7" in too_far.err
    scored = luban("evaluate", "runs/load", "new.csv")
    assert scored.code == 0, scored.err
    assert "mase" in scored.out
    again = luban("train", "runs/load/config.yaml", "--name", "again")
    assert again.code == 0, again.err
    assert read(tmp_path / "runs" / "again" / "metrics.json")["scores"] == metrics["scores"]
    compared = luban("compare", "runs/load", "runs/again")
    assert compared.code == 0, compared.err


def test_a_long_table_of_chinese_names_with_gaps_and_a_series_never_seen(luban, tmp_path: Path) -> None:
    parts = [
        pl.DataFrame(series(200, seed=place, level=20.0 * place + 5)).with_columns(站点=pl.lit(name))
        for place, name in enumerate("甲乙丙")
    ]
    whole = pl.concat(parts).rename({"date": "日期", "load": "负荷"}).drop("heat")
    keep = np.ones(len(whole), np.bool_)
    keep[[90, 91, 300]] = False
    whole.filter(pl.Series(keep)).sample(fraction=1.0, shuffle=True, seed=0).write_csv(
        tmp_path / "负荷.csv", separator=";"
    )
    key = (
        "--set",
        "task.forecast.key=站点",
        "--target",
        "负荷",
        "--model",
        "lstm",
        "--set",
        "model.frames.hidden=16",
        "--set",
        "lang=zh",
    )
    trained = luban("train", "负荷.csv", *FORECAST, *TRAIN, *key)
    assert trained.code == 0, trained.err
    assert "the rows are put in the order of '日期'" in trained.out
    assert "2 places in '日期' where the next row is not one step of 1h later" in trained.out
    page = (tmp_path / "runs" / "负荷" / "report.html").read_text("utf-8")
    assert "滚动起点" in page
    assert "季节性朴素预测" in page
    new = pl.DataFrame(series(40, seed=9, level=500.0)).rename({"date": "日期", "load": "负荷"}).drop("heat")
    new.with_columns(站点=pl.lit("丁")).write_csv(tmp_path / "new.csv")
    predicted = luban("predict", "runs/负荷", "new.csv", "-o", "out.csv")
    assert predicted.code == 0, predicted.err
    assert "'站点': '丁' not among the series of the training" in predicted.out + predicted.err
    found = pl.read_csv(tmp_path / "out.csv")
    assert found["站点"].to_list() == ["丁"] * 6
    assert np.abs(found["predicted_负荷"].to_numpy() - 500).max() < 5


def test_what_is_known_in_advance_and_the_date_are_inputs(luban, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(series(600)).drop("heat")
    promo = rng.integers(0, 2, 600)
    frame = frame.with_columns(
        load=frame["load"] + 3 * promo, promo=pl.Series(promo), wind=pl.Series(rng.standard_normal(600))
    )
    frame[:594].write_csv(tmp_path / "sales.csv")
    known = ("--set", "task.forecast.known=[promo, date]", "--target", "load")
    trained = luban("train", "sales.csv", *FORECAST, *TRAIN, *known, "--set", "train.epochs=15")
    assert trained.code == 0, trained.err
    metrics = read(tmp_path / "runs" / "sales" / "metrics.json")
    assert metrics["scores"]["mse"]["value"] < 0.2 * metrics["baselines"]["seasonal"]["mse"]["value"]
    lacking = luban("predict", "runs/sales", "sales.csv")
    assert lacking.code == 1
    assert "column 'promo': expected a cell in each of the 6 rows behind the last known step of a series" in lacking.err
    ahead = frame[594:].with_columns(load=pl.lit(None, pl.Float64), wind=pl.lit(None, pl.Float64))
    pl.concat([frame[:594], ahead]).write_csv(tmp_path / "ahead.csv")
    predicted = luban("predict", "runs/sales", "ahead.csv", "-o", "out.parquet")
    assert predicted.code == 0, predicted.err
    off = pl.read_parquet(tmp_path / "out.parquet")["predicted_load"].to_numpy() - frame["load"][594:].to_numpy()
    assert np.abs(off).mean() < 1.0


@pytest.mark.parametrize("fill", ["forward", "interpolate"])
def test_gaps_are_filled_if_asked(luban, tmp_path: Path, fill: str) -> None:
    frame = pl.DataFrame(series(400))
    frame.filter(pl.int_range(pl.len()) % 9 != 5).write_csv(tmp_path / "load.csv")
    without = luban("train", "load.csv", *FORECAST, *TRAIN)
    assert without.code == 1
    assert "expected a series with 30 rows (look-back 24, horizon 6) and no gap, found " in without.err
    assert "task.forecast.fill" in without.err
    trained = luban("train", "load.csv", *FORECAST, *TRAIN, "--set", f"task.forecast.fill={fill}")
    assert trained.code == 0, trained.err
    assert f"are filled ({fill})" in trained.out


def test_a_split_until_stated_moments_leaves_the_rest_out(luban, tmp_path: Path) -> None:
    pl.DataFrame(series(600)).write_csv(tmp_path / "load.csv")
    until = ("--set", "data.split.method=time", "--set", "data.split.column=date")
    until = (*until, "--set", "data.split.until=[2024-01-16, 2024-01-19, 2024-01-22]")
    trained = luban("train", "load.csv", *FORECAST, *TRAIN, *until)
    assert trained.code == 0, trained.err
    assert "331 training windows, 67 validation, 67 test" in trained.out
    assert "96 rows after the last moment of data.split.until left out" in trained.out


def changed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows that cannot be forecast from."""
    return {
        "twice": lambda: pl.concat([frame, frame[5:6]]),
        "word": lambda: frame.with_columns(
            date=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("soon")).otherwise("date")
        ),
        "uneven": lambda: frame.with_columns(
            date=pl.Series(
                [str(START + timedelta(minutes=int(each))) for each in np.cumsum(np.arange(len(frame)) * 7 + 1)]
            )
        ),
        "short": lambda: frame[:40],
        "future": lambda: frame.with_columns(heat=frame["load"].shift(-3).fill_null(0)),
        "two dates": lambda: frame.with_columns(other=pl.col("date")).rename({"date": "one"}),
        "words": lambda: frame.with_columns(load=pl.Series(["high", "low"] * (len(frame) // 2))),
    }[name]()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("twice", (), "expected each moment once in a series, found '2024-01-01 05:00:00' in rows 6 and 301"),
        ("word", (), "row 8, column 'date': expected a moment, written as those of the other rows, found 'soon'"),
        ("uneven", (), "expected rows that mostly are equally far apart, so that the frequency can be told"),
        ("short", (), "expected a series with 30 rows (look-back 24, horizon 6) among the validation rows and no gap"),
        (
            "future",
            ("--target", "load"),
            "expected what is known at its time, found the values that 'load' has 3 steps later",
        ),
        ("two dates", (), "expected the column that says when each row was, found several columns of dates"),
        ("words", ("--target", "load"), "expected a number in some row"),
        ("", ("--set", "task.forecast.key=place"), "task.forecast.key 'place': expected the name of a column"),
        ("", ("--set", "task.forecast.frequency=hourly"), "expected a frequency like 15m, 1h"),
        (
            "",
            ("--set", "data.split.method=random"),
            "expected a forecast to be split by time, by 'date', found the method 'random'",
        ),
        (
            "",
            ("--set", "data.split={method: time, column: date, until: [2024-01-05, soon]}"),
            "expected two or three moments in ascending order",
        ),
        ("", ("--set", "train.loss.class_weights=balanced"), "train.loss.class_weights: expected no such setting"),
        (
            "",
            ("--target", "load,heat", "--set", "data.task={load: forecast, heat: regression}"),
            "data.task: expected forecast of all targets, or of none",
        ),
    ],
)
def test_what_cannot_be_forecast_is_one_sentence(
    luban, tmp_path: Path, name: str, settings: tuple[str, ...], words: str
) -> None:
    frame = pl.DataFrame(series(300))
    (changed(name, frame) if name else frame).write_csv(tmp_path / "load.csv")
    trained = luban("train", "load.csv", *FORECAST, *TRAIN, *settings)
    assert trained.code == 1
    assert words in trained.err
    assert len(trained.err.strip().splitlines()) == 1
    assert "own" not in trained.err.split()
