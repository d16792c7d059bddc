"""What the benchmarks' figures rest on: both sides' files, both sides' work, and results that are never lost."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
harness = importlib.import_module("harness")
luban_side = importlib.import_module("luban_side")
results = importlib.import_module("results")
slices = importlib.import_module("slices")
sys.path.remove(str(BENCHMARKS))


def entry(processor: str, date: str, **claims: Any) -> dict[str, Any]:
    return {"hardware": {"processor": processor, "threads": 2}, "date": date, "commit": "c", "claims": claims}


def test_another_machine_or_day_adds_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "result.json"
    for processor, date in (("A", "2026-01-01"), ("B", "2026-01-01"), ("A", "2026-01-02")):
        results.record(path, entry(processor, date, keras={"median": 3}))
    found = json.loads(path.read_text("utf-8"))
    assert [(e["hardware"]["processor"], e["date"]) for e in found] == [
        ("A", "2026-01-01"),
        ("B", "2026-01-01"),
        ("A", "2026-01-02"),
    ]


def test_same_machine_and_day_replaces_what_is_measured_anew_alone() -> None:
    old = entry("A", "2026-01-01", keras={"speed": 1, "scores": 5}, skorch={"speed": 2})
    (merged,) = results.merge([old], entry("A", "2026-01-01", keras={"speed": 9}))
    assert merged["claims"] == {"keras": {"speed": 9, "scores": 5}, "skorch": {"speed": 2}}


def test_both_sides_read_the_same_slice(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [str(i) for i in range(100)], "y": [str(i % 4) for i in range(100)]})
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    frame.write_csv(train)
    frame.write_csv(test)
    assert slices.files(train, test, "y", None, tmp_path / "all") == (train, test)
    first = [path.read_text() for path in slices.files(train, test, "y", 16, tmp_path / "a")]
    second = [path.read_text() for path in slices.files(train, test, "y", 16, tmp_path / "b")]
    assert first == second
    tables = [pl.read_csv(text.encode()) for text in first]
    assert [len(table) for table in tables] == [16, 16]
    assert set(tables[1]["y"]) <= set(tables[0]["y"])


def test_one_file_is_divided_without_a_row_in_both(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    pl.DataFrame({"x": range(100), "y": [0, 1] * 50}).write_csv(path)
    train, test = (pl.read_csv(found)["x"].to_list() for found in slices.files(path, None, "y", None, tmp_path / "a"))
    assert (len(train), len(test)) == (90, 10)
    assert sorted(train + test) == list(range(100))


@pytest.mark.parametrize(("rows", "comparable"), [(1000, True), (985, True), (970, False)])
def test_unequal_work_is_not_compared(rows: int, comparable: bool) -> None:
    peer = harness.Peer("peer", "peer.py", ())
    if comparable:
        harness.require_same_work({"rows": rows}, {"rows": 1000}, peer)
    else:
        with pytest.raises(harness.NotComparableError, match="luban 970 rows, peer 1000"):
            harness.require_same_work({"rows": rows}, {"rows": 1000}, peer)


def test_luban_is_given_what_the_peer_is_given() -> None:
    job = {
        "train": "a.csv",
        "test": "b.csv",
        "target": "y",
        "model": "folder",
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 1e-4,
        "max_length": 128,
        "seed": 3,
        "device": "cpu",
        "work": "w",
        "luban": {"tokens": {"frozen": True}, "train": {"probe": False}},
        "luban_set": {"train.precision": "float32"},
    }
    found = luban_side.settings(job)
    assert found["model"] == {"tokens": {"checkpoint": "folder", "frozen": True}}
    assert found["train"] == {
        "patience": 0,
        "preflight": False,
        "epochs": 2,
        "batch_size": 16,
        "optim": {"learning_rate": 1e-4},
        "probe": False,
        "precision": "float32",
    }
    assert found["data"]["split"] == {"validation": 0}
    assert job["luban"]["train"] == {"probe": False}, "a job is not changed"


@pytest.mark.parametrize(("flags", "has"), [(["avx2"], False), (["avx2", "avx512_bf16"], True)])
def test_bfloat16_is_told_by_the_processors_flags(flags: list[str], has: bool) -> None:
    assert results.has_bfloat16({"instructions": flags}) is has
