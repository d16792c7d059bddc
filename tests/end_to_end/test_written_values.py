"""Cells as people write them and as other libraries declare them, from training to prediction."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

FAST = (
    *("--set", "train.epochs=1", "--set", "train.preflight=false", "--set", "evaluate.robustness=false"),
    *("--set", "evaluate.learning_curve=false"),
)
DRAW = np.random.default_rng(0)
AMOUNTS = np.round(DRAW.normal(0, 900, 160), 2)
MEMBERS = DRAW.random(160) < 0.5
ANSWERS = AMOUNTS + 400 * MEMBERS > 100


def accounting(value: float) -> str:
    return f"({-value:,.2f})" if value < 0 else f"{value:,.2f}"


def predicted(out: str) -> list[float]:
    return pl.read_csv(io.StringIO(out))["probability_True"].to_list()


def test_rows_are_read_alike_however_they_are_written(luban, tmp_path: Path) -> None:
    rows = pl.DataFrame({"amount": AMOUNTS, "member": MEMBERS, "wanted": ANSWERS})
    rows.with_columns(
        pl.Series("amount", [accounting(value) for value in AMOUNTS]),
        pl.Series("member", ["True" if member else "False" for member in MEMBERS]),
        pl.Series("wanted", ["True" if answer else "False" for answer in ANSWERS]),
    ).write_csv("written.csv")
    trained = luban("train", "written.csv", "--target", "wanted", *FAST)
    assert trained.code == 0, trained.err
    first = next(value for value in AMOUNTS if accounting(value) != f"{value:.2f}")
    assert f"numbers are read as they are written: amount '{accounting(first)}' = {first:.10g}" in trained.out

    rows.head(30).write_csv("plain.csv")
    rows.head(30).write_ndjson("plain.jsonl")
    euros = [f"{value:.2f} €".replace(".", ",") for value in AMOUNTS[:30]]
    words = ["YES" if member else "no" for member in MEMBERS[:30]]
    pl.DataFrame({"amount": euros, "member": words}).write_csv("euros.csv", separator=";")
    pl.read_csv("written.csv", infer_schema=False).head(30).write_csv("same.csv")
    files = ("same.csv", "plain.csv", "plain.jsonl", "euros.csv")
    found = {name: luban("predict", "runs/written", name) for name in files}
    assert [result.code for result in found.values()] == [0] * 4, [result.err for result in found.values()]
    same = predicted(found["same.csv"].out)
    assert len(set(same)) > 10
    assert all(predicted(result.out) == same for result in found.values())
    assert euros[0] in found["euros.csv"].out  # the user's cells stay as they are

    judged = [luban("evaluate", "runs/written", name) for name in files[:3]]
    assert len({tuple(result.out.splitlines()[2:5]) for result in judged}) == 1
    assert "column 'member': values in several spellings are taken for one" in judged[1].err + judged[1].out

    pl.read_csv("same.csv", infer_schema=False).with_columns(
        pl.col("member").replace({"True": "oui", "False": "non"})
    ).write_csv("other.csv")
    refused = luban("predict", "runs/written", "other.csv")
    assert refused.code == 1
    assert "values that the training had, such as 'False', 'True', found others in 30 of 30 rows" in refused.err


def test_declared_types_train_and_predict(luban, tmp_path: Path) -> None:
    zones = DRAW.integers(1, 4, 160)
    rows = pl.DataFrame(
        {
            "zone": pl.Series(zones.astype(str), dtype=pl.Enum(["1", "2", "3"])),
            "wait": pl.Series([timedelta(seconds=float(value)) for value in np.abs(AMOUNTS)]),
            "person": [{"age": 20 + number % 50, "city": "pq"[number % 2]} for number in range(160)],
            "tags": [["new", "old"][: 1 + number % 2] for number in range(160)],
            "y": pl.Series(np.where(zones == 1, "yes", "no"), dtype=pl.Enum(["no", "yes"])),
        }
    )
    rows.write_parquet("typed.parquet")
    trained = luban("train", "typed.parquet", "--target", "y", *FAST)
    assert trained.code == 0, trained.err
    assert "could be explained" not in trained.out
    features = json.loads(Path("runs/typed/features.json").read_text())["features"]
    kinds = [(item["state"]["name"], item["kind"]) for item in features]
    assert kinds == [
        ("zone", "category"),
        ("wait", "number"),
        ("person.age", "number"),
        ("person.city", "category"),
        ("tags", "labels"),
    ]
    rows.head(5).drop("y").write_parquet("new.parquet")
    result = luban("predict", "runs/typed", "new.parquet")
    assert result.code == 0, result.err
    assert pl.read_csv(io.StringIO(result.out)).height == 5
