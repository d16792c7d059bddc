"""Settings of the task."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from luban.core.settings import Settings, Weight
from luban.tasks.forecast.config import ForecastConfig


class TaskConfig(Settings):
    """positive: the positive class of two, which precision, recall, F1 and the goal of the threshold are about; by the
    classes' names if None.

    Of several targets: balance: how their losses are weighed against each other, as `Several` says. weights: of the
    losses by target, where they are balanced by hand; 1 of those that are not named.

    forecast: how the next steps of series are forecast.
    """

    positive: str | None = None
    balance: Literal["equal", "by_hand", "uncertainty"] = "equal"
    weights: dict[str, Weight] | None = Field(None, min_length=1)
    forecast: ForecastConfig | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that the settings name, but for inputs: of time and key."""
        return [] if self.forecast is None else self.forecast.columns

    @field_validator("positive", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Take a label that YAML reads as a number or a truth value for what cells call it."""
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, int | float) else value
