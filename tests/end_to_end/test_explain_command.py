"""`luban explain` on the command line."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import polars as pl
import pytest
from test_bad_input import refused

pytest.importorskip("matplotlib", reason="captum imports it: pip install 'luban[explain]'")


def test_table_names_the_planted_column_and_refuses_mistakes(
    luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(0)
    rows = [(draw.choice(["red", "blue", "green"]), draw.gauss(0, 1), draw.gauss(0, 1)) for _ in range(240)]
    frame = pl.DataFrame(rows, schema=["colour", "size", "noise"], orient="row")
    label = pl.when(pl.col("colour") == "red").then(pl.lit("yes")).otherwise(pl.lit("no"))
    frame.with_columns(label=label).write_csv(tmp_path / "sheet.csv")
    settings = ("--set", "train.epochs=10", "--set", "train.optim.learning_rate=0.01", "--set", "model.hidden=[8]")
    result = luban("train", "sheet.csv", "--target", "label", "--no-preflight", "-q", *settings)
    assert result.code == 0, result.err
    for method in ("auto", "occlusion", "lime", "kernel-shap"):
        output = f"{method}.json"
        result = luban(
            "explain", "runs/sheet", "sheet.csv", "--rows", "1,2", "--method", method, "--json", output, "--nearest", 1
        )
        assert result.code == 0, result.err
        found = json.loads((tmp_path / output).read_text("utf-8"))
        assert found["importance"][0]["column"] == "colour"
        assert found["importance"][0]["drop"]["value"] > 0.1
        assert [row["row"] for row in found["rows"]] == [1, 2]
        for row in found["rows"]:
            weights = {item["column"]: item["parts"][0]["weight"] for item in row["inputs"]}
            assert max(weights, key=lambda name: abs(weights[name])) == "colour"
            assert row["sentence"] in " ".join(result.out.split())
            assert row["nearest"]
        assert any(change["column"] == "colour" for change in found["rows"][0]["edit"]["changes"])

    refused(luban("explain", "runs/sheet", "sheet.csv", "--rows", "241"), "--rows", "1 to 240", "'241'")
    refused(luban("explain", "runs/sheet", "sheet.csv", "--rows", "first"), "--rows", "'first'")
    refused(luban("explain", "runs/sheet", "sheet.csv", "--method", "occlusio"), "Did you mean 'occlusion'?")
    refused(luban("explain", "runs", "sheet.csv"), "runs")
    refused(luban("explain", "runs/sheet", "sheet.csv", "--json", "auto.json"), "auto.json", "--overwrite")
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.delitem(sys.modules, "captum.attr", raising=False)
    refused(luban("explain", "runs/sheet", "sheet.csv"), "captum", "pip install 'luban[explain]'")


def test_text_names_the_planted_word(luban, tmp_path: Path) -> None:
    draw = random.Random(0)
    texts = []
    for row in range(200):
        words = draw.choices(["the", "film", "plot", "story", "actor", "scene", "music", "night", "city", "sea"], k=8)
        words.insert(draw.randrange(8), "wonderful" if row % 2 else "awful")
        texts.append(" ".join(words))
    frame = pl.DataFrame({"text": texts, "label": ["bad", "good"] * 100})
    frame.write_csv(tmp_path / "sheet.csv")
    settings = ("--model", "textcnn", "--set", "train.epochs=8")
    result = luban("train", "sheet.csv", "--target", "label", "--no-preflight", "-q", *settings)
    assert result.code == 0, result.err
    frame.drop("label").write_csv(tmp_path / "new.csv")
    result = luban("explain", "runs/sheet", "new.csv", "--rows", "1,2", "--json", "found.json")
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found["importance"] == []
    for row, word in zip(found["rows"], ("awful", "wonderful"), strict=True):
        parts = row["inputs"][0]["parts"]
        assert max(parts, key=lambda part: part["weight"])["text"] == word
        assert [part["text"] for part in parts] == texts[row["row"] - 1].split()
        assert row["check"]["passes"], row["check"]


def test_a_model_whose_explanation_fails_is_saved(luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no reason at all")

    monkeypatch.setattr("luban.explain.examples.explain_examples", fail)
    pl.DataFrame({"x": [row * 37 % 80 / 10 for row in range(80)], "label": [row % 2 for row in range(80)]}).write_csv(
        tmp_path / "sheet.csv"
    )
    result = luban("train", "sheet.csv", "--no-preflight", "--set", "train.epochs=1")
    assert result.code == 0, result.err
    assert "nothing could be explained (no reason at all); the model is saved" in result.out
    assert luban("predict", "runs/sheet", "sheet.csv", "-o", "out.csv").code == 0
