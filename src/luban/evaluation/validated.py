"""What the validation rows tell of a trained model: its temperature, its threshold, its conformal scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from torch import Tensor

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError
from luban.evaluation import conformal, threshold
from luban.evaluation.calibration import fit_temperature
from luban.evaluation.config import EvaluateConfig
from luban.evaluation.goal import Goal, parse_goal
from luban.evaluation.threshold import Choice
from luban.tasks.base import Array, Floats, Task

MAX_ROWS = 5_000  # validation rows that are looked at


@dataclass(frozen=True, eq=False)
class Validated:
    """rows: the validation rows that were looked at. method, scores: of conformal sets; None where there are none."""

    temperature: float = 1.0
    rows: int = 0
    choice: Choice | None = None
    method: conformal.Method | None = None
    scores: Floats | None = None

    @property
    def goal(self) -> Goal:
        """What the threshold was chosen for."""
        assert self.choice is not None
        return parse_goal(self.choice.goal)

    @classmethod
    def fit(cls, task: Task, logits: Tensor, targets: Array, config: EvaluateConfig, seed: int = 0) -> Self:
        """Learn from validation rows. logits: (rows, output_dim)."""
        if not len(targets):
            return cls()
        temperature = fit_temperature(task, logits, targets)
        outputs: Floats = task.outputs(logits / temperature).numpy()
        choice = threshold.choose(task, targets, outputs, parse_goal(config.goal or threshold.DEFAULT_GOAL))
        method = conformal.method_of(task, config.sets)
        scores = None if method is None else conformal.fit_scores(method, targets, outputs, seed)
        return cls(temperature, len(targets), choice, method, scores)

    def to_json(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "rows": self.rows,
            "threshold": None if self.choice is None else vars(self.choice),
            "conformal": None if self.scores is None else {"method": self.method, "scores": self.scores.tolist()},
        }

    @classmethod
    def load(cls, run: RunDirectory) -> Self:
        """Read what a run stored; nothing is known of a run that stored none. Raises ArtifactError where it is
        damaged."""
        if not (run / artifact.CALIBRATION).is_file():
            return cls()
        content = run.read_json(artifact.CALIBRATION)
        try:
            stored, sets = content["threshold"], content["conformal"]
            return cls(
                float(content["temperature"]),
                int(content["rows"]),
                None if stored is None else Choice(**stored),
                None if sets is None else sets["method"],
                None if sets is None else np.array(sets["scores"], np.float64),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                str(run / artifact.CALIBRATION),
                expected="what a training stored of its validation rows",
                found=f"something else ({type(error).__name__}: {error})",
                action="Copy the run directory again",
            ) from error
