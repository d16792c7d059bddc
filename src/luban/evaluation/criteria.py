"""By what a run is judged: one answer for the training's own verdict, later evaluations and comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import ValidationError

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError, ConfigError
from luban.evaluation.config import EvaluateConfig
from luban.tasks.base import Metric, Task
from luban.tasks.deciding import deciding_metric


@dataclass(frozen=True)
class Criteria:
    """decider: the metric that decides. config: goal, level and more, as the run set them. seed: of what is drawn."""

    decider: Metric
    config: EvaluateConfig
    seed: int

    @classmethod
    def of(cls, task: Task, metric: str | None, config: EvaluateConfig, seed: int) -> Self:
        """metric: the setting `train.metric`. A goal is for tasks that decide by a threshold alone. Raises ConfigError
        where the metric is none of the task's."""
        if not task.has_threshold:
            config = config.model_copy(update={"goal": None})
        return cls(deciding_metric(task, metric), config, seed)

    @classmethod
    def load(cls, run: RunDirectory, task: Task, *, is_part: bool = False) -> Self:
        """Read the configuration of a finished run; what an older run does not set has its default. is_part: whether
        the task is one of several, so that the first of its own metrics decides. Raises ArtifactError."""
        path = run / artifact.CONFIG
        try:
            settings = run.read_settings()
            config = EvaluateConfig.model_validate(settings.get("evaluate") or {})
            metric = None if is_part else (settings.get("train") or {}).get("metric")
            return cls.of(task, metric, config, int(settings.get("seed") or 0))
        except (OSError, ValueError, AttributeError, TypeError, ValidationError, ConfigError) as error:
            raise ArtifactError(
                str(path),
                expected="the settings that the run was judged by",
                found="others, or none",
                action="Copy the run directory again",
            ) from error
