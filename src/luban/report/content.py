"""What the report is made from: the files of a run directory, each of which but the scores may be missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from luban.core import artifact
from luban.core.answers import AnswerKind
from luban.core.artifact import RunDirectory
from luban.report.figures import Figures
from luban.report.stored import is_event, read_stored
from luban.tasks import TASKS, answer_named
from luban.tasks.stored import load_task

MAX_NAMES = 4  # of the variables of a forecast, that stand for all
MAX_STEPS = 4_000  # steps of the history that are read: more than a chart can show
STEP_MARK = b'"event": "StepDone"'


class Record(dict[str, Any]):
    """An event of the history. line: of the file, from 0."""

    def __init__(self, content: dict[str, Any], line: int) -> None:
        super().__init__(content)
        self.line = line


@dataclass(frozen=True)
class Step:
    """One optimizer step. line: of the history, from 0."""

    line: int
    step: int
    epoch: int
    loss: float
    learning_rate: float
    grad_norm: float
    rows_per_second: float


@dataclass(frozen=True)
class Content:
    """directory: of the run. metrics, audit, explanations: the files of that name, empty where there is none.
    events: the history without its steps. steps: at most 4,000 of them, drawn evenly. is_one_of_many: on a page of
    several runs a source names the run, too. part: the place of metrics and explanations in their files, where they are
    those of one of several targets."""

    directory: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    metrics: dict[str, Any]
    audit: dict[str, Any]
    explanations: dict[str, Any]
    state: dict[str, Any]  # of the task
    events: tuple[Record, ...]
    steps: tuple[Step, ...]
    is_one_of_many: bool = False
    part: tuple[str, ...] = ()

    def file(self, name: str) -> str:
        """Return what sources call a file of the run."""
        return f"{quote(self.name, safe='')}/{name}" if self.is_one_of_many else name

    @property
    def name(self) -> str:
        return self.directory.resolve().name

    @property
    def figures(self) -> Figures:
        return Figures(self.metrics, self.file(artifact.METRICS), self.part)

    @property
    def explained(self) -> Figures:
        return Figures(self.explanations, self.file(artifact.EXPLANATIONS), self.part)

    @cached_property
    def parts(self) -> tuple[Content, ...]:
        """The run as each of several targets has it: none of one target."""
        targets, tasks = self.metrics.get("targets", {}), self.state.get("tasks", ())
        explained = self.explanations.get("targets", {})
        return tuple(
            replace(
                self,
                metrics=metrics,
                explanations=explained.get(name, {}),
                state=task["state"],
                part=("targets", name),
            )
            for (name, metrics), task in zip(targets.items(), tasks, strict=False)
        )

    @property
    def facts(self) -> Figures:
        return Figures(self.manifest, self.file(artifact.MANIFEST))

    @property
    def audited(self) -> Figures:
        return Figures(self.audit, self.file(artifact.AUDIT))

    @property
    def settings(self) -> Figures:
        return Figures(self.config, self.file(artifact.CONFIG))

    @property
    def decider(self) -> str:
        return str(self.metrics["decider"])

    def is_lower_better(self, metric: str) -> bool:
        """Tell whether the lower score of a metric is better; where an older run does not say, its task tells."""
        said = self.metrics.get("directions", {})
        if metric in said:
            return bool(said[metric] == "lower")
        metrics = next((task.metrics for task in TASKS if task.name == self.metrics.get("task")), ())
        return any(known.name == metric and known.direction == "lower" for known in metrics)

    @property
    def answer(self) -> AnswerKind | None:
        """The kind of answer of the run's task; None of a task that is not known."""
        return answer_named(self.metrics.get("task"))

    @property
    def target(self) -> str:
        if self.parts:
            return ", ".join(part.target for part in self.parts)
        columns = [str(name) for name in self.state.get("columns") or ()]  # of a forecast
        if columns:
            return ", ".join([*columns[:MAX_NAMES], *(["…"] if len(columns) > MAX_NAMES else [])])
        return str(self.state.get("target") or self.config.get("data", {}).get("target") or "")

    def all_of(self, event: str) -> list[Record]:
        """Return the events of a name, in order."""
        return [record for record in self.events if record["event"] == event]

    def first(self, event: str) -> Record:
        """Return the first event of a name, or an empty one."""
        return next(iter(self.all_of(event)), Record({}, 0))

    def last(self, event: str) -> Record:
        """Return the last event of a name, or an empty one."""
        found = self.all_of(event)
        return found[-1] if found else Record({}, 0)

    @staticmethod
    def told(record: Record) -> Figures:
        """Return the entries of an event, by name."""
        return Figures(record, artifact.HISTORY, (record.line,))

    def predictions(self) -> pl.DataFrame | None:
        """Return the predictions of the test rows, where there are any."""
        run = RunDirectory(self.directory)
        return run.predictions() if run.has(artifact.PREDICTIONS) else None


def read_content(directory: RunDirectory, manifest: dict[str, Any] | None = None) -> Content:
    """Read a run. manifest: of a run that is not sealed yet. Raises ArtifactError for a file that cannot be read."""

    def optional(name: str) -> dict[str, Any]:
        return read_stored(directory, name) if directory.has(name) else {}

    has_history = directory.has(artifact.HISTORY)
    events, steps = read_history(directory.checked(artifact.HISTORY)) if has_history else ([], [])
    return Content(
        directory=directory.path,
        config=directory.read_settings() if directory.has(artifact.CONFIG) else {},
        manifest=directory.read_json(artifact.MANIFEST) if manifest is None else manifest,
        metrics=read_stored(directory, artifact.METRICS),
        audit=optional(artifact.AUDIT),
        explanations=optional(artifact.EXPLANATIONS),
        state=load_task(directory).state() if directory.has(artifact.TASK) else {},
        events=tuple(events),
        steps=tuple(steps),
    )


def read_history(path: Path) -> tuple[list[Record], list[Step]]:
    """Return the events and an even draw of the steps; torn lines, and steps that were taken back, are passed over."""
    if not path.is_file():
        return [], []
    with path.open("rb") as lines:
        count = sum(STEP_MARK in line for line in lines)
    stride = max(1, -(-count // MAX_STEPS))
    events: list[Record] = []
    steps: list[Step] = []
    seen = 0
    for number, line in enumerate(_lines(path)):
        is_step = STEP_MARK in line
        seen += is_step
        if is_step and (seen - 1) % stride:
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not is_event(record):
            continue
        if record["event"] == "StepDone":
            if record.get("step") is None or record.get("epoch") is None:
                continue
            step = _step(record, number)
            while steps and steps[-1].step >= step.step:  # a training that went back takes them again
                steps.pop()
            steps.append(step)
        else:
            events.append(Record(record, number))
    return events, steps


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as lines:
        yield from lines


def _step(record: dict[str, Any], line: int) -> Step:
    seconds = record.get("seconds") or 0.0
    return Step(
        line,
        int(record["step"]),
        int(record["epoch"]),
        _number(record.get("loss")),
        _number(record.get("learning_rate")),
        _number(record.get("grad_norm")),
        record.get("rows", 0) / seconds if seconds > 0 else float("nan"),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
