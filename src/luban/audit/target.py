"""Whether the target can be learned at all, and scored."""

from __future__ import annotations

import polars as pl

from luban.audit.finding import Finding, Severity
from luban.audit.subject import Subject
from luban.core.answers import AnswerKind
from luban.core.sentence import sentence, several
from luban.data.table import REJECTED_LIMIT
from luban.features.base import ColumnProfile
from luban.features.labels import LabelsFeature

FEW_CLASSES = 20  # more distinct numbers than this are quantities
RARE_ROWS = 5  # a class with fewer rows is rare
DOMINANT_SHARE = 0.95  # a class this common makes accuracy say little


def audit_missing(subject: Subject) -> list[Finding]:
    """Find rows without an answer."""
    if subject.target is None:
        return []
    target = subject.frame[subject.target]
    is_text = not (target.dtype.is_nested() or target.dtype in (pl.Binary, pl.Object))
    is_missing = subject.labels.is_null() if is_text else target.is_null()
    rows = is_missing.arg_true().to_numpy().astype("int64")
    if not len(rows):
        return []
    column, name = subject.target, "missing-target"
    if len(rows) == len(target):
        message = sentence("audit.missing-target.found_all", "every cell of the target is missing")
        action = sentence("audit.missing-target.action_all", "Check the name of the target")
        return [Finding("error", name, message, action, column, len(rows))]
    severity: Severity = "error" if len(rows) > REJECTED_LIMIT * len(target) else "warning"
    if subject.beside:
        severity = "note"
        action = sentence(
            "audit.missing-target.action_several",
            "These rows are trained on and scored for the other targets alone; fill them in if they have this one",
        )
    elif subject.answer == AnswerKind.LABELS and is_text:
        action = sentence(
            "audit.missing-target.action_labels",
            "If an empty cell says that the row has no label, write [] there; else fill these rows in or remove them",
        )
    else:
        action = sentence("audit.missing-target.action", "These rows cannot be trained on: fill them in or remove them")
    return [
        Finding(
            severity,
            name,
            sentence(
                "audit.missing-target.found",
                "the target is missing in {missing} of {rows} rows",
                missing=len(rows),
                rows=len(target),
            ),
            action,
            column,
            len(rows),
            subject.examples(rows),
            None if subject.beside else "--fix missing-target",
            rows,
        )
    ]


def audit_one_class(subject: Subject) -> list[Finding]:
    """Find a target that has one value only."""
    counts = _counts(subject)
    if counts is None or len(counts) != 1:
        return []
    label = counts["label"][0]
    message = sentence("audit.one-class.found", "every row of the target has the value '{label}'", label=label)
    action = sentence("audit.one-class.action", "Add rows with other values, or choose another target")
    return [Finding("error", "one-class", message, action, subject.target, len(subject))]


def audit_rare(subject: Subject) -> list[Finding]:
    """Find classes with too few rows to be scored."""
    counts = _class_counts(subject)
    if counts is None:
        return []
    counts = counts.sort("count", "label")
    lone = counts.filter(pl.col("count") == 1)["label"]
    rare = counts.filter(pl.col("count").is_between(2, RARE_ROWS - 1))["label"]
    findings = []
    if len(lone):
        rows = subject.labels.is_in(lone.to_list()).fill_null(False).arg_true().to_numpy().astype("int64")
        message = sentence("audit.rare-classes.found_lone", "classes with one row: {labels}", labels=several(lone))
        action = sentence(
            "audit.rare-classes.action_lone",
            "Such a row is trained on and its class is never scored: add rows, or merge the class with another",
        )
        more = (subject.target, len(rows), subject.examples(rows), "--fix rare-classes", rows)
        findings.append(Finding("warning", "rare-classes", message, action, *more))
    if len(rare):
        positions = subject.labels.is_in(rare.to_list()).fill_null(False).arg_true().to_list()
        message = sentence(
            "audit.rare-classes.found",
            "classes with fewer than {rows} rows: {labels}",
            rows=RARE_ROWS,
            labels=several(rare),
        )
        action = sentence("audit.rare-classes.action", "Their scores are chance: add rows, or merge classes")
        seen = subject.examples(positions)
        findings.append(Finding("note", "rare-classes", message, action, subject.target, len(positions), seen))
    return findings


def audit_imbalance(subject: Subject) -> list[Finding]:
    """Find a class that is nearly always the answer."""
    counts = _class_counts(subject)
    if counts is None:
        return []
    rows, present = int(counts["count"][0]), int(counts["count"].sum())
    if rows < DOMINANT_SHARE * present:
        return []
    message = sentence(
        "audit.imbalance.found",
        "'{label}' is the answer in {share:.1%} of the rows",
        label=counts["label"][0],
        share=rows / present,
    )
    action = sentence(
        "audit.imbalance.action",
        "Read balanced_accuracy or f1: {rows:count row} with another answer decide them",
        rows=present - rows,
    )
    setting = "train.loss.class_weights=balanced"
    return [Finding("note", "imbalance", message, action, subject.target, rows, setting=setting)]


def _counts(subject: Subject) -> pl.DataFrame | None:
    """Return label and count, the most frequent first; None where the cells are no labels or numbers."""
    if subject.target is None or subject.frame[subject.target].dtype.is_nested():
        return None
    if "target counts" not in subject.cache:
        if subject.frame[subject.target].dtype == pl.Binary:
            return None
        present = subject.labels.drop_nulls().rename("label")
        subject.cache["target counts"] = present.value_counts().sort(["count", "label"], descending=[True, False])
    counts: pl.DataFrame = subject.cache["target counts"]
    return counts


def _class_counts(subject: Subject) -> pl.DataFrame | None:
    """Return what `_counts` does where the target has classes: its values repeat."""
    counts = _counts(subject)
    if counts is None or len(counts) < 2 or subject.answer == AnswerKind.NUMBER:
        return None
    present = subject.labels.drop_nulls()
    numbers = counts["label"].cast(pl.Float64, strict=False)
    if numbers.null_count() == 0 and len(counts) > FEW_CLASSES:
        return None
    profile = ColumnProfile(present.name, present, len(present), 0, len(counts))
    has_several = LabelsFeature.match(profile) > 0  # combinations of labels are rarer than the labels
    return counts if not has_several and 2 * len(counts) <= len(present) else None
