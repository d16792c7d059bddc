"""What every experiment tracker is, and the few numbers of a long training that it is given."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from luban.core.events import Event, Listener, StepDone

Tell = Callable[[Event], None]
POINTS = 2000  # of a curve; more are averaged, so that tracking costs a run a bounded time
MAX_TEXT = 500  # characters of a setting's value


class Tracker(Listener):
    """A listener that writes to a tracker. note: where to look; once closed, all that waited is written."""

    note: str


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
