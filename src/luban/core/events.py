"""What happens during a run, as values: stages and the loop yield them, listeners show and record them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Anything that a listener may be told."""

    def record(self) -> dict[str, Any]:
        """Return the event as one line of the history file."""
        return {"event": type(self).__name__, **asdict(self)}


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


@dataclass(frozen=True)
class PreflightDone(Event):
    """checks: name, status (passed, warning, failed), expected, found and action of each. estimate: epochs, steps,
    step_seconds, seconds, memory_bytes and disk_bytes; the two of time None where nothing was timed."""

    checks: list[dict[str, str]]
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
class TrainingEnded(Event):
    """reason: one sentence. best_epoch: whose weights are kept."""

    reason: str
    best_epoch: int
    seconds: float


@dataclass(frozen=True)
class Evaluated(Event):
    """evaluation: the content of metrics.json."""

    evaluation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSaved(Event):
    path: str


Listener = Callable[[Event], None]
