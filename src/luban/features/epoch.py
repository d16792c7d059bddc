"""Moments written as numbers: seconds, milliseconds or microseconds since 1970, or the days of a spreadsheet."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from luban.features.number import parse_numbers

UNITS: dict[str, int] = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}  # in a second
FORMATS = {f"{unit} since 1970": unit for unit in UNITS}
SPREADSHEET = "days of a spreadsheet"  # since the 30th of December 1899, as Excel and its likes have them
SPREADSHEET_1970 = 25_569  # the 1st of January 1970 in these days
NAMES = (*FORMATS, SPREADSHEET)
EARLIEST, LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds: quantities are hardly ever so large
FARTHEST = 7_258_118_400  # 2200: what is read, once a column is known to hold moments
PLAUSIBLE_SHARE = 0.99
SPREADSHEET_DAYS = (20_000, 60_000)  # 1954 and 2064
LIKELY_SECONDS = (946_684_800, 2_051_222_400)  # 2000 and 2035: what numbers without the name of a time are doubted for
LIKELY_DISTINCT = 10
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


def find_spreadsheet(cells: pl.Series) -> str | None:
    """Return the format of a spreadsheet's days where nearly all cells that are there may be such."""
    numbers, is_word = parse_numbers(cells)
    numbers = numbers[~np.isnan(numbers) | is_word]
    if not len(numbers):
        return None
    first, last = SPREADSHEET_DAYS
    return SPREADSHEET if ((numbers >= first) & (numbers <= last)).mean() >= PLAUSIBLE_SHARE else None


def likely(name: str, cells: pl.Series) -> str | None:
    """Return the format under which numbers may have been meant as moments, though that is not sure enough to take them
    so: numbers since 1970 without the name of a time, days of a spreadsheet with one."""
    if is_time_name(name):
        return find_spreadsheet(cells)
    found = find_epoch(cells)
    if found is None:
        return None
    numbers, _ = parse_numbers(cells)
    seconds = numbers / UNITS[FORMATS[found]]
    is_likely = (seconds >= LIKELY_SECONDS[0]) & (seconds <= LIKELY_SECONDS[1])
    is_enough = is_likely.mean() >= PLAUSIBLE_SHARE and len(np.unique(numbers)) >= LIKELY_DISTINCT
    return found if is_enough else None


def parse_epoch(cells: pl.Series, name: str) -> pl.Series:
    """Return Datetime cells; null where there is no whole number, or one beyond the year 2200. name: of NAMES."""
    if name == SPREADSHEET:
        return _parse_spreadsheet(cells)
    scale = UNITS[FORMATS[name]]
    numbers, _ = parse_numbers(cells)
    is_moment = np.isfinite(numbers) & (np.abs(numbers) <= FARTHEST * scale) & (numbers % 1 == 0)
    microseconds = np.where(is_moment, numbers, 0).astype(np.int64) * (1_000_000 // scale)
    found = pl.Series(cells.name, microseconds).cast(pl.Datetime("us"))
    return found.set(pl.Series(~is_moment), None)


def _parse_spreadsheet(cells: pl.Series) -> pl.Series:
    """Return Datetime cells, to the second; null where there is no number of a day from 1900 to 2200."""
    numbers, _ = parse_numbers(cells)
    is_day = np.isfinite(numbers) & (numbers >= 1) & (numbers <= SPREADSHEET_1970 + FARTHEST / 86_400)
    seconds = np.round((np.where(is_day, numbers, 0) - SPREADSHEET_1970) * 86_400).astype(np.int64)
    found = pl.Series(cells.name, seconds * 1_000_000).cast(pl.Datetime("us"))
    return found.set(pl.Series(~is_day), None)
