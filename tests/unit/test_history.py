"""The history file: cheap while it is written, whole after a kill, continued by a resumed run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from luban.core.errors import ArtifactError
from luban.core.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Noted,
    Resumed,
    RunSaved,
    StepDone,
    TrainingEnded,
    Validated,
)
from luban.report.history import REQUIRED, History


def step(number: int, loss: float = 0.5) -> StepDone:
    return StepDone(number, 1, loss, 1e-3, 1.0, 8, 8, 0.002)


def saved(number: int, epoch: int = 1) -> CheckpointSaved:
    return CheckpointSaved(number, f"checkpoints/step-{number:08d}-{epoch:05d}.json", 0.1, 1000)


def validated(number: int) -> Validated:
    return Validated(1, number, {"accuracy": 0.5}, "accuracy", is_best=True)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text("utf-8").splitlines()]


def names_and_steps(folder: Path) -> list[tuple[str, int | None]]:
    return [(record["event"], record.get("step")) for record in records(folder)]


def test_steps_wait_for_a_second_or_for_another_event(tmp_path: Path) -> None:
    now = [0.0]
    history = History(tmp_path, lambda: now[0])
    history(step(0))
    history(step(1))
    assert not (tmp_path / "history.jsonl").exists()
    now[0] = 1.0
    history(step(2))
    assert len(records(tmp_path)) == 3
    history(step(3))
    history(validated(4))
    assert names_and_steps(tmp_path)[3:] == [("StepDone", 3), ("Validated", 4)]
    history(step(4))
    history.flush()
    assert len(records(tmp_path)) == 6


def test_what_json_does_not_know_is_null_and_a_sealed_run_is_left_alone(tmp_path: Path) -> None:
    history = History(tmp_path)
    history(step(0, math.nan))
    history(Evaluated({"scores": {"r2": -math.inf}, "text": "é"}))
    history(RunSaved("runs/x"))
    first, second = records(tmp_path)
    assert first["loss"] is None
    assert second["evaluation"] == {"scores": {"r2": None}, "text": "é"}


def test_rewind_drops_what_came_after_the_checkpoint_and_keeps_the_validation_before_it(tmp_path: Path) -> None:
    history = History(tmp_path)
    for event in (step(0), step(1), validated(2), saved(2), step(2), validated(3), Noted("train", "slow"), saved(3)):
        history(event)
    history(TrainingEnded("done", 1, 1.0))
    History(tmp_path).rewind(2, 1)
    assert names_and_steps(tmp_path) == [
        ("StepDone", 0),
        ("StepDone", 1),
        ("Validated", 2),
        ("CheckpointSaved", 2),
        ("Noted", None),
    ]


def test_rewind_drops_the_validation_that_the_checkpoint_came_before(tmp_path: Path) -> None:
    history = History(tmp_path)
    for event in (step(0), step(1), saved(2), validated(2)):
        history(event)
    history.rewind(2, 1)
    assert names_and_steps(tmp_path) == [("StepDone", 0), ("StepDone", 1), ("CheckpointSaved", 2)]


def test_rewind_without_the_checkpoints_record_goes_by_steps(tmp_path: Path) -> None:
    history = History(tmp_path)
    for event in (step(0), saved(1), step(1), validated(2), step(2), saved(3), validated(3)):
        history(event)
    history.rewind(2, 1)
    assert names_and_steps(tmp_path) == [("StepDone", 0), ("CheckpointSaved", 1), ("StepDone", 1), ("Validated", 2)]


def test_rewind_tells_the_checkpoint_after_a_validation_from_that_before_it(tmp_path: Path) -> None:
    history = History(tmp_path)
    for event in (step(0), step(1), saved(2, epoch=1), validated(2)):
        history(event)  # killed after the checkpoint of epoch 2 was written, before its record
    history.rewind(2, 2)
    assert names_and_steps(tmp_path)[-1] == ("Validated", 2)


def test_rewind_writes_waiting_steps_first_and_later_events_go_on(tmp_path: Path) -> None:
    history = History(tmp_path, lambda: 0.0)
    history(step(0))
    history(step(1))
    history.rewind(1, 1)
    history(step(1))
    history(validated(2))
    assert names_and_steps(tmp_path) == [("StepDone", 0), ("StepDone", 1), ("Validated", 2)]


def test_a_line_that_a_kill_tore_neither_stops_nor_swallows_what_follows(tmp_path: Path) -> None:
    History(tmp_path)(validated(1))
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event": "StepDone", "st')
    resumed = History(tmp_path)
    resumed(Noted("read", "again"))
    resumed.rewind(1, 1)
    assert names_and_steps(tmp_path) == [("Validated", 1), ("Noted", None)]


def test_rewind_drops_a_torn_last_line(tmp_path: Path) -> None:
    History(tmp_path)(validated(1))
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event": "Noted"}')  # readable, but not whole: no line feed
    History(tmp_path).rewind(5, 1)
    assert names_and_steps(tmp_path) == [("Validated", 1)]


def test_rewind_of_a_run_without_history_does_nothing(tmp_path: Path) -> None:
    History(tmp_path).rewind(3, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.path = Path("/dev/full")
    with pytest.raises(ArtifactError, match="expected room on the disk, found a full disk. Free some space"):
        history(validated(1))


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("mine")
    (tmp_path / "history.jsonl").symlink_to(tmp_path / "thesis")
    with pytest.raises(ArtifactError, match="expected a file of the run itself, found a link. Put the file that it le"):
        History(tmp_path)(validated(1))
    assert (tmp_path / "thesis").read_text() == "mine"


def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="history.jsonl: expected a place that can be written"):
        History(tmp_path / "gone")(validated(1))


@pytest.mark.parametrize(
    "line",
    [
        b'{"event": "CheckpointSaved"}',
        b'{"event": "CheckpointSaved", "step": 1, "path": 3, "seconds": 0.1, "bytes": 1}',
        b'{"event": "Validated", "step": "x", "epoch": 1, "scores": {}, "decider": "", "is_best": true}',
        b'{"event": "StepDone"}',
        b'{"event": ["StepDone"]}',
        b'{"event": null}',
        b'{"event": "Stranger"}',
        b"[" * 100_000,
        b"[1]",
        b"\xff\xfe",
    ],
    ids=lambda line: line[:40].decode("latin-1"),
)
def test_a_damaged_line_is_left_out_and_told(tmp_path: Path, line: bytes) -> None:
    history = History(tmp_path)
    for event in (step(0), saved(1), step(1)):
        history(event)
    history.flush()
    path = tmp_path / "history.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes() + line + b"\n")
    told: list[Event] = []
    History(tmp_path, warn=told.append)(Resumed(1, 1, "goes on after step 1"))
    assert names_and_steps(tmp_path) == [("StepDone", 0), ("CheckpointSaved", 1), ("Noted", None), ("Resumed", 1)]
    (note,) = told
    assert isinstance(note, Noted)
    assert note.text == "2 damaged lines of history.jsonl left out"


def test_every_event_is_known_by_its_parts(tmp_path: Path) -> None:
    assert {"StepDone", "Validated", "CheckpointSaved", "TrainingEnded", "Evaluated", "PreflightDone"} <= set(REQUIRED)
    assert REQUIRED["Noted"] == {"stage", "text"}
