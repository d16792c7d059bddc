"""Settings of the judgement of a model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from luban.core.settings import Settings, Word
from luban.tasks.goal import parse_goal

Forecaster = Literal["auto_ets", "auto_arima"]


class EvaluateConfig(Settings):
    """goal: what the decision threshold is chosen for. level: the coverage that prediction sets promise. sets: how they
    are made. fairness_column: whose groups are compared. robustness, learning_curve: whether they are measured.
    forecasters: that are fitted beside a forecast, on the look-back of some windows each."""

    goal: str | None = None
    level: float = Field(0.9, gt=0, lt=1)
    sets: Literal["lac", "aps"] = "lac"
    fairness_column: Word | None = None
    robustness: bool = True
    learning_curve: bool = True
    forecasters: tuple[Forecaster, ...] = Field((), max_length=2)

    @field_validator("goal")
    @classmethod
    def _is_a_goal(cls, value: str | None) -> str | None:
        if value is not None:
            parse_goal(value)
        return value
