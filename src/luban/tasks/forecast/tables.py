"""Forecasts as columns of a table: a list of steps a row, or a row a step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time as midnight
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.data.series.steps import Frequency, moments_of, typed_as
from luban.tasks.base import Floats

DAYS = ("d", "bd", "w", "mo", "y")  # units of steps that need no time of the day


def as_lists(outputs: Floats, columns: Sequence[str], levels: Sequence[float]) -> pl.DataFrame:
    """Return `predicted_NAME` of each variable, a list of H steps a row, and `predicted_NAME_qLEVEL` of each quantile.
    outputs: (rows, V, H, 1 + Q)."""
    found = dict[str, pl.Series]()
    for place, name in enumerate(columns):
        names = names_of(name, levels)
        found |= {column: listed_steps(outputs[:, place, :, number]) for number, column in enumerate(names)}
    return pl.DataFrame(found)


def names_of(variable: str, levels: Sequence[float]) -> list[str]:
    """Return the columns of the mean and the quantiles of a variable."""
    return [f"predicted_{variable}", *(f"predicted_{variable}_q{level:g}" for level in levels)]


def steps_of(lists: pl.Series, horizon: int) -> Floats:
    """Undo `listed_steps`: return (rows, H) numbers. Raises ValueError where a row has another number of them."""
    if lists.dtype != pl.List(pl.Float64) or (lists.list.len() != horizon).any() or lists.null_count():
        raise ValueError(f"{lists.name}: no lists of {horizon} numbers")
    found: Floats = lists.explode().to_numpy().reshape(-1, horizon)
    if not np.isfinite(found).all():
        raise ValueError(f"{lists.name}: numbers that are not finite")
    return found


def listed_steps(values: npt.NDArray[Any]) -> pl.Series:
    """Return (rows, H) numbers as a list a row."""
    return pl.Series(values.astype(np.float64), dtype=pl.Array(pl.Float64, values.shape[1])).cast(pl.List(pl.Float64))


def by_step(frame: pl.DataFrame, time: str, frequency: Frequency, horizon: int) -> pl.DataFrame:
    """Return rows of lists as a row a step, each at its moment. time: the column of the last moment known. horizon: the
    steps that are taken."""
    lists = [name for name in frame.columns if frame[name].dtype == pl.List(pl.Float64)]
    number = np.tile(np.arange(1, horizon + 1), frame.height)
    found = frame.with_columns(pl.col(lists).list.head(horizon)).explode(lists)
    moved = frequency.moved(moments_of(found[time]), number)
    moments = typed_as(pl.Series(time, moved), frame[time].dtype)
    if frequency.unit in DAYS and isinstance(moments.dtype, pl.Datetime) and (moments.dt.time() == midnight()).all():
        moments = moments.cast(pl.Date)
    return found.with_columns(moments)
