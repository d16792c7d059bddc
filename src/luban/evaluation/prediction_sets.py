"""Prediction sets and intervals of new rows, from the scores that a run stored of its validation rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import polars as pl

from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError
from luban.evaluation.conformal import limit_of, rows_needed, sets_of
from luban.tasks.base import Floats, SetMethod, Task
from luban.tasks.validated import Validated


@dataclass(frozen=True)
class PredictionSets:
    """limit: how strange a class may be, or how far off a number, at the promised coverage."""

    method: SetMethod
    limit: float

    @classmethod
    def load(cls, run: RunDirectory, task: Task, level: float) -> Self:
        """Raises ConfigError where the run stored no scores, or too few for the level, or the task has no sets."""
        check_level(level)
        if not task.has_logits:
            raise ConfigError(
                f"{run.path}, --sets",
                expected="a task of one answer a row, which sets are made of",
                found=f"the task {task.name}",
                action="Leave --sets out",
            )
        scores = Validated.load(run, task).conformal
        if scores is None:
            raise ConfigError(
                f"{run.path}, --sets",
                expected="a run with validation rows, which prediction sets are made from",
                found="none stored with it",
                action="Leave --sets out, or train again with validation rows",
            )
        limit = limit_of(scores, level)
        if limit == math.inf:
            raise ConfigError(
                f"{run.path}, --sets",
                expected=f"{rows_needed(level)} validation rows or more for the level {level:g}",
                found=str(scores.num_rows),
                action="Choose a lower level, or train with more validation rows",
            )
        return cls(scores.method, limit)

    def columns(self, task: Task, outputs: Floats) -> pl.DataFrame:
        """Return `set_TARGET`, the labels of each row's set; of numbers `low_TARGET` and `high_TARGET`."""
        if self.method == "residual":
            ends = {"low": outputs - self.limit, "high": outputs + self.limit}
            return pl.DataFrame({f"{name}_{task.target}": values for name, values in ends.items()})
        members = sets_of(self.method, outputs, self.limit)
        names = [[task.names[place] for place in row.nonzero()[0]] for row in members]
        return pl.DataFrame({f"set_{task.target}": pl.Series(names, dtype=pl.List(pl.String))})


def check_level(level: float) -> None:
    """Raise ConfigError for a level that nothing can promise."""
    if not 0 < level < 1:
        raise ConfigError("--sets", expected="a number between 0 and 1", found=f"{level:g}", action="Write 0.9")
