"""Rows that follow each other in time: split at random, they let a model see the future."""

from __future__ import annotations

import polars as pl

TIME_NAMES = ("date", "time", "datetime", "timestamp", "日期", "时间")
DISTINCT_SHARE = 0.9  # of the rows have a time of their own


def columns_in_order(frame: pl.DataFrame) -> list[str]:
    """Return the columns of dates and times by which the rows are sorted, nearly every row at another time."""
    named = [name for name, dtype in frame.schema.items() if dtype.is_temporal() or name.lower() in TIME_NAMES]
    return [name for name in named if _is_ordered(frame[name].drop_nulls())]


def _is_ordered(cells: pl.Series) -> bool:
    return len(cells) > 1 and cells.n_unique() >= DISTINCT_SHARE * len(cells) and cells.is_sorted()
