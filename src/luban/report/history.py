"""The history file: one event a line."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from luban.core.artifact import HISTORY, write_bytes
from luban.core.errors import ArtifactError
from luban.core.events import CheckpointDue, Event, Listener, Noted, Resumed, RunSaved, StepDone
from luban.core.regular import read_regular
from luban.core.sentence import sentence, with_parts
from luban.core.system_errors import disk_errors

FLUSH_SECONDS = 1.0  # that steps wait at most before they are written
REQUIRED = {
    kind.__name__: {part.name for part in fields(kind) if part.default is MISSING and part.default_factory is MISSING}
    for kind in Event.__subclasses__()
}  # the parts that each event has
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
REPEATED = ("StepDone", "Validated", "CheckpointSaved", "TrainingEnded", "Evaluated")  # by a run that goes on


class History(Listener):
    """A listener that appends every event to a run's history file.

    Steps are written once a second, whatever else happens at once: a killed process loses at most the last second of
    steps, which a resumed run repeats. Raises ArtifactError where the file cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        warn: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.path, self.clock, self.warn = folder / HISTORY, clock, warn
        self.waiting: list[str] = []
        self.flushed = clock()
        self.is_whole = False  # known to end with a line feed

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunSaved):
            return  # the run is sealed: its files no longer change
        if isinstance(event, CheckpointDue):
            self.flush()
            return
        if isinstance(event, Resumed) and (dropped := self.rewind(event.step, event.epoch)):
            note = Noted(
                "resume",
                sentence("resume.lines", "{lines:count damaged line} of {file} left out", lines=dropped, file=HISTORY),
                is_warning=True,
            )
            self(note)
            self.warn(note)
        record = event.record()
        self.waiting.append(_line(record if isinstance(event, StepDone) else with_parts(record)))
        if not isinstance(event, StepDone) or self.clock() - self.flushed >= FLUSH_SECONDS:
            self.flush()

    def close(self) -> None:
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        lines, self.waiting = self.waiting, []
        self.flushed = self.clock()
        if not lines:
            return
        if self.path.is_symlink():  # which may lead to a file of the user's
            raise ArtifactError(
                str(self.path),
                expected="a file of the run itself",
                found="a link",
                action="Put the file that it leads to in its place",
            )
        with disk_errors(self.path), self.path.open("ab+") as file:
            if not self.is_whole and file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    lines.insert(0, "\n")  # after a line that a kill tore
            file.write("".join(lines).encode())
        self.is_whole = True

    def rewind(self, step: int, epoch: int) -> int:
        """Drop what a run that goes on from the checkpoint of `step` (its next step) will say again.

        That is every step, validation, checkpoint and result after the record of that checkpoint; where a kill came
        between the checkpoint and its record, the steps from `step` on and what is later than it. Lines that a kill
        tore are dropped too, as are damaged ones. Returns how many of these there were.
        """
        self.flush()
        if not self.path.exists():
            return 0
        lines = read_regular(self.path, ArtifactError).splitlines(keepends=True)
        records = [(line, record) for line in lines if (record := _record(line)) is not None]
        saved = [
            place
            for place, (_, record) in enumerate(records)
            if record["event"] == "CheckpointSaved" and Path(record["path"]).stem == f"step-{step:08d}-{epoch:05d}"
        ]
        after = saved[-1] if saved else -1
        kept = [
            line
            for place, (line, record) in enumerate(records)
            if place <= after or not _is_repeated(record, step, is_recorded=bool(saved))
        ]
        write_bytes(self.path, b"".join(kept))
        self.is_whole = True
        return sum(line.endswith(b"\n") and bool(line.strip()) for line in lines) - len(records)


def _is_repeated(record: dict[str, Any], step: int, *, is_recorded: bool) -> bool:
    """Tell whether a record will come again. is_recorded: the checkpoint is in the file, and this comes after it."""
    name = record["event"]
    if name not in REPEATED or is_recorded:
        return name in REPEATED
    if name == "Validated":  # at `step` itself: it came before the checkpoint, whose record is missing
        return bool(record["step"] > step)
    return bool(record.get("step", step) >= step)


def _record(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where it was torn, or is no event with all its parts."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not line.endswith(b"\n") or not isinstance(record, dict):
        return None
    required = REQUIRED.get(record["event"]) if isinstance(record.get("event"), str) else None
    if required is None or not required <= record.keys():
        return None
    is_read = isinstance(record.get("path", ""), str) and isinstance(record.get("step", 0), int)
    return record if is_read else None


def _line(record: dict[str, Any]) -> str:
    try:
        return ENCODER.encode(record) + "\n"
    except ValueError:
        return ENCODER.encode(_finite(record)) + "\n"


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity: they become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
