"""Rows that follow each other in time: split at random, they let a model see the future."""

from __future__ import annotations

import polars as pl

from luban.audit.finding import Finding
from luban.audit.subject import Subject
from luban.core.sentence import sentence

TIME_NAMES = ("date", "time", "datetime", "timestamp", "日期", "时间")
DISTINCT_SHARE = 0.9  # of the rows have a time of their own


def audit_order(subject: Subject) -> list[Finding]:
    """Find columns of time by which the rows are sorted, where they are to be split at random."""
    if subject.split not in ("auto", "random"):
        return []
    return [
        Finding(
            "warning",
            "order",
            sentence(
                "audit.order.found",
                "rows are in the order of '{column}': a random split lets the model see the future",
                column=name,
            ),
            sentence(
                "audit.order.action",
                "Split by it: data.split.method=time, data.split.column={column}",
                column=name,
            ),
            name,
            len(subject),
            subject.examples(range(3), (name,)),
            f"data.split.method=time data.split.column={name}",
        )
        for name in columns_in_order(subject.frame)
    ]


def columns_in_order(frame: pl.DataFrame) -> list[str]:
    """Return the columns of dates and times by which the rows are sorted, nearly every row at another time."""
    named = [name for name, dtype in frame.schema.items() if dtype.is_temporal() or name.lower() in TIME_NAMES]
    return [name for name in named if _is_ordered(frame[name].drop_nulls())]


def _is_ordered(cells: pl.Series) -> bool:
    return len(cells) > 1 and cells.n_unique() >= DISTINCT_SHARE * len(cells) and cells.is_sorted()
