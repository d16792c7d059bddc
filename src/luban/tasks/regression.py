"""A number a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from torch import Tensor
from torch.nn import functional as F

from luban.core.answers import AnswerKind
from luban.core.errors import DataError
from luban.core.settings import Settings
from luban.core.strict import Positive
from luban.features.base import ColumnProfile
from luban.features.number import parse_numbers
from luban.tasks import metrics
from luban.tasks.base import Array, Floats, LossOfNumbers, Metric, SetMethod, Task
from luban.tasks.targets import no_targets, numbers_or_why, sampled_numbers

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
DEFAULT_LOSS = "mse"


class Regression(Task):
    """One number, standardised inside the task: the network predicts (value - mean) / std.

    mean, std: of the training rows' targets, in the target's unit.
    """

    name: ClassVar[str] = "regression"
    answer: ClassVar[AnswerKind] = AnswerKind.NUMBER
    set_methods: ClassVar[tuple[SetMethod, ...]] = ("residual",)
    config_type: ClassVar[type[Settings]] = LossOfNumbers
    settings: LossOfNumbers = LossOfNumbers()
    metrics: tuple[Metric, ...] = metrics.REGRESSION

    def __init__(self, target: str, mean: float, std: Positive) -> None:
        self.target, self.mean, self.std = target, mean, std

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        return 0.0 if sampled_numbers(profile) is None else 0.5

    @classmethod
    def fit(cls, target: pl.Series) -> Self:
        values, _ = parse_numbers(target)
        values = values[np.isfinite(values)]
        if not len(values):
            raise no_targets(target, "a number in each row")
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(values.mean()), float(values.std())
        if not np.isfinite(std):
            raise DataError(
                f"target '{target.name}'",
                expected="numbers whose variance can be computed",
                found=f"{np.abs(values).max():.3g}",
                action="Choose a larger unit, or remove the extreme rows",
            )
        if values.min() == values.max():
            raise DataError(
                f"target '{target.name}'",
                expected="numbers that differ",
                found=f"{values[0]:g} in all rows",
                action="Choose another target",
            )
        return cls(target.name, mean, std)

    @property
    def output_dim(self) -> int:
        return 1

    def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
        """Return (rows,) float64 in the target's unit, and the rows without a number, whose target is the mean."""
        values, bad = numbers_or_why(target)
        return np.where(np.isfinite(values), values, self.mean), bad

    def row_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (B, 1); targets: (B,). The loss is on the standardised scale, where `huber` bends at 1."""
        standardised = ((targets - self.mean) / self.std).to(logits.dtype)
        return LOSSES[self.settings.loss or DEFAULT_LOSS](logits.squeeze(-1), standardised, reduction="none")

    def outputs(self, logits: Tensor) -> Tensor:
        """Return values in the target's unit, (B,) float64: float32 has too few digits for dates and large sums."""
        return logits.squeeze(-1).double() * self.std + self.mean

    def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return the value as `predicted_TARGET`."""
        return pl.DataFrame({f"predicted_{self.target}": pl.Series(outputs, dtype=pl.Float64)})

    def state(self) -> dict[str, Any]:
        return {"target": self.target, "mean": self.mean, "std": self.std}
