"""Rows that follow each other in time: split at random, they let a model see the future."""

from __future__ import annotations

import polars as pl

from luban.audit.finding import Finding
from luban.audit.subject import Subject
from luban.core.sentence import sentence
from luban.features.parsing.date_format import reader

DISTINCT_SHARE = 0.9  # of the rows have a time of their own


def audit_order(subject: Subject) -> list[Finding]:
    """Find columns of time by which the rows are sorted, where they are to be split at random."""
    if subject.split.method not in ("auto", "random"):
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
        for name in columns_in_order(subject)
    ]


def columns_in_order(subject: Subject) -> list[str]:
    """Return the columns of dates by which the rows are sorted, from either end, nearly every row at another time."""
    return [name for name in subject.of_kind("date") if _is_ordered(_times(subject.frame[name]).drop_nulls())]


def _times(cells: pl.Series) -> pl.Series:
    """Return cells that are ordered as the times are: numbers since 1970 are, strings need to be read."""
    if cells.dtype != pl.String:
        return cells
    read = reader(cells)
    return cells.clear() if read is None else read(cells)


def _is_ordered(times: pl.Series) -> bool:
    if len(times) < 2 or times.n_unique() < DISTINCT_SHARE * len(times):
        return False
    return times.is_sorted() or times.is_sorted(descending=True)
