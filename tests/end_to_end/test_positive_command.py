"""The positive class through the command line: told, stored with the model, kept by the configuration, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import yaml
from tests.end_to_end.test_goal import noisy


def test_the_positive_class_is_told_stored_and_set(luban, tmp_path: Path) -> None:
    data = noisy(400).with_columns(sold=pl.col("sold").replace({"yes": "fraud", "no": "legal"}))
    data.write_csv(tmp_path / "sales.csv")
    options = ("--target", "sold", "--set", "train.epochs=1", "--set", "evaluate.goal=recall>=0.7")
    trained = luban("train", "sales.csv", "--name", "a", *options)
    assert trained.code == 0, trained.err
    assert "positive class: 'fraud', by its name (set it with task.positive)" in trained.out
    run = tmp_path / "runs/a"
    assert json.loads((run / "task.json").read_text())["state"]["labels"] == ["legal", "fraud"]
    assert yaml.safe_load((run / "config.yaml").read_text())["task"]["positive"] == "fraud"
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["labels"], metrics["threshold"]["label"]) == (["legal", "fraud"], "fraud")
    assert luban("predict", run, "sales.csv", "-o", "out.csv").code == 0
    out = pl.read_csv(tmp_path / "out.csv")
    assert ((out["predicted_sold"] == "fraud") == (out["probability_fraud"] >= metrics["threshold"]["threshold"])).all()

    other = luban("train", "sales.csv", "--name", "b", *options, "--set", "task.positive=legal")
    assert other.code == 0, other.err
    assert "positive class" not in other.out
    assert json.loads((tmp_path / "runs/b/metrics.json").read_text())["threshold"]["label"] == "legal"
    compared = luban("compare", "runs/a", "runs/b")
    assert "expected two runs with the same positive class, found 'fraud' and 'legal'" in compared.err

    for wanted, message in (
        (
            "lawful",
            "task.positive: expected one of the two classes, 'fraud', 'legal', found 'lawful'. Name one of them.",
        ),
        ("[a, b]", "'task.positive': expected a valid string"),
    ):
        refused = luban("train", "sales.csv", "--name", "c", *options, "--set", f"task.positive={wanted}")
        assert refused.code == 1
        assert message in refused.err
        assert "Traceback" not in refused.err
