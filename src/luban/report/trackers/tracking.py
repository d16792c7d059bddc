"""Experiment trackers: which there are, what they need, and the few numbers of a long training that they are given."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from luban.core.errors import ConfigError, listed
from luban.core.events import Event, Listener, StepDone

Tell = Callable[[Event], None]
TrackerName = Literal["tensorboard", "mlflow"]
POINTS = 2000  # of a curve; more are averaged, so that tracking costs a run a bounded time
MAX_TEXT = 500  # characters of a setting's value


class Tracker(Listener):
    """A listener that writes to a tracker. note: where to look; once closed, all that waited is written."""

    note: str


def _tensorboard(folder: Path, settings: dict[str, Any], tell: Tell) -> Tracker:
    from luban.report.trackers.tensorboard import TensorBoard

    return TensorBoard(folder, settings)


def _mlflow(folder: Path, settings: dict[str, Any], tell: Tell) -> Tracker:
    from luban.report.trackers.mlflow import MLflow

    return MLflow(folder, settings, tell)


TRACKERS: dict[TrackerName, tuple[tuple[str, ...], Callable[[Path, dict[str, Any], Tell], Tracker]]] = {
    "tensorboard": (("tensorboard",), _tensorboard),
    "mlflow": (("mlflow", "sqlalchemy", "alembic"), _mlflow),
}


def trackers(names: Sequence[TrackerName], folder: Path, settings: dict[str, Any], tell: Tell) -> list[Tracker]:
    """Return the trackers of a run. folder: of the run. tell: takes warnings while it runs.

    Raises ConfigError where a package is missing or a tracking server does not answer.
    """
    for name in names:
        missing = [package for package in TRACKERS[name][0] if importlib.util.find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"track: {name}",
                expected=f"the packages that it needs: {listed(TRACKERS[name][0])}",
                found=f"no {listed(missing)}",
                action='Install them with `pip install "luban[track]"`, or leave it out',
            )
    return [TRACKERS[name][1](folder, settings, tell) for name in dict.fromkeys(names)]


@dataclass
class StepAverages:
    """Turns steps into at most 2000 points, each the mean over as many steps. total: steps of the training."""

    total: int
    steps: list[StepDone] = field(default_factory=list)

    def add(self, event: StepDone) -> tuple[int, dict[str, float]] | None:
        """Take a step; return the last step of a point with its values once the point is complete."""
        self.steps.append(event)
        stride = max(1, math.ceil(self.total / POINTS))
        return self.rest() if (event.step + 1) % stride == 0 else None

    def rest(self) -> tuple[int, dict[str, float]] | None:
        """Return the point of the steps that wait; None where none do."""
        steps, self.steps = self.steps, []
        if not steps:
            return None
        seconds = sum(step.seconds for step in steps)
        return steps[-1].step, {
            "train/loss": sum(step.loss for step in steps) / len(steps),
            "train/learning_rate": steps[-1].learning_rate,
            "train/grad_norm": sum(step.grad_norm for step in steps) / len(steps),
            "train/rows_per_second": sum(step.rows for step in steps) / max(seconds, 1e-9),
        }


def last_step(step: int) -> int:
    """Return the step that a validation belongs to: the last before it, so that resuming there keeps it."""
    return max(0, step - 1)


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as `train.optim.learning_rate` and text."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            found[prefix + name] = text[:MAX_TEXT]
    return found


def final_scores(evaluation: dict[str, Any]) -> dict[str, float]:
    """Return the final scores that are defined."""
    scores = {f"test/{name}": score["value"] for name, score in evaluation.get("scores", {}).items()}
    return {name: float(value) for name, value in scores.items() if value is not None}
