"""What stands around the training, from the command line: preflight, batch size, trackers, range test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 600)).round(3)
    path = tmp_path / "rows.csv"
    pl.DataFrame({"x": x, "y": y, "label": np.where(x + y > 0, "yes", "no")}).write_csv(path)
    return path


def test_preflight_is_told_in_one_line_and_recorded(luban, tmp_path: Path, rows: Path) -> None:
    result = luban("train", rows, "--set", "train.epochs=2")
    assert result.code == 0, result.err
    assert "7 checks passed" in result.out
    lines = [json.loads(line) for line in (tmp_path / "runs/rows/history.jsonl").read_text("utf-8").splitlines()]
    (record,) = [line for line in lines if line["event"] == "PreflightDone"]
    assert {check["status"] for check in record["checks"]} == {"passed"}
    assert record["estimate"]["steps"] == 2 * -(-480 // 24)


def test_a_run_that_cannot_work_is_stopped_and_can_be_forced(luban, tmp_path: Path, rows: Path) -> None:
    frame = pl.read_csv(rows).with_columns(pl.col("x") * 1e9)
    frame.write_csv(rows)
    raw = ("--set", "features.number.scaling=none", "--set", "train.epochs=1")
    stopped = luban("train", rows, *raw)
    assert stopped.code == 1
    assert "pre-flight, " in stopped.err
    assert "or skip the checks with --no-preflight" in stopped.err
    assert luban("train", rows, *raw, "--no-preflight", "--name", "forced").code == 0
    assert yaml.safe_load((tmp_path / "runs/forced/config.yaml").read_text("utf-8"))["train"]["preflight"] is False


def test_a_batch_size_left_to_measurement_is_settled_and_said(luban, tmp_path: Path, rows: Path) -> None:
    result = luban("train", rows, "--set", "train.batch_size=auto", "--set", "train.epochs=2")
    assert result.code == 0, result.err
    size = yaml.safe_load((tmp_path / "runs/rows/config.yaml").read_text("utf-8"))["train"]["batch_size"]
    assert f"batch {size}: " in result.out


def test_a_budget_of_steps_and_tokens_is_kept_and_repeated_by_the_written_settings(luban, tmp_path: Path) -> None:
    words = np.random.default_rng(0).choice(["late", "broken", "kind", "fast"], (300, 6))
    lines = [" ".join(row[: 2 + number % 5]) for number, row in enumerate(words)]
    labels = ["no" if "broken" in line else "yes" for line in lines]
    pl.DataFrame({"text": lines, "label": labels}).write_csv(tmp_path / "texts.csv")
    budget = ("train.steps=20", "train.batch_tokens=100", "train.validate_every=5", "data.columns={text: text}")
    settings = [part for setting in budget for part in ("--set", setting)]
    result = luban("train", "texts.csv", "--model", "textcnn", *settings)
    assert result.code == 0, result.err
    assert "20 steps at most" in result.out
    assert "20 steps done" in result.out
    config = yaml.safe_load((tmp_path / "runs/texts/config.yaml").read_text("utf-8"))["train"]
    assert (config["steps"], config["batch_tokens"], config["validate_every"]) == (20, 100, 5)
    assert luban("train", tmp_path / "runs/texts/config.yaml", "--name", "again").code == 0
    first, again = (
        [json.loads(line) for line in (tmp_path / "runs" / name / "history.jsonl").read_text("utf-8").splitlines()]
        for name in ("texts", "again")
    )
    losses = [[line["loss"] for line in run if line["event"] == "StepDone"] for run in (first, again)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 20
    steps = [line["step"] for line in first if line["event"] == "Validated"]
    assert {5, 10, 15, 20} <= set(steps)
    page = (tmp_path / "runs/texts/report.html").read_text("utf-8")
    assert "the weights after step <data" in page
    assert "history.jsonl#/Validated/step history.jsonl#/Validated/scores/accuracy" in page


def test_trackers_are_written_beside_the_run(luban, tmp_path: Path, rows: Path) -> None:
    pytest.importorskip("tensorboard")
    result = luban("train", rows, "--set", "train.epochs=2", "--set", "track=[tensorboard]")
    assert result.code == 0, result.err
    assert "tensorboard --logdir" in result.out
    assert list((tmp_path / "runs/rows/tensorboard").glob("events.*"))
    unknown = luban("train", rows, "--set", "track=[wandb]")
    assert unknown.code == 1
    assert "'tensorboard' or 'mlflow'" in unknown.err


def test_the_range_test_draws_its_curve_and_proposes_a_rate(luban, tmp_path: Path, rows: Path) -> None:
    result = luban("find-lr", rows, "--target", "label")
    assert result.code == 0, result.err
    folder = tmp_path / "runs" / "rows-learning-rate"
    curve = json.loads((folder / "learning_rate.json").read_text("utf-8"))
    assert 1e-5 < curve["proposed"] < 1
    assert f"--set train.optim.learning_rate={curve['proposed']:g}" in result.out
    assert (folder / "learning_rate.svg").read_text("utf-8").startswith("<svg")
    missing = luban("find-lr", tmp_path / "none.csv")
    assert missing.code == 1
    assert missing.err.count("\n") == 1


def test_quiet_prints_nothing(luban, rows: Path) -> None:
    result = luban("train", rows, "--quiet", "--set", "train.epochs=1")
    assert (result.code, result.out, result.err) == (0, "", "")
