"""What happens during a run, as values: stages and the loop yield them, listeners show and record them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Anything that a listener may be told."""

    def record(self) -> dict[str, Any]:
        """Return the event as one line of the history file."""
        return {"event": type(self).__name__, **vars(self)}


@dataclass(frozen=True)
class Noted(Event):
    """A stage says one sentence: a choice made for the user, or something about the data."""

    stage: str
    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class SchemaInferred(Event):
    """columns: (name, kind, what was learned, why) of each column, set-aside ones included."""

    rows: int
    columns: list[tuple[str, str, str, str]]
    target: str
    task: str


@dataclass(frozen=True)
class SplitMade(Event):
    train: int
    validation: int
    test: int
    noun: str = "rows"


@dataclass(frozen=True)
class PreflightDone(Event):
    """checks: name, status (passed, warning, failed), expected, found and action of each. estimate: epochs, steps,
    step_seconds, seconds, memory_bytes and disk_bytes; the two of time None where nothing was timed."""

    checks: list[dict[str, Any]]
    estimate: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class TrainingStarted(Event):
    """steps: of the optimizer, if the training is not stopped early."""

    epochs: int
    steps: int
    rows: int
    parameters: int
    trained_parameters: int
    precision: str
    device: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class StepDone(Event):
    """loss: mean over the rows of the step. seconds: of the step."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    grad_norm: float
    rows: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Validated(Event):
    """scores: by metric. decider: the metric that chooses the best weights."""

    epoch: int
    step: int
    scores: dict[str, float]
    decider: str
    is_best: bool


@dataclass(frozen=True)
class Resumed(Event):
    """An interrupted training goes on. step: how many are done. note: one sentence."""

    step: int
    epoch: int
    note: str


@dataclass(frozen=True)
class CheckpointDue(Event):
    """A checkpoint is about to be written: what was told so far should be on the disk before it."""


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """seconds: that it took. bytes: of its files."""

    step: int
    path: str
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Diverged(Event):
    """A step's loss could not be used. rows: their numbers in the source. action: one sentence."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    rows: list[int]
    action: str


@dataclass(frozen=True)
class MemoryRanOut(Event):
    """From here on a batch goes in so many parts."""

    step: int
    parts: int


@dataclass(frozen=True)
class Stopped(Event):
    """A signal ended the training after so many steps; all is saved."""

    step: int
    signal: str


@dataclass(frozen=True)
class TrainingEnded(Event):
    """reason: one sentence. best_epoch: whose weights are kept; best_step: the steps that they had, None where
    validations come at the end of epochs alone."""

    reason: str
    best_epoch: int
    seconds: float
    best_step: int | None = None


@dataclass(frozen=True)
class Evaluated(Event):
    """evaluation: the content of metrics.json."""

    evaluation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSaved(Event):
    """report: the path of its page; None where it could not be made."""

    path: str
    report: str | None = None


class Listener(ABC):
    """Is told every event of a run, and at the end that there will be no more."""

    @abstractmethod
    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what is held: a file, the terminal's cursor."""
