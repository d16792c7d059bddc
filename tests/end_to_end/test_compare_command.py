"""`luban compare` of every kind of task, and what it refuses, each in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.end_to_end.test_goal import noisy, tagged

ONE, FEW = ("--set", "train.epochs=1"), ("--set", "train.epochs=6")


def numbers(rows: int = 600) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(rows, 2))
    return pl.DataFrame(
        {"a": values[:, 0], "b": values[:, 1], "price": values[:, 0] * 3 + draw.normal(size=rows) * 0.1}
    )


def intents(classes: int = 120, rows: int = 12) -> pl.DataFrame:
    """More classes than predictions have probabilities of: a verb and a noun name each."""
    labels = np.repeat(np.arange(classes), rows)
    columns = {
        "verb": [f"verb {k // 12}" for k in labels],
        "noun": [f"noun {k % 12}" for k in labels],
        "length": np.random.default_rng(0).normal(size=len(labels)),
        "intent": [f"intent {k:03}" for k in labels],
    }
    return pl.DataFrame(columns).sample(fraction=1, shuffle=True, seed=1)


def trained(luban, data: str, target: str, name: str, *settings: str) -> str:
    found = luban("train", data, "--target", target, "--name", name, *settings)
    assert found.code == 0, found.err
    return f"runs/{name}"


def compared(luban, tmp_path: Path, *arguments: str) -> tuple[dict, str]:
    found = luban("compare", *arguments, "-o", "out.json", "--overwrite")
    assert found.code == 0, found.err
    return json.loads((tmp_path / "out.json").read_text()), found.out.splitlines()[-1]


def refusal(luban, *arguments: str) -> str:
    """One line, without a traceback, that ends with what to do."""
    found = luban("compare", *arguments)
    assert found.code == 1, (found.code, found.err)
    assert "Traceback" not in found.err
    (line,) = found.err.strip().splitlines()
    assert line.startswith("luban: ")
    assert line.endswith(".")
    return line


def test_numbers(luban, tmp_path: Path) -> None:
    numbers().write_csv(tmp_path / "houses.csv")
    a, b = trained(luban, "houses.csv", "price", "a", *FEW), trained(luban, "houses.csv", "price", "b", *ONE)
    found, verdict = compared(luban, tmp_path, a, b)
    assert found["mcnemar"] is None
    assert found["metrics"]["mse"]["a"] < found["metrics"]["mse"]["b"]
    assert verdict.startswith("A is better: mse ")
    assert found["changed"] == found["rows"]
    assert len(found["broken"]) == 10
    again, _ = compared(luban, tmp_path, a, b, "houses.csv")
    assert again["rows"] == 600


def test_several_labels_a_row(luban, tmp_path: Path) -> None:
    tagged(800).write_csv(tmp_path / "rows.csv")
    a, b = trained(luban, "rows.csv", "tags", "a", *FEW), trained(luban, "rows.csv", "tags", "b", *ONE)
    found, verdict = compared(luban, tmp_path, a, b)
    assert set(found["metrics"]) == {"micro_f1", "macro_f1", "mAP"}
    assert found["metrics"]["micro_f1"]["a"] > found["metrics"]["micro_f1"]["b"]
    assert verdict.startswith("A is better: micro f1 ")
    assert {";" in row["actual"] for row in found["broken"]} <= {True, False}


def test_more_classes_than_stored_probabilities(luban, tmp_path: Path) -> None:
    intents().write_csv(tmp_path / "intents.csv")
    a, b = trained(luban, "intents.csv", "intent", "a", *FEW), trained(luban, "intents.csv", "intent", "b", *ONE)
    found, _ = compared(luban, tmp_path, a, b)
    assert set(found["metrics"]) == {"accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"}
    scores = [
        json.loads((tmp_path / run / "metrics.json").read_text())["scores"]["accuracy"]["value"] for run in (a, b)
    ]
    assert [found["metrics"]["accuracy"][name] for name in "ab"] == pytest.approx(scores)
    whole, _ = compared(luban, tmp_path, a, b, "intents.csv")
    assert "log_loss" in whole["metrics"]


def test_each_run_decides_at_its_own_threshold(luban, tmp_path: Path) -> None:
    noisy(1200).write_csv(tmp_path / "sales.csv")
    a = trained(luban, "sales.csv", "sold", "a", *FEW)
    b = trained(luban, "sales.csv", "sold", "b", *FEW, "--set", "evaluate.goal=recall>=0.95")
    found, _ = compared(luban, tmp_path, a, b)
    assert found["metrics"]["log_loss"]["difference"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["changed"] > 0
    accuracy = json.loads((tmp_path / b / "metrics.json").read_text())["scores"]["accuracy"]["value"]
    assert found["metrics"]["accuracy"]["b"] == pytest.approx(accuracy)


def test_a_copy_answers_alike_and_a_run_is_not_compared_with_itself(luban, tmp_path: Path) -> None:
    noisy(300).write_csv(tmp_path / "sales.csv")
    run = trained(luban, "sales.csv", "sold", "a", *ONE)
    for again in (run, "runs/../runs/a"):
        assert "expected two runs, found the same one twice" in refusal(luban, run, again)
    shutil.copytree(run, "copy")
    found, verdict = compared(luban, tmp_path, run, "copy")
    assert verdict.startswith("Neither is better: A and B answer every row alike")
    assert found["mcnemar"]["p"] == 1


def test_runs_of_other_questions_are_refused(luban, tmp_path: Path) -> None:
    data = noisy(300)
    data.with_columns(other=pl.col("sold").reverse()).write_csv(tmp_path / "sales.csv")
    data.with_columns(sold=pl.col("sold").replace("no", "never")).write_csv(tmp_path / "never.csv")
    noisy(300, seed=1).write_csv(tmp_path / "later.csv")
    a = trained(luban, "sales.csv", "sold", "a", *ONE)
    other = trained(luban, "sales.csv", "other", "other", *ONE)
    assert "found binary of 'sold' and binary of 'other'" in refusal(luban, a, other)
    number = trained(luban, "sales.csv", "noise", "number", *ONE)
    assert "found binary of 'sold' and regression of 'noise'" in refusal(luban, a, number)
    never = trained(luban, "never.csv", "sold", "never", *ONE)
    assert "labels that only one of them knows, 'no', 'never'" in refusal(luban, a, never)
    later = trained(luban, "later.csv", "sold", "later", *ONE)
    assert "found data that differ. Name rows for both to predict" in refusal(luban, a, later)
    seed = trained(luban, "sales.csv", "sold", "seed", *ONE, "--seed", "3")
    assert "expected the same test rows" in refusal(luban, a, seed)
    assert "target 'sold'" in refusal(luban, a, seed, str(write_without(tmp_path, "sold")))


def write_without(folder: Path, column: str) -> Path:
    path = folder / "without.csv"
    pl.read_csv(folder / "sales.csv").drop(column).write_csv(path)
    return path


def test_damaged_runs_are_refused(luban, tmp_path: Path) -> None:
    noisy(300).write_csv(tmp_path / "sales.csv")
    a = trained(luban, "sales.csv", "sold", "a", *ONE)
    for name, damage, words in (
        ("metrics.json", lambda path: path.write_bytes(path.read_bytes()[:100]), "was changed since"),
        ("task.json", lambda path: path.unlink(), "expected the file that the training wrote, found none"),
        ("manifest.json", lambda path: path.write_text("{"), "expected a JSON file"),
        ("manifest.json", lambda path: path.unlink(), "found a run that did not finish"),
        ("predictions.parquet", lambda path: path.unlink(), "expected the file that the training wrote, found none"),
        ("predictions.parquet", lambda path: path.write_bytes(path.read_bytes()[:99]), "was changed since"),
        ("predictions.parquet", lambda path: path.write_bytes(b""), "was changed since"),
        (
            "predictions.parquet",
            lambda path: pl.DataFrame({"row": [1]}).write_parquet(path),
            "was changed since",
        ),
    ):
        shutil.rmtree("damaged", ignore_errors=True)
        shutil.copytree(a, "damaged")
        damage(tmp_path / "damaged" / name)
        for pair in ((a, "damaged"), ("damaged", a)):
            line = refusal(luban, *pair)
            assert words in line
            assert f"damaged/{name}" in line or "did not finish" in line
    assert "expected a run directory with a manifest.json, found none" in refusal(luban, a, "nowhere")
