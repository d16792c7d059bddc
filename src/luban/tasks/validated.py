"""What validation rows tell of a trained model, as a run stores it (calibration.json): how logits become answers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import from_json

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import listed
from luban.core.strict import Finite, Share, checked
from luban.tasks.base import Floats, SetMethod, Task
from luban.tasks.goal import Goal, parse_goal

TARGETS = "targets"  # under which a run stores what it knows of each of several targets


def _by_target(content: bytes) -> dict[str, Any] | None:
    """Return what a run stores of each of several targets; None of one target, and where it is no JSON."""
    try:
        found = from_json(content)
    except ValueError:
        return None
    stored = found.get(TARGETS) if isinstance(found, dict) else None
    return stored if isinstance(stored, dict) else None


class Choice(BaseModel):
    """A decision threshold: what is at least as probable is said.

    met: whether the validation rows reach the goal. stated: whether it is a goal of the user's, which predictions are
    then made for. labels: of several labels a row the thresholds of those that have one of their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal: str
    threshold: Share
    met: bool
    stated: bool = False
    labels: dict[str, Share] | None = None

    @field_validator("goal")
    @classmethod
    def _is_a_goal(cls, value: str) -> str:
        parse_goal(value)
        return value

    @property
    def parsed_goal(self) -> Goal:
        return parse_goal(self.goal)

    def applied(self, task: Task) -> Task:
        """Return the task with this threshold."""
        return task.deciding_at(self.thresholds(task).tolist())

    def thresholds(self, task: Task) -> npt.NDArray[np.float32]:
        """Return the threshold of each label that the task decides on, (L,)."""
        own = self.labels or {}
        return np.array([own.get(label, self.threshold) for label in task.decided], np.float32)

    def sentence(self, task: Task) -> str:
        """Say from which probability on a label is said, and what for; of a goal that is not stated what would be."""
        if not self.stated:
            return f"predictions use 0.5; {self.threshold:.3g} would serve {self.goal} best"
        why = f"chosen for {self.goal}" + ("" if self.met else ", which the validation rows do not reach")
        own, count = self.labels or {}, len(task.names)
        if task.positive is not None or not own:
            label = "a label" if task.positive is None else f"'{task.positive}'"
            return f"{label} is predicted from a probability of {self.threshold:.3g} on, {why}"
        ends = f"{min(own.values()):.3g} to {max(own.values()):.3g}"
        rest = count - len(own)
        others = f"; {rest} labels with few validation rows share {self.threshold:.3g}" if rest else ""
        return f"each label is predicted from a probability of its own on, {ends}{others}, {why}"


class SetScores(BaseModel):
    """How strange the truth of validation rows is, sorted: what prediction sets of any level are made from.

    scores: (n,). weights: of each score, where a row has several: they add up to 1 a row at most. rows: how many there
    are, where they are not as many as scores.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: SetMethod
    scores: tuple[Finite, ...]
    weights: tuple[Share, ...] | None = None
    rows: int | None = Field(default=None, ge=1)

    @field_validator("scores")
    @classmethod
    def _ascends(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(one > other for one, other in pairwise(value)):
            raise ValueError("scores in ascending order")
        return value

    @field_validator("weights")
    @classmethod
    def _fits(cls, value: tuple[float, ...] | None, info: Any) -> tuple[float, ...] | None:
        if value is not None and len(value) != len(info.data.get("scores", ())):
            raise ValueError("one weight a score")
        return value

    @property
    def num_rows(self) -> int:
        return len(self.scores) if self.rows is None else self.rows

    def arrays(self) -> tuple[Floats, Floats]:
        """Return scores and weights, (n,) each."""
        scores = np.array(self.scores, np.float64)
        return scores, np.ones(len(scores)) if self.weights is None else np.array(self.weights, np.float64)


class Validated(BaseModel):
    """temperature: that logits are divided by. rows: the validation rows that were looked at. threshold, conformal:
    None where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    rows: int = Field(default=0, ge=0)
    threshold: Choice | None = None
    conformal: SetScores | None = None

    def decide(self, task: Task) -> Task:
        """Return the task as it answers: with the threshold of a stated goal, else as it is."""
        return self.threshold.applied(task) if self.threshold is not None and self.threshold.stated else task

    def sentence(self, task: Task) -> str | None:
        """Say from which probability on a label is said; None where that is not for a stated goal."""
        return self.threshold.sentence(task) if self.threshold is not None and self.threshold.stated else None

    @staticmethod
    def stored(found: Mapping[str, Validated]) -> dict[str, Any]:
        """Return what a run stores. found: by target."""
        stored = {target: validated.model_dump(mode="json") for target, validated in found.items()}
        return {TARGETS: stored} if len(stored) > 1 else next(iter(stored.values()))

    @classmethod
    def load(cls, run: RunDirectory, task: Task) -> Self:
        """Read what a run stored; nothing is known of a run that stored none. Raises ArtifactError where it is
        damaged, or of another task."""
        if not run.has(artifact.CALIBRATION):
            return cls()
        try:
            content = run.read(artifact.CALIBRATION)
            by_target = _by_target(content)
            found = checked(cls, content if by_target is None else by_target.get(task.target))
            found._check(task)
        except ValueError as error:
            path = run / artifact.CALIBRATION
            raise artifact.damaged(path, "what a training stored of its validation rows", error) from error
        return found

    def _check(self, task: Task) -> None:
        """Raise ValueError where this belongs to another task."""
        if self.threshold is not None:
            if not task.has_threshold:
                raise ValueError(f"a threshold, which the task {task.name} has not")
            unknown = set(self.threshold.labels or {}) - set(task.names)
            if unknown:
                raise ValueError(f"thresholds of unknown labels, {listed(sorted(unknown))}")
        if self.conformal is not None and self.conformal.method not in task.set_methods:
            raise ValueError(f"prediction sets by '{self.conformal.method}', which the task {task.name} has not")
