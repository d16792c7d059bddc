"""Columns that say nothing about a row, all of them or some: constant, a name of the row, or nearly unique."""

from __future__ import annotations

from luban.audit.finding import Finding
from luban.audit.subject import Subject, percent
from luban.features import identifier
from luban.features.cells import hashes, quoted

NEARLY_UNIQUE = 0.5  # of a category's cells are different


def audit_inputs(subject: Subject) -> list[Finding]:
    """Find a table that has nothing to learn from."""
    if subject.inputs:
        return []
    others = len(subject.kinds)
    message = "every other column is set aside" if others else "there is no column but the target"
    action = "Say what kind a column is in data.columns" if others else "Add columns, or choose another target"
    return [Finding("error", "no-inputs", f"nothing to learn from: {message}", action, subject.target, len(subject))]


def audit_constant(subject: Subject) -> list[Finding]:
    """Find columns whose cells are all alike, or all missing."""
    findings = []
    for name in subject.of_kind("ignore"):
        cells = hashes(subject.frame[name]) if not subject.frame[name].dtype.is_nested() else subject.frame[name]
        if cells.n_unique() > 1:
            continue
        what = "missing" if cells.null_count() else quoted(subject.frame[name][0])
        message, action = f"every cell is {what}", "It is set aside: nothing can be learned from it"
        setting = f"data.columns: {{{name}: ignore}}"
        findings.append(Finding("note", "constant", message, action, name, len(subject), setting=setting))
    return findings


def audit_identifiers(subject: Subject) -> list[Finding]:
    """Find columns that only name the rows."""
    return [
        Finding(
            "note",
            "identifiers",
            "it only names the rows",
            "It is set aside; say what kind it is in data.columns if it tells more",
            name,
            len(subject),
            subject.examples(range(min(3, len(subject))), (name,)),
            f"data.columns: {{{name}: ignore}}",
        )
        for name in subject.of_kind(identifier.KIND)
    ]


def audit_unique(subject: Subject) -> list[Finding]:
    """Find categories most of which stand in one row only: a model learns the rows by heart."""
    findings = []
    for name in subject.of_kind("category"):
        cells = hashes(subject.frame[name]).drop_nulls()
        distinct = cells.n_unique()
        if len(cells) < 20 or distinct < NEARLY_UNIQUE * len(cells):
            continue
        message = f"it has {distinct:,} different values in {len(cells):,} rows ({percent(distinct, len(cells))})"
        action = f"Most stand in one row only: leave it out, data.columns: {{{name}: ignore}}, or group the values"
        seen = subject.examples(range(3), (name,))
        setting = f"data.columns: {{{name}: ignore}}"
        findings.append(Finding("note", "almost-unique", message, action, name, len(cells), seen, setting))
    return findings
