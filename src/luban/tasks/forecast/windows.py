"""Windows over the steps of series, taken out of columns of all steps when a batch asks for them.

Legend: B origins, each the last step that a forecast knows · L look-back · H horizon · V variables · C covariates
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from luban.core.tensors import EncodedColumn, Ragged, TensorKind
from luban.tasks.forecast.config import Normalise

EPSILON = 1e-5  # of a variance: a window of equal values is divided by something
STEPS_A_TOKEN = 16  # of a window: a patch has about as many
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Past(EncodedColumn):
    """The L steps up to each origin: FRAMES (B * V, L, 1 + C) of each variable with the covariates beside it, or
    (B, L, V + C) of all together. values: (steps, V); beside: (steps, C)."""

    beside: Floats | None = None
    lookback: int = 1
    normalise: Normalise = "none"
    together: bool = False

    @property
    def is_packed(self) -> bool:
        return True

    @property
    def frames_a_token(self) -> int:
        return STEPS_A_TOKEN

    @property
    def lengths(self) -> Integers:
        steps = self.lookback * (1 if self.together else self.values.shape[1])
        return np.full(len(self.values), steps, np.int64)

    def take(self, rows: Integers) -> Ragged:
        steps = rows[:, None] + np.arange(1 - self.lookback, 1)
        values = torch.from_numpy(np.asarray(self.values)[steps])  # (B, L, V)
        level = level_of(values, self.normalise)
        values = (values - level[:, None, :, 0]) / level[:, None, :, 1]
        if not self.together:
            values = values.transpose(1, 2).flatten(0, 1)[:, :, None]  # (B * V, L, 1)
        if self.beside is not None:
            others = torch.from_numpy(self.beside[steps])
            times = len(values) // max(1, len(rows))
            values = torch.cat([values, others.repeat_interleave(times, dim=0)], dim=2)
        offsets = torch.arange(len(values) + 1) * self.lookback
        return Ragged(values.flatten(0, 1).contiguous(), offsets)


@dataclass(frozen=True)
class Levels(EncodedColumn):
    """What is taken off the past of each origin: (B, V, 2), a shift and a factor. values: (steps, V)."""

    lookback: int = 1
    normalise: Normalise = "none"

    def take(self, rows: Integers) -> Tensor:
        steps = rows[:, None] + np.arange(1 - self.lookback, 1)
        return level_of(torch.from_numpy(np.asarray(self.values)[steps]), self.normalise)


@dataclass(frozen=True)
class Future(EncodedColumn):
    """The H steps behind each origin: DENSE (B, H, C), or with one row a variable (B * V, H * C). values: (steps,
    C)."""

    horizon: int = 1
    times: int = 0

    def take(self, rows: Integers) -> Tensor:
        steps = rows[:, None] + np.arange(1, self.horizon + 1)
        values = torch.from_numpy(np.asarray(self.values)[steps])
        return values.flatten(1).repeat_interleave(self.times, dim=0) if self.times else values


def level_of(values: Tensor, normalise: Normalise) -> Tensor:
    """Return the shift and the factor of windows, (B, V, 2). values: (B, L, V)."""
    shift, factor = torch.zeros_like(values[:, 0]), torch.ones_like(values[:, 0])
    if normalise == "instance":
        shift, factor = values.mean(dim=1), (values.var(dim=1, correction=0) + EPSILON).sqrt()
    elif normalise == "last":
        shift = values[:, -1]
    return torch.stack([shift, factor], dim=2)


def runs(follows: npt.NDArray[np.bool_], usable: npt.NDArray[np.bool_]) -> Integers:
    """Return how many usable steps in a row end with each, 0 where it is none. follows: whether a step is behind the
    one before it, of the same series."""
    goes_on = follows & usable
    goes_on[1:] &= usable[:-1]
    place = np.arange(len(follows))
    start = np.maximum.accumulate(np.where(goes_on, 0, place))
    return np.where(usable, place - start + 1, 0)


def origins(
    follows: npt.NDArray[np.bool_],
    usable: npt.NDArray[np.bool_],
    in_role: npt.NDArray[np.bool_],
    lookback: int,
    horizon: int,
    *,
    whole: bool,
) -> Integers:
    """Return the steps from which a forecast is made: with a past and a future of usable steps, whose future lies in a
    part of the rows. whole: the past, too, as of training rows."""
    count = len(follows)
    if count <= horizon:
        return np.zeros(0, np.int64)
    past, future = runs(follows, usable), runs(follows, usable & in_role)
    found = np.arange(count - horizon)
    # The future ends where a run of the part is as long as the horizon, and all of it follows the past.
    long_enough = (future[horizon:] >= horizon) & (past[horizon:] >= lookback + horizon)
    if whole:
        long_enough &= future[horizon:] >= lookback + horizon
    return found[long_enough]


def ends(follows: npt.NDArray[np.bool_], usable: npt.NDArray[np.bool_], lookback: int, horizon: int) -> Integers:
    """Return the last known steps of series, behind each of which there are H rows that nothing is known of."""
    past, ahead = runs(follows, usable), runs(follows, ~usable)
    found = np.arange(max(0, len(follows) - horizon))
    found = found[ahead[horizon:][: len(found)] == horizon]
    kept: Integers = found[past[found] >= lookback]
    return kept


def stretches(follows: npt.NDArray[np.bool_], found: Integers, horizon: int) -> Integers:
    """Return a number for the stretch of a series that each origin lies in, of one horizon each: forecasts from one
    stretch are of the same steps, and no evidence apart."""
    series = np.cumsum(~follows)  # a gap begins another one, for that matter
    place = np.arange(len(follows)) - np.maximum.accumulate(np.where(follows, 0, np.arange(len(follows))))
    pairs = np.stack([series, place // horizon])[:, found]
    _, units = np.unique(pairs, axis=1, return_inverse=True)
    return units.reshape(-1).astype(np.int64)


def matrix_of(columns: list[tuple[EncodedColumn, int]]) -> npt.NDArray[np.float32] | None:
    """Return covariates side by side, (steps, C). columns: with their size; ids become one column a value."""
    parts: list[npt.NDArray[Any]] = []
    for column, size in columns:
        values = np.asarray(column.values)
        if column.kind == TensorKind.IDS:
            parts.append(np.eye(size, dtype=np.float32)[values.reshape(-1)])
        else:
            parts.append(values.astype(np.float32).reshape(len(values), -1))
    return np.concatenate(parts, axis=1) if parts else None
