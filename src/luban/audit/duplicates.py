"""Rows that are there twice, and rows whose inputs are the same and whose answers are not."""

from __future__ import annotations

import numpy as np
import polars as pl

from luban.audit.finding import Finding, Rows, Severity
from luban.audit.subject import PROSE_KINDS, Subject, later, percent
from luban.core.answers import AnswerKind
from luban.core.sentence import sentence
from luban.data.groups import group_ids

MANY = 0.05  # of the rows: so many repetitions change what is learned


def _answers(subject: Subject) -> Rows:
    """Return a number for each row, equal where the target is."""
    assert subject.target is not None
    cells = subject.frame[subject.target]
    is_scalar = not (cells.dtype.is_nested() or cells.dtype == pl.Binary)
    return group_ids((subject.labels if is_scalar else cells).to_frame())


def audit_duplicates(subject: Subject) -> list[Finding]:
    """Find rows that repeat the inputs and the target of an earlier row.

    Rows of a few categories repeat by nature; those with texts, images or sound by mistake.
    """
    if not subject.inputs:
        return []
    keys = subject.keys
    if subject.target is not None:
        others = {f"beside {i}": group_ids(subject.frame.select(name)) for i, name in enumerate(subject.beside)}
        keys = group_ids(pl.DataFrame({"inputs": keys, "answer": _answers(subject), **others}))
    rows = later(keys)
    if not len(rows):
        return []
    first = np.unique(keys, return_index=True)[1]
    numbers = subject.table.row_numbers
    notes = [
        sentence("audit.duplicates.note", "repeats row {row}", row=int(numbers[first[keys[row]]])) for row in rows[:3]
    ]
    is_serious = len(rows) >= MANY * len(subject) and bool(subject.of_kind(*PROSE_KINDS))
    severity: Severity = "warning" if is_serious else "note"
    return [
        Finding(
            severity,
            "duplicates",
            sentence(
                "audit.duplicates.found",
                "{rows:count row} ({share}) {rows:do repeat} another row in everything",
                rows=len(rows),
                share=percent(len(rows), len(subject)),
            ),
            sentence(
                "audit.duplicates.action",
                "They weigh double, and stay in one part of the split: remove all but the first",
            ),
            None,
            len(rows),
            subject.examples(rows, notes=notes),
            "--fix duplicates",
            rows,
        )
    ]


def audit_conflicting(subject: Subject) -> list[Finding]:
    """Find rows with the same inputs and different answers: at most one of them can be right."""
    if not subject.inputs or subject.target is None:
        return []
    answers = _answers(subject)
    pairs = pl.DataFrame({"key": subject.keys, "answer": answers})
    if subject.beside:
        pairs = pairs.filter(subject.frame[subject.target].is_not_null())
    counts = pairs.group_by("key").agg(pl.col("answer").n_unique().alias("answers"))
    torn = counts.filter(pl.col("answers") > 1)["key"].to_numpy()
    is_torn = np.isin(subject.keys, torn)
    if subject.beside:
        is_torn &= subject.frame[subject.target].is_not_null().to_numpy()
    rows = np.flatnonzero(is_torn)
    if not len(rows):
        return []
    rows = rows[np.argsort(subject.keys[rows], kind="stable")]
    is_serious = subject.answer != AnswerKind.NUMBER and (
        bool(subject.of_kind(*PROSE_KINDS)) or len(rows) >= MANY * len(subject)
    )
    return [
        Finding(
            "warning" if is_serious else "note",
            "conflicting",
            sentence(
                "audit.conflicting.found",
                "{rows:count row} ({share}) {rows:do have} the inputs of another row, but another answer",
                rows=len(rows),
                share=percent(len(rows), len(subject)),
            ),
            sentence(
                "audit.conflicting.action",
                "No model can get all of them right: correct the answers, or remove the rows",
            ),
            subject.target if subject.beside else None,
            len(rows),
            subject.examples(rows),
            "--fix conflicting",
            np.sort(rows),
        )
    ]
