"""The judgement of a model through the command line: evaluate --by, predict --sets, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
from tests.end_to_end.test_train_and_use import FAST, people


def test_train_evaluate_by_and_predict_sets(luban, tmp_path: Path) -> None:
    people().drop("income").write_csv(tmp_path / "people.csv")
    trained = luban("train", "people.csv", "--target", "rich", "--set", "evaluate.goal=recall>=0.9")
    assert trained.code == 0, trained.err
    metrics = json.loads((tmp_path / "runs/people/metrics.json").read_text())
    assert metrics["calibration"]["temperature"] > 0
    assert metrics["threshold"]["goal"] == "recall>=0.9"
    assert metrics["conformal"]["level"] == 0.9
    assert {item["corruption"] for item in metrics["robustness"]} == {"noise", "dropped"}
    assert len(metrics["learning_curve"]["points"]) == 3
    explanations = json.loads((tmp_path / "runs/people/explanations.json").read_text())
    assert explanations["metric"] == metrics["decider"]
    assert "chart.importance" not in (page := (tmp_path / "runs/people/report.html").read_text("utf-8"))
    assert all(item["column"] in page for item in explanations["importance"])
    assert luban("evaluate", "runs/people", "people.csv", "--by", "city", "-o", "scores.json").code == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert {group["value"] for group in scores["fairness"]["groups"]} == {"'北京'", "'上海'", "'Paris'"}
    assert luban("evaluate", "runs/people", "people.csv", "--by", "town").code == 1
    single = luban("evaluate", "runs/people", "people.csv", "--by", "country")
    assert "expected two groups of 20 rows or more to compare" in single.err
    assert luban("predict", "runs/people", "people.csv", "--sets", "0.8", "-o", "out.parquet").code == 0
    out = pl.read_parquet(tmp_path / "out.parquet")
    held = [actual in members for actual, members in out.select("rich", "set_rich").iter_rows()]
    assert np.mean(held) > 0.7
    refused = luban("predict", "runs/people", "people.csv", "--sets", "0.999")
    assert refused.code == 1
    assert "expected 999 validation rows or more for the level 0.999" in refused.err


def test_intervals_of_numbers(luban, tmp_path: Path) -> None:
    people().drop("rich").write_csv(tmp_path / "people.csv")
    assert luban("train", "people.csv", "--target", "income", *FAST).code == 0
    metrics = json.loads((tmp_path / "runs/people/metrics.json").read_text())
    assert metrics["calibration"] is None
    assert metrics["conformal"]["half_width"] > 0
    assert luban("predict", "runs/people", "people.csv", "--sets", "0.9", "-o", "out.csv").code == 0
    out = pl.read_csv(tmp_path / "out.csv")
    assert (out["low_income"] < out["high_income"]).all()


def test_a_goal_that_the_task_cannot_have_is_refused_before_training(luban, tmp_path: Path) -> None:
    people(100).drop("rich").write_csv(tmp_path / "people.csv")
    refused = luban("train", "people.csv", "--target", "income", "--set", "evaluate.goal=f1")
    assert refused.code == 1
    assert "a task that decides by a threshold" in refused.err
    wrong = luban("train", "people.csv", "--target", "income", "--set", "evaluate.goal=speed")
    assert "recall>=0.95" in wrong.err


def test_compare(luban, tmp_path: Path) -> None:
    people().drop("income").write_csv(tmp_path / "people.csv")
    people().drop("rich").write_csv(tmp_path / "income.csv")
    assert luban("train", "people.csv", "--target", "rich", "--name", "a").code == 0
    assert luban("train", "people.csv", "--target", "rich", "--name", "b", "--set", "train.epochs=1").code == 0
    found = luban("compare", "runs/a", "runs/b", "-o", "out.json")
    assert found.code == 0, found.err
    assert "better" in found.out.splitlines()[-1]
    comparison = json.loads((tmp_path / "out.json").read_text())
    assert comparison["metrics"]["accuracy"]["a"] > comparison["metrics"]["accuracy"]["b"]
    assert comparison["mcnemar"]["a_alone"] > comparison["mcnemar"]["b_alone"]
    assert luban("compare", "runs/a", "runs/b", "people.csv").code == 0
    assert luban("train", "people.csv", "--target", "rich", "--name", "c", "--seed", "3", *FAST).code == 0
    refused = luban("compare", "runs/a", "runs/c")
    assert refused.code == 1
    assert "expected the same test rows" in refused.err
    assert luban("train", "income.csv", "--target", "income", "--name", "d", *FAST).code == 0
    assert "expected two runs of one target and task" in luban("compare", "runs/a", "runs/d").err
