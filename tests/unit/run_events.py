"""The events of a small run, killed and resumed where a test wants it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from luban.core import events
from luban.core.events import Event

SETTINGS: dict[str, Any] = {
    "name": None,
    "seed": 0,
    "data": {"train": "a.csv", "columns": {"price (€)": "number"}},
    "train": {"epochs": None},
}
COMPLETE = {"epochs": 2, "optim": {"learning_rate": 1e-3}}
STEPS_OF_EPOCH, EPOCHS = 5, 2


def loss_of(step: int) -> float:
    return 1.0 / (step + 1)


def training(first: int = 0, last: int = STEPS_OF_EPOCH * EPOCHS) -> Iterator[Event]:
    """Yield what the loop does from step `first` to before `last`; an epoch ends with a validation."""
    total = STEPS_OF_EPOCH * EPOCHS
    yield events.TrainingStarted(EPOCHS, total, 40, 100, 100, "float32", "cpu", COMPLETE)
    if first:
        yield events.Resumed(first, 1 + first // STEPS_OF_EPOCH, "the last checkpoint")
    for step in range(first, last):
        epoch = 1 + step // STEPS_OF_EPOCH
        yield events.StepDone(step, epoch, loss_of(step), 1e-3, 0.5, 8, 8, 0.01)
        if (step + 1) % STEPS_OF_EPOCH == 0:
            scores = {"accuracy": 0.5 + step / 100, "log_loss": 0.4}
            yield events.Validated(epoch, step + 1, scores, "accuracy", is_best=True)


def ending(path: str) -> Iterator[Event]:
    """Yield what follows the last step."""
    yield events.TrainingEnded("all epochs done", 2, 1.0)
    score = {"value": 0.9, "low": 0.8, "high": 1.0}
    undefined = {"value": None, "low": None, "high": None}
    yield events.Evaluated({"rows": 4, "scores": {"accuracy": score, "roc_auc": undefined}})
    yield events.RunSaved(path)
