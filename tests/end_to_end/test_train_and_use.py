"""The whole way through the command line: train, copy the run elsewhere, predict, evaluate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import luban as library

FAST = ("--set", "train.epochs=3")


def people(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Numbers, categories, a date and missing cells; the target follows from two of them."""
    draw = np.random.default_rng(seed)
    age, city = draw.integers(18, 80, rows), draw.choice(["北京", "上海", "Paris"], rows)
    income = age * 100 + np.where(city == "Paris", 3000, 0) + draw.normal(0, 200, rows)
    dates = [
        f"2024-{month:02}-{day:02}"
        for month, day in zip(draw.integers(1, 13, rows), draw.integers(1, 28, rows), strict=True)
    ]
    return pl.DataFrame(
        {
            "编号": [f"P{i:05}" for i in range(rows)],
            "age": [None if i % 37 == 0 else int(a) for i, a in enumerate(age)],
            "city": [None if i % 41 == 0 else c for i, c in enumerate(city.tolist())],
            "joined": dates,
            "country": ["CN"] * rows,
            "income": income.round(1),
            "rich": np.where(income > 6000, "yes", "no"),
        }
    )


def test_table_to_model_to_predictions_elsewhere(luban, tmp_path: Path) -> None:
    data = people()
    data.drop("income").write_csv(tmp_path / "people.csv")
    trained = luban("train", "people.csv", "--target", "rich")
    assert trained.code == 0, trained.err
    for words in ("编号", "identifier", "country", "constant", "binary", "verdict", "runs/people"):
        assert words in trained.out
    run = tmp_path / "runs" / "people"
    names = {file.name for file in run.iterdir()}
    assert {
        "config.yaml",
        "manifest.json",
        "features.json",
        "model.safetensors",
        "history.jsonl",
        "metrics.json",
        "predictions.parquet",
    } <= names
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["scores"]["accuracy"]["low"] <= metrics["scores"]["accuracy"]["value"]
    assert metrics["scores"]["accuracy"]["value"] > 0.85

    new = (
        people(50, seed=1).sample(50, shuffle=True, seed=3).select("rich", "city", "age", "joined", note=pl.lit("kept"))
    )
    new.write_csv(tmp_path / "new.csv")
    here = luban("predict", run, "new.csv", "-o", "here.csv")
    assert here.code == 0, here.err
    elsewhere = tmp_path / "elsewhere"
    shutil.move(run, elsewhere)
    (tmp_path / "people.csv").unlink()
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    there = luban("predict", elsewhere, "new.csv", "-o", "there.csv")
    assert there.code == 0, there.err
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
    predicted = pl.read_csv(tmp_path / "there.csv")
    assert predicted.columns[:5] == new.columns
    assert predicted["joined"].to_list() == new["joined"].to_list()
    assert (predicted["predicted_rich"] == predicted["rich"]).mean() > 0.8
    assert predicted.select((pl.col("probability_yes") + pl.col("probability_no") - 1).abs().max()).item() < 1e-5

    scored = luban("evaluate", elsewhere, "new.csv", "-o", "scores.json")
    assert scored.code == 0, scored.err
    agreement = (predicted["predicted_rich"] == predicted["rich"]).mean()
    assert json.loads((tmp_path / "scores.json").read_text())["scores"]["accuracy"]["value"] == pytest.approx(agreement)


def test_resolved_configuration_repeats_the_run_to_the_bit(luban, tmp_path: Path) -> None:
    people(200).drop("income").write_csv(tmp_path / "people.csv")
    assert luban("train", "people.csv", "--target", "rich", *FAST).code == 0
    again = luban("train", "runs/people/config.yaml")
    assert again.code == 0, again.err
    weights = [(tmp_path / "runs" / name / "model.safetensors").read_bytes() for name in ("people", "people-2")]
    assert weights[0] == weights[1]


def test_regression(luban, tmp_path: Path) -> None:
    people().drop("rich").write_csv(tmp_path / "people.tsv", separator="\t")
    trained = luban("train", "people.tsv")
    assert trained.code == 0, trained.err
    metrics = json.loads((tmp_path / "runs/people/metrics.json").read_text())
    assert metrics["scores"]["r2"]["value"] > 0.5
    assert luban("predict", "runs/people", "people.tsv", "-o", "out.parquet").code == 0
    assert pl.read_parquet(tmp_path / "out.parquet")["predicted_income"].dtype.is_float()


def test_several_labels_a_row(luban, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 3)).round(3)
    names = np.array(["red", "green", "blue"])
    labels = [";".join(names[row > 0]) or "none" for row in x]
    pl.DataFrame(x, schema=["a", "b", "c"]).with_columns(tags=pl.Series(labels)).write_csv(tmp_path / "tags.csv")
    trained = luban("train", "tags.csv", "--target", "tags", "--set", "data.task=multi_label")
    assert trained.code == 0, trained.err
    assert json.loads((tmp_path / "runs/tags/metrics.json").read_text())["scores"]["micro_f1"]["value"] > 0.8


@pytest.mark.parametrize("model", ["lstm", "gru", "textcnn", "transformer"])
def test_text_from_scratch(luban, tmp_path: Path, model: str) -> None:
    draw = np.random.default_rng(0)
    words = ["好吃", "难吃", "一般", "味道", "送餐", "很快", "太慢", "包装"]
    rows = [["".join(draw.choice(words, 6)), i % 2] for i in range(300)]
    texts = [text + ("，推荐！" if label else "，差评。") for text, label in rows]
    pl.DataFrame({"评论": texts, "标签": [label for _, label in rows]}).write_csv(tmp_path / "评论.csv")
    trained = luban("train", "评论.csv", "--model", model, "--set", "train.epochs=4")
    assert trained.code == 0, trained.err
    assert json.loads((tmp_path / "runs/评论/metrics.json").read_text())["scores"]["accuracy"]["value"] > 0.9


def test_tables_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))
    data = people(200).drop("income")
    settings = {"quiet": True, "runs": str(tmp_path / "runs"), "train__epochs": 2}
    models = [
        library.train(table, target="rich", **settings)
        for table in (data, pd.DataFrame(data.to_dict(as_series=False)), data.to_arrow(), data.to_dict(as_series=False))
    ]
    predictions = [model.predict(data.head(20)) for model in models]
    assert all(prediction.equals(predictions[0]) for prediction in predictions)
    loaded = library.load(models[0].directory.path)
    assert loaded.predict(data.head(20).to_dicts()).equals(predictions[0])
    assert loaded.metrics == models[0].metrics
