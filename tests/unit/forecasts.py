"""Series, and tasks that forecast them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from luban.data.table import Table
from luban.tasks.config import TaskConfig
from luban.tasks.forecast.config import ForecastConfig
from luban.tasks.forecast.task import Forecast

START = datetime(2024, 1, 1)


def series_table(rows: int, *, seed: int = 0, columns: tuple[str, ...] = ("y",), keys: tuple[str, ...] = ()) -> Table:
    """Return hourly series with a season of a day and some noise, one after the other where there are keys."""
    rng, parts = np.random.default_rng(seed), list[pl.DataFrame]()
    hours = np.arange(rows)
    for place, key in enumerate(keys or ("",)):
        found: dict[str, Any] = {"time": [START + timedelta(hours=int(hour)) for hour in hours]}
        if keys:
            found["place"] = [key] * rows
        for number, name in enumerate(columns):
            season = np.sin(2 * np.pi * (hours + 3 * number) / 24)
            found[name] = 10 * (place + 1) + (number + 1) * season + 0.1 * rng.standard_normal(rows)
        parts.append(pl.DataFrame(found))
    frame = pl.concat(parts)
    return Table(frame, "rows.csv", None, np.arange(1, len(frame) + 1))


def forecast_of(table: Table, columns: tuple[str, ...] = ("y",), **settings: Any) -> Forecast:
    """Return a task that has learned hourly series."""
    key = "place" if "place" in table.columns else None
    config = ForecastConfig(**{"time": "time", "key": key, "frequency": "1h", **settings})
    return Forecast.fitted(table.frame, columns, TaskConfig(forecast=config))
