"""Answers that are a number a row."""

from __future__ import annotations

import numpy as np

from luban.evaluation.answers.base import Answer, Constant, Rate
from luban.evaluation.quality import Quality
from luban.tasks.base import Array, Floats
from luban.tasks.regression import Regression


class Numbers(Answer[Regression]):
    """targets, outputs: (rows,) in the target's unit."""

    def texts(self, task: Regression, targets: Array) -> list[str]:
        return [f"{value:g}" for value in targets.astype(np.float64)]

    def certain(self, task: Regression, targets: Array) -> Floats:
        return targets.astype(np.float64)

    def quality(self, task: Regression, targets: Array, outputs: Floats) -> Quality:
        """The absolute error."""
        errors = np.abs(outputs.astype(np.float64) - targets.astype(np.float64))
        return Quality("mae", errors, False, False, False)

    def wrongness(self, task: Regression, targets: Array, outputs: Floats) -> Floats:
        return self.quality(task, targets, outputs).values

    def constant(self, task: Regression, targets: Array) -> Constant:
        return Constant("mean", "always the mean of the training rows", np.asarray(targets.mean(dtype=np.float64)))

    def rates(self, task: Regression, targets: Array, outputs: Floats) -> dict[str, Rate]:
        """The mean absolute error, and the mean error: whether a group's numbers are too high or too low."""
        errors = outputs.astype(np.float64) - targets.astype(np.float64)
        return {**super().rates(task, targets, outputs), "mean_error": (errors, np.ones(len(targets)))}
