"""Moments written as numbers: seconds, milliseconds or microseconds since 1970."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from luban.features.number import parse_numbers

UNITS: dict[str, int] = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}  # in a second
FORMATS = {f"{unit} since 1970": unit for unit in UNITS}
EARLIEST, LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds: quantities are hardly ever so large
FARTHEST = 7_258_118_400  # 2200: what is read, once a column is known to hold moments
PLAUSIBLE_SHARE = 0.99
# `timestamp`, `created_at`, `EventTime`, `time_ms`, 下单时间; not `times` or `datetime_count`.
NAME = re.compile(
    r"(?i:(^|[\W_])(date|time|datetime|timestamp|unixtime|epoch|ts|at)([\W_](s|sec|seconds|ms|millis|us|utc|unix))?$)"
    r"|[a-z](At|Time|Date|Timestamp)(Ms|Utc)?$|日期|时间"
)


def is_time_name(name: str) -> bool:
    """Return whether the name alone says that the cells are moments."""
    return NAME.search(name) is not None


def find_epoch(cells: pl.Series) -> str | None:
    """Return the format under which nearly all cells that are there lie between 1990 and 2100, or None."""
    numbers, is_word = parse_numbers(cells)
    numbers = numbers[~np.isnan(numbers) | is_word]
    if not len(numbers) or not (numbers[np.isfinite(numbers)] % 1 == 0).all():
        return None
    for name, unit in FORMATS.items():
        is_plausible = (numbers >= EARLIEST * UNITS[unit]) & (numbers <= LATEST * UNITS[unit])
        if is_plausible.mean() >= PLAUSIBLE_SHARE:
            return name
    return None


def parse_epoch(cells: pl.Series, name: str) -> pl.Series:
    """Return Datetime cells; null where there is no whole number, or one beyond the year 2200. name: of FORMATS."""
    scale = UNITS[FORMATS[name]]
    numbers, _ = parse_numbers(cells)
    is_moment = np.isfinite(numbers) & (np.abs(numbers) <= FARTHEST * scale) & (numbers % 1 == 0)
    microseconds = np.where(is_moment, numbers, 0).astype(np.int64) * (1_000_000 // scale)
    found = pl.Series(cells.name, microseconds).cast(pl.Datetime("us"))
    return found.set(pl.Series(~is_moment), None)
