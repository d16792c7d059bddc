"""How a table holds the series of a forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.data.series.order import Layout
from luban.data.series.steps import Frequency
from luban.features.number import parse_numbers
from luban.tasks.forecast.config import ForecastConfig


def layout_of(config: ForecastConfig) -> Layout:
    """Return how a table holds the series, as settings say."""
    frequency = None if config.frequency is None else Frequency.of(config.frequency)
    return Layout(str(config.time), config.key, frequency, config.fill)


def numbers_of(frame: pl.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return columns as numbers, (rows, V), NaN where there is none."""
    return np.stack([parse_numbers(frame[name])[0] for name in columns], axis=1)


def series_of(frame: pl.DataFrame, key: str | None) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Return the series with their rows, in the order of the table."""
    if key is None:
        return [("", np.arange(frame.height))]
    names = frame.select(pl.col(key).cast(pl.String).alias("key")).with_row_index("row")
    groups = names.group_by("key", maintain_order=True)
    return [(str(name), rows["row"].to_numpy().astype(np.int64)) for (name,), rows in groups]


def known_rows(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return the rows all of whose values are known, (rows,). values: (rows, V), NaN where one is not."""
    return np.asarray(np.isfinite(values).all(axis=1))
