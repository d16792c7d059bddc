"""Rows that share an image or a sound with rows of other inputs: apart, they make a score too good."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl

from luban.audit.finding import NO_ROWS, Finding, Rows
from luban.audit.subject import AGAINST, Subject, examples_of, percent
from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence
from luban.data.contents import contents, holds_files
from luban.data.groups import groups_of, missing
from luban.data.shared_files import join_files, sharing
from luban.data.split.overlap import drop_overlap
from luban.data.table import Table
from luban.features.media import FILE_KINDS

KEEP = "data.split.shared_files=together"


def audit_shared_files(subject: Subject) -> list[Finding]:
    """Find rows that share a file: within the table, where the split may part them, and with the tables beside it."""
    columns = subject.of_kind(*FILE_KINDS)
    return [*_within(subject, columns), *_across(subject, columns)] if columns else []


def _within(subject: Subject, columns: list[str]) -> list[Finding]:
    config, keys = subject.split, subject.keys
    if config.method == "none":
        return []
    is_kept = config.shared_files == "together"
    parted = join_files(subject.table, keys, columns).parted if is_kept else ()
    findings = []
    for column in columns:
        files = groups_of(subject.frame[column])
        rows = sharing(files, keys)
        if not is_kept and config.column is not None:
            rows = np.intersect1d(rows, sharing(files, groups_of(subject.frame[config.column])))
        if not len(rows):
            continue
        notes = [
            sentence("audit.shared-files.note", "shared with row {row}", row=int(subject.table.row_numbers[other]))
            for other in (_partner(files, keys, int(row)) for row in rows[:3])
        ]
        is_safe = is_kept and column not in parted
        findings.append(
            Finding(
                "note" if is_safe else "warning",
                "shared-files",
                *_told(subject, column, files, rows, is_parted=column in parted),
                column,
                len(rows),
                subject.examples(rows, notes=notes),
                "data.split.method=group" if column in parted else KEEP,
            )
        )
    return findings


def _partner(files: Rows, keys: Rows, row: int) -> int:
    """Return the first row with the file of a row, but other inputs."""
    return int(np.flatnonzero((files == files[row]) & (keys != keys[row]))[0])


def _told(subject: Subject, column: str, files: Rows, rows: Rows, *, is_parted: bool) -> tuple[Sentence, Sentence]:
    """Return message and action."""
    kind, share, config = subject.kinds[column], percent(len(rows), len(subject)), subject.split
    if is_parted:
        return (
            sentence(
                "audit.shared-files.found_parted",
                "{rows:count row} ({share}) {rows:do share} an {kind} file with a row of other inputs, and such files "
                "stand in too many rows to keep these in one part",
                rows=len(rows),
                share=share,
                kind=kind,
            ),
            sentence(
                "audit.shared-files.action_parted",
                "Where such a file gives the answer away, the score is better than on new files: split by what the "
                "rows have in common, data.split.method=group, or give a table for testing",
            ),
        )
    if config.shared_files == "together":
        return (
            sentence(
                "audit.shared-files.found",
                "{rows:count row} ({share}) {rows:do share} an {kind} file with a row of other inputs",
                rows=len(rows),
                share=share,
                kind=kind,
            ),
            sentence(
                "audit.shared-files.action",
                "They stay in one part of the split (data.split.shared_files=together)",
            ),
        )
    action = sentence(
        "audit.shared-files.action_apart",
        "The score is better than on new files: keep them in one part, data.split.shared_files=together",
    )
    if config.column is not None:
        found = sentence(
            "audit.shared-files.found_apart_column",
            "{rows:count row} ({share}) {rows:do share} an {kind} file with a row of other inputs, and a split by "
            "'{column}' parts them",
            rows=len(rows),
            share=share,
            kind=kind,
            column=config.column,
        )
        return found, action
    found = sentence(
        "audit.shared-files.found_apart",
        "{rows:count row} ({share}) {rows:do share} an {kind} file with a row of other inputs, and the split parts "
        "them: about {leaked:.0%} of the test rows will have a file that is trained on",
        rows=len(rows),
        share=share,
        kind=kind,
        leaked=_leaked(files, subject.keys, 1 - config.validation - config.test),
    )
    return found, action


def _leaked(files: Rows, keys: Rows, trained: float) -> float:
    """Return the expected share of test rows whose file is trained on, where `trained` of the rows are drawn."""
    pairs = pl.DataFrame({"file": files, "key": keys})
    rows = pairs.group_by("file").agg(pl.len().alias("rows"), pl.col("key").n_unique().alias("units"))
    seen = 1 - (1 - trained) ** (rows["units"].to_numpy() - 1.0)
    return float((seen * rows["rows"].to_numpy()).sum() / len(files))


def _across(subject: Subject, columns: list[str]) -> list[Finding]:
    tables = {"training": subject.table} | {role: table for role, table in subject.others.items() if role != AGAINST}
    findings = []
    for (role, table), (other_role, other) in combinations(tables.items(), 2):
        try:
            kept, _ = drop_overlap(table, other, subject.inputs)
        except DataError:  # all are there: what overlaps as a whole is another finding
            continue
        for column in columns:
            mine, theirs = _cells(table, other, column)
            is_there = mine.is_in(theirs.drop_nulls().unique().implode()).fill_null(value=False).to_numpy()
            rows = kept[(is_there & ~missing(mine))[kept]]
            if not len(rows):
                continue
            own = role == "training"
            notes = [
                sentence(
                    "audit.shared-files.note_across",
                    "shared with row {row} of {role}",
                    row=int(other.row_numbers[theirs.index_of(mine[int(row)]) or 0]),
                    role=other_role,
                )
                for row in rows[:3]
            ]
            found = sentence(
                "audit.shared-files.found_across",
                "{rows:count {role} row} ({share}) {rows:do share} an {kind} file with a {other} row of other inputs",
                rows=len(rows),
                share=percent(len(rows), len(table)),
                role=role,
                other=other_role,
                kind=subject.kinds[column],
            )
            action = sentence(
                "audit.shared-files.action_across",
                "The scores on these are better than on new files: remove them from the {role} rows",
                role=role,
            )
            findings.append(
                Finding(
                    "warning",
                    "shared-files",
                    found,
                    action,
                    column,
                    len(rows),
                    examples_of(table, rows, subject.inputs[:6], notes),
                    "--fix shared-files" if own else None,
                    rows if own else NO_ROWS,
                )
            )
    return findings


def _cells(table: Table, other: Table, column: str) -> tuple[pl.Series, pl.Series]:
    """Return a column of both tables, paths as what is in their files."""
    if holds_files(table, column) and holds_files(other, column):
        return contents((table, other), column)
    return table.frame[column], other.frame[column]
