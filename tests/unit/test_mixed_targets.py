"""Targets of whole rows and of their words in one training, from a table to predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

import luban

WORDS = ("Anna", "Tom", "Rome", "Oslo", "sings", "works", "in", "and")
TAGS = {"Anna": "B-PER", "Tom": "B-PER", "Rome": "B-LOC", "Oslo": "B-LOC"}


def table() -> pl.DataFrame:
    draw = np.random.default_rng(0)
    tokens = [[str(word) for word in draw.choice(WORDS, draw.integers(3, 9))] for _ in range(80)]
    return pl.DataFrame(
        {
            "tokens": tokens,
            "names": [[TAGS.get(word, "O") for word in row] for row in tokens],
            "sings": ["yes" if "sings" in row else "no" for row in tokens],
        }
    )


def test_tags_and_a_class_are_learned_and_predicted_together(tmp_path: Path) -> None:
    rows = table()
    model = luban.train(
        rows,
        target=["names", "sings"],
        quiet=True,
        runs=str(tmp_path),
        device="cpu",
        model={"tokens": {"architecture": "lstm", "dim": 16, "hidden": 16}},
        train={"epochs": 2, "precision": "float32", "preflight": False, "compile": False},
    )
    found = luban.load(model.directory.path).predict(rows.select("tokens"))
    assert found.columns == [
        "predicted_names",
        "spans_names",
        "predicted_sings",
        "probability_sings_no",
        "probability_sings_yes",
    ]
    assert found["predicted_names"].list.len().to_list() == rows["tokens"].list.len().to_list()
    assert model.evaluate(rows).targets.keys() == {"names", "sings"}
