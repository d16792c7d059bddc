"""Columns that say nothing about a row, all of them or some: constant, a name of the row, or nearly unique."""

from __future__ import annotations

from luban.audit.finding import Finding
from luban.audit.subject import Subject, percent
from luban.core.sentence import sentence
from luban.features import identifier
from luban.features.cells import hashes, quoted

NEARLY_UNIQUE = 0.5  # of a category's cells are different


def audit_inputs(subject: Subject) -> list[Finding]:
    """Find a table that has nothing to learn from."""
    if subject.inputs:
        return []
    if subject.kinds:
        message = sentence("audit.no-inputs.found_set_aside", "nothing to learn from: every other column is set aside")
        action = sentence("audit.no-inputs.action_set_aside", "Say what kind a column is in data.columns")
    else:
        message = sentence("audit.no-inputs.found", "nothing to learn from: there is no column but the target")
        action = sentence("audit.no-inputs.action", "Add columns, or choose another target")
    return [Finding("error", "no-inputs", message, action, subject.target, len(subject))]


def audit_constant(subject: Subject) -> list[Finding]:
    """Find columns whose cells are all alike, or all missing."""
    findings = []
    for name in subject.of_kind("ignore"):
        cells = hashes(subject.frame[name]) if not subject.frame[name].dtype.is_nested() else subject.frame[name]
        if cells.n_unique() > 1:
            continue
        if cells.null_count():
            message = sentence("audit.constant.found_missing", "every cell is missing")
        else:
            message = sentence("audit.constant.found", "every cell is {cell}", cell=quoted(subject.frame[name][0]))
        action = sentence("audit.constant.action", "It is set aside: nothing can be learned from it")
        setting = f"data.columns: {{{name}: ignore}}"
        findings.append(Finding("note", "constant", message, action, name, len(subject), setting=setting))
    return findings


def audit_identifiers(subject: Subject) -> list[Finding]:
    """Find columns that only name the rows."""
    return [
        Finding(
            "note",
            "identifiers",
            sentence("audit.identifiers.found", "it only names the rows"),
            sentence(
                "audit.identifiers.action", "It is set aside; say what kind it is in data.columns if it tells more"
            ),
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
        message = sentence(
            "audit.almost-unique.found",
            "it has {distinct:,} different values in {rows:,} rows ({share})",
            distinct=distinct,
            rows=len(cells),
            share=percent(distinct, len(cells)),
        )
        setting = f"data.columns: {{{name}: ignore}}"
        action = sentence(
            "audit.almost-unique.action",
            "Most stand in one row only: leave it out, {setting}, or group the values",
            setting=setting,
        )
        seen = subject.examples(range(3), (name,))
        findings.append(Finding("note", "almost-unique", message, action, name, len(cells), seen, setting))
    return findings
