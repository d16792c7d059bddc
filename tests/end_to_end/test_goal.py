"""A stated goal through the command line: the promised precision on new rows, and one threshold everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

NAMES = ("blue", "green", "red")


def noisy(rows: int, seed: int = 0) -> pl.DataFrame:
    """Two numbers; a label that is likelier the larger the first one is."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 2))
    sold = draw.random(rows) < 1 / (1 + np.exp(1 - 2 * values[:, 0]))
    return pl.DataFrame({"size": values[:, 0], "noise": values[:, 1], "sold": np.where(sold, "yes", "no")})


def tagged(rows: int, seed: int = 0) -> pl.DataFrame:
    """Three numbers, and a label for each that is large; every row has one."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 3))
    on = values + draw.normal(size=values.shape) * 0.5 > 0.3
    on[np.arange(rows), values.argmax(axis=1)] = True
    tags = [";".join(np.array(NAMES)[row]) for row in on]
    return pl.DataFrame({"b": values[:, 0], "g": values[:, 1], "r": values[:, 2], "tags": tags})


def test_a_stated_precision_is_kept_by_predict_and_evaluate(luban, tmp_path: Path) -> None:
    noisy(4000).write_csv(tmp_path / "sales.csv")
    noisy(4000, seed=1).write_csv(tmp_path / "new.csv")
    settings = (
        "--set",
        "evaluate.goal=precision>=0.85",
        "--set",
        "train.epochs=8",
        "--set",
        "data.split.validation=0.3",
    )
    trained = luban("train", "sales.csv", "--target", "sold", *settings)
    assert trained.code == 0, trained.err
    told = "'yes' is predicted from a probability of"
    assert [told in line for line in trained.out.splitlines()].count(True) == 1
    run = tmp_path / "runs/sales"
    threshold = json.loads((run / "calibration.json").read_text())["threshold"]["threshold"]
    assert 0.5 < threshold < 1

    predicted = luban("predict", run, "new.csv", "-o", "predictions.csv")
    assert predicted.code == 0
    assert told in predicted.err
    out = pl.read_csv(tmp_path / "predictions.csv")
    said = out["predicted_sold"] == "yes"
    assert (said == (out["probability_yes"] >= threshold)).all()
    precision = (out.filter(said)["sold"] == "yes").mean()
    assert abs(precision - 0.85) < 0.05

    baselines = json.loads((run / "metrics.json").read_text())["baselines"]
    tested = pl.read_parquet(run / "predictions.parquet")
    majority = (tested["actual_sold"] == "no").mean()
    assert (
        abs(baselines["majority"]["accuracy"]["value"] - majority) < 1e-6
    )  # it does not reach the goal: as without one
    assert ((tested["predicted_sold"] == "yes") == (tested["probability_yes"] >= np.float32(threshold))).all()
    metrics = json.loads((run / "metrics.json").read_text())
    right = float((tested["predicted_sold"] == tested["actual_sold"]).mean())
    assert abs(metrics["scores"]["accuracy"]["value"] - right) < 1e-9
    assert metrics["threshold"]["used"]
    assert metrics["threshold"]["scores"]["accuracy"]["value"] == metrics["scores"]["accuracy"]["value"]
    found = luban("evaluate", run, "new.csv", "-o", "scores.json")
    assert told in found.out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert abs(scores["threshold"]["scores"]["precision"]["value"] - precision) < 1e-9
    assert abs(scores["scores"]["accuracy"]["value"] - float((out["predicted_sold"] == out["sold"]).mean())) < 1e-9


def test_without_a_goal_predictions_use_one_half_and_a_threshold_is_suggested(luban, tmp_path: Path) -> None:
    noisy(1000).write_csv(tmp_path / "sales.csv")
    trained = luban("train", "sales.csv", "--target", "sold", "--set", "train.epochs=3")
    assert trained.code == 0, trained.err
    assert "is predicted from a probability" not in trained.out
    predicted = luban("predict", "runs/sales", "sales.csv", "-o", "out.csv")
    assert "is predicted from a probability" not in predicted.err
    out = pl.read_csv(tmp_path / "out.csv")
    assert ((out["predicted_sold"] == "yes") == (out["probability_yes"] > 0.5)).all()
    found = luban("evaluate", "runs/sales", "sales.csv")
    assert "predictions use 0.5; " in found.out
    assert "would serve f1 best" in found.out


def test_a_goal_that_too_few_validation_rows_are_left_for_is_told(luban, tmp_path: Path) -> None:
    noisy(150).write_csv(tmp_path / "sales.csv")
    settings = ("--set", "evaluate.goal=f1", "--set", "train.epochs=2", "--set", "data.split.validation=0.06")
    trained = luban("train", "sales.csv", "--target", "sold", *settings)
    assert trained.code == 0, trained.err
    assert "evaluate.goal: no threshold can be chosen for f1" in " ".join((trained.out + trained.err).split())


def test_labels_have_sets_confusions_and_thresholds_of_their_own(luban, tmp_path: Path) -> None:
    tagged(3000).write_csv(tmp_path / "rows.csv")
    tagged(3000, seed=1).write_csv(tmp_path / "new.csv")
    settings = ("--set", "evaluate.goal=recall>=0.9", "--set", "train.epochs=6", "--set", "data.split.validation=0.3")
    trained = luban("train", "rows.csv", "--target", "tags", *settings)
    assert trained.code == 0, trained.err
    assert "each label is predicted from a probability of its own on" in trained.out
    run = tmp_path / "runs/rows"
    own = json.loads((run / "calibration.json").read_text())["threshold"]["labels"]
    assert tuple(own) == NAMES
    assert luban("predict", run, "new.csv", "--sets", "0.9", "-o", "out.parquet").code == 0
    out = pl.read_parquet(tmp_path / "out.parquet")
    actual, said = (out[name].str.split(";") for name in ("tags", "predicted_tags"))
    for name in NAMES:
        found = said.list.contains(name)
        assert (found == (out[f"probability_{name}"] >= np.float32(own[name]))).all()
        assert abs(float(found.filter(actual.list.contains(name)).mean()) - 0.9) < 0.06  # type: ignore[arg-type]
    held = [len({*truth} & {*members}) / len(truth) for truth, members in zip(actual, out["set_tags"], strict=True)]
    assert 0.86 < np.mean(held) < 0.96
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["conformal"]["method"] == "risk"
    assert metrics["conformal"]["coverage"]["value"] > 0.85
    assert {item["actual"] is None for item in metrics["confusions"]} == {True, False}
    page = (run / "report.html").read_text("utf-8")
    assert "Each label is said from a probability of its own" in page
    assert ">None<" not in page
