"""Training rows that stand in the validation or test rows as well."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from luban.audit.finding import Finding
from luban.audit.subject import AGAINST, Subject, examples_of, percent
from luban.core.errors import DataError
from luban.core.sentence import sentence
from luban.data.split.overlap import drop_overlap


def audit_overlap(subject: Subject) -> list[Finding]:
    """Find rows whose inputs stand in two of the given tables; files are compared by what is in them."""
    tables = {"training": subject.table} | {role: table for role, table in subject.others.items() if role != AGAINST}
    findings = []
    for (role, table), (other_role, other) in combinations(tables.items(), 2):
        try:
            kept, _ = drop_overlap(table, other, subject.inputs)
        except DataError:
            kept = np.zeros(0, np.int64)
        rows = np.setdiff1d(np.arange(len(table)), kept)
        if not len(rows):
            continue
        own = role == "training"
        if len(kept):
            action = sentence(
                "audit.overlap.action",
                "Scores on rows that were seen say nothing about new ones: remove them from the {role} rows "
                "(a training sets them aside by itself)",
                role=role,
            )
        else:
            action = sentence(
                "audit.overlap.action_all",
                "Scores on rows that were seen say nothing about new ones: remove them from the {role} rows",
                role=role,
            )
        findings.append(
            Finding(
                "error" if not len(kept) else "warning",
                "overlap",
                sentence(
                    "audit.overlap.found",
                    "{rows:count {role} row} ({share}) are {other} rows too",
                    rows=len(rows),
                    share=percent(len(rows), len(table)),
                    role=role,
                    other=other_role,
                ),
                action,
                None,
                len(rows),
                examples_of(table, rows, subject.inputs[:6]),
                "--fix overlap" if own else None,
                rows if own else np.zeros(0, np.int64),
            )
        )
    return findings
