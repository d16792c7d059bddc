"""Runs that are damaged are listed as such, and do not stop the others from being listed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from tests.end_to_end.resealed import reseal

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError
from luban.report.content import read_content
from luban.report.runs import listing

SCORES = {"accuracy": {"value": 0.7, "low": 0.6, "high": 0.8}}
METRICS = {"rows": 9, "task": "binary", "decider": "accuracy", "scores": SCORES}
EVENTS = [
    {"event": "StepDone", "step": 0, "epoch": 1, "loss": 0.7},
    {"event": "Validated", "epoch": 1, "step": 1, "scores": {"accuracy": 0.7}, "decider": "accuracy", "is_best": True},
]


def run_of(parent: Path, name: str) -> Path:
    run = RunDirectory.create(parent, name)
    artifact.write_json(run / artifact.METRICS, METRICS)
    artifact.write_bytes(run / artifact.CONFIG, b"data: {target: y}\n")
    artifact.write_bytes(run / artifact.HISTORY, "".join(json.dumps(event) + "\n" for event in EVENTS).encode())
    pl.DataFrame({"row": [1, 2], "actual_y": ["a", "b"]}).write_parquet(run / artifact.PREDICTIONS)
    run.seal({"luban": "0.1.0", "seconds": {"train": 2.0}})
    return run.path


def piped(name: str) -> Callable[[Path], None]:
    def make(run: Path) -> None:
        (run / name).unlink()
        os.mkfifo(run / name)

    return make


def holding(name: str, content: bytes, *, sealed: bool = True) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / name).write_bytes(content)
        if sealed:
            reseal(run)

    return write


DAMAGES = {
    "a metrics file that is nested 100,000 deep": (
        holding(artifact.METRICS, b'{"a":' + b"[" * 100_000),
        "metrics.json: expected a JSON file, found recursion limit exceeded",
    ),
    "metrics of other types": (
        holding(artifact.METRICS, json.dumps({**METRICS, "scores": [1]}).encode()),
        "metrics.json: expected what a training stored, found scores: input should be",
    ),
    "metrics that were changed": (
        holding(artifact.METRICS, json.dumps(METRICS).encode(), sealed=False),
        "metrics.json: expected the file that the training wrote, found one that was changed since",
    ),
    "a history that was changed": (
        holding(artifact.HISTORY, b"", sealed=False),
        "history.jsonl: expected the file that the training wrote, found one that was changed since",
    ),
    "metrics that are a pipe": (piped(artifact.METRICS), "metrics.json: expected a regular file, found a named pipe"),
    "a manifest that is a pipe": (
        piped(artifact.MANIFEST),
        "manifest.json: expected a regular file, found a named pipe",
    ),
    "a manifest that is a list": (holding(artifact.MANIFEST, b"[1]", sealed=False), "manifest.json: expected a JSON"),
    "settings that run code": (
        holding(artifact.CONFIG, b"!!python/object/apply:os.system [true]"),
        "config.yaml: expected the settings of a run",
    ),
    "settings that are a list": (holding(artifact.CONFIG, b"[1]"), "config.yaml: expected the settings of a run"),
    "metrics that are gone": (
        lambda run: (run / artifact.METRICS).unlink(),
        "metrics.json: expected the file that the training wrote, found none",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_run_is_named_and_the_others_are_listed(name: str, tmp_path: Path) -> None:
    damage, words = DAMAGES[name]
    run_of(tmp_path, "good")
    damage(run_of(tmp_path, "bad"))
    found = listing(tmp_path)
    assert [run.name for run in found.runs] == ["good"]
    (note,) = found.notes()
    assert note.startswith(f"damaged: {tmp_path}/bad/")
    assert words in note
    assert "\n" not in note


def test_run_that_may_not_be_read_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(tmp_path, "good")
    closed = run_of(tmp_path, "closed") / artifact.CONFIG
    opened = os.open

    def refusing(path: object, *arguments: int) -> int:
        if path == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
    found = listing(tmp_path)
    assert [run.name for run in found.runs] == ["good"]
    assert found.notes() == [
        f"damaged: {closed}: expected a file that can be read, found 'Permission denied'. Check the path, and that you "
        "may read it."
    ]


def test_predictions_that_were_changed_are_not_believed(tmp_path: Path) -> None:
    run = run_of(tmp_path, "run")
    content = read_content(RunDirectory(run))
    assert content.predictions() is not None
    pl.DataFrame({"row": [1, 2], "actual_y": ["b", "b"]}).write_parquet(run / artifact.PREDICTIONS)
    words = "predictions.parquet: expected the file that the training wrote, found one that was changed since"
    with pytest.raises(ArtifactError, match=words):
        content.predictions()
    for damage in (pl.DataFrame({"row": ["1"]}), pl.DataFrame({"row": [None, 1]}), pl.DataFrame({"other": [1]})):
        damage.write_parquet(run / artifact.PREDICTIONS)
        reseal(run)
        with pytest.raises(ArtifactError, match="predictions.parquet: expected the predictions of the test rows"):
            content.predictions()


def test_file_that_the_manifest_does_not_name_is_not_believed(tmp_path: Path) -> None:
    run = run_of(tmp_path, "run")
    artifact.write_json(run / artifact.AUDIT, {"name": "rows", "rows": 9})
    with pytest.raises(ArtifactError, match="audit.json: expected the file that the training wrote"):
        read_content(RunDirectory(run))


def test_names_that_fill_the_limit_of_the_file_system_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("字" * 83 + ".json")
    assert len(os.fsencode(path.name)) == 254
    artifact.write_json(path, {"a": 1})
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    words = "expected a name that the file system can hold, found one that is too long. Choose a shorter name"
    for make in (lambda: artifact.write_bytes(tmp_path / ("n" * 300), b""), lambda: run_of(tmp_path, "n" * 300)):
        with pytest.raises(ArtifactError, match=words):
            make()
