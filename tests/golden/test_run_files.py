"""Scores, predictions and sources of the report of four small runs, the same from one version of the code to the next.

They are recorded for each kind of machine, as the loss curves are; where none is recorded, the entries must be those of
any, and their numbers may differ. `LUBAN_RECORD=1 pytest tests/golden` records this machine's. What is recorded must be
the same; metrics.json may have new entries beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from machine import machine

import luban

RECORDED = Path(__file__).with_name("run_files.json")
ROWS = 240
SOURCE = re.compile(r'data-source="((?:metrics\.json|predictions\.parquet)#[^"]*)"')
WORDS = ("late", "broken", "kind", "fast", "rude", "cheap", "fine", "lost", "good", "odd")


def table(task: str) -> pl.DataFrame:
    """Return rows of a number, a category and a text, with a target that depends on all three."""
    draw = np.random.default_rng(3)
    age = draw.normal(40, 12, ROWS).round(1)
    city = draw.choice(["Rome", "Oslo", "Lima"], ROWS)
    texts = [" ".join(draw.choice(WORDS, 6)) for _ in range(ROWS)]
    score = (age - 40) / 12 + (city == "Rome") + np.array([text.count("kind") - text.count("late") for text in texts])
    score = score + draw.normal(0, 0.5, ROWS)
    targets: dict[str, list[Any]] = {
        "binary": ["yes" if value > 0 else "no" for value in score],
        "multiclass": ["low" if value < -0.5 else "high" if value > 0.8 else "middle" for value in score],
        "multi_label": [
            ";".join(name for name, least in (("a", -1.0), ("b", 0.0), ("c", 1.0)) if value > least) or "d"
            for value in score
        ],
        "regression": [round(float(value), 3) for value in score],
    }
    return pl.DataFrame({"age": age, "city": city, "words": texts, "answer": targets[task]})


def files_of(task: str, folder: Path) -> dict[str, Any]:
    """Train, and return what the run's files say, without the times that it took."""
    model = luban.train(
        table(task),
        target="answer",
        quiet=True,
        data={"task": task, "columns": {"words": "text"}},
        model={"tokens": {"architecture": "textcnn"}},
        runs=str(folder),
        device="cpu",
        train={"epochs": 3, "batch_size": 16, "precision": "float32", "preflight": False, "compile": False},
    )
    run = model.directory.path
    predictions = pl.read_parquet(run / "predictions.parquet")
    page = (run / "report.html").read_text("utf-8")
    return {
        "metrics": json.loads((run / "metrics.json").read_text("utf-8")),
        "columns": {name: str(dtype) for name, dtype in predictions.schema.items()},
        "predictions": hashlib.sha256(predictions.write_csv().encode()).hexdigest(),
        "sources": sorted(set(SOURCE.findall(page))),
    }


def entries(value: Any) -> Any:
    """Return the names of the entries of nested values, and what is no number."""
    if isinstance(value, dict):
        return {name: entries(item) for name, item in value.items()}
    return type(value).__name__ if isinstance(value, (int, float, list)) else None


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multi_label", "regression"])
def test_files_of_a_run_are_the_recorded_ones(task: str, tmp_path: Path) -> None:
    found = files_of(task, tmp_path)
    recorded = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    if os.environ.get("LUBAN_RECORD"):
        recorded.setdefault(machine(), {})[task] = found
        RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    if machine() in recorded:
        before = recorded[machine()][task]
        assert {**found, "metrics": {name: found["metrics"][name] for name in before["metrics"]}} == before
        return
    other = next(iter(recorded.values()))[task]
    assert found["columns"] == other["columns"]
    assert entries(found["metrics"]["scores"]) == entries(other["metrics"]["scores"])
    assert found["metrics"].keys() >= other["metrics"].keys()
