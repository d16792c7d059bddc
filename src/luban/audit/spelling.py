"""Labels that differ by case, blanks or width only: one class, taken for several."""

from __future__ import annotations

import unicodedata
from collections import defaultdict

import polars as pl

from luban.audit.finding import Finding
from luban.audit.subject import Subject
from luban.core.answers import AnswerKind
from luban.core.sentence import sentence, several
from luban.features.cells import strings
from luban.features.parsing.lists import split
from luban.features.parsing.spellings import alike

SHOWN_GROUPS = 3


def normal_form(label: str) -> str:
    """Return a label without what a hand may write either way: case, blanks, full-width characters (Unicode NFKC)."""
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def spellings(subject: Subject) -> dict[str, str]:
    """Return the label that each misspelt one stands for: the most frequent of those that differ in nothing else."""
    if subject.target is None or subject.answer not in (AnswerKind.CLASS, AnswerKind.LABELS):
        return {}
    cells = split(subject.frame[subject.target]).explode() if subject.answer == AnswerKind.LABELS else subject.labels
    present = cells.drop_nulls().cast(pl.String).rename("label")
    by_form: dict[str, list[str]] = defaultdict(list)
    for label in present.value_counts().sort(["count", "label"], descending=[True, False])["label"].to_list():
        by_form[normal_form(label)].append(label)
    return {other: labels[0] for labels in by_form.values() for other in labels[1:]}


def audit_spelling(subject: Subject) -> list[Finding]:
    """Find labels that differ by case, blanks or width only."""
    return [*_taken_for_one(subject), *_taken_for_several(subject)]


def _taken_for_one(subject: Subject) -> list[Finding]:
    """Find spellings that a training takes for one label, which it says itself."""
    if subject.target is None or not subject.has_classes or subject.budget is not None:
        return []
    meant = alike(strings(subject.frame[subject.target]))
    rows = strings(subject.frame[subject.target]).is_in(list(meant)).fill_null(False).arg_true().to_numpy()
    if not meant:
        return []
    message = sentence(
        "audit.label-case.found_one",
        "spellings that are taken for one label: {pairs}",
        pairs=", ".join(f"{other!r} and {label!r}" for other, label in list(meant.items())[:SHOWN_GROUPS]),
    )
    action = sentence("audit.label-case.action_one", "Write them alike, or otherwise where they are not one")
    seen = subject.examples(rows)
    more = (subject.target, len(rows), seen, "--fix label-case", rows.astype("int64"))
    return [Finding("note", "label-case", message, action, *more)]


def _taken_for_several(subject: Subject) -> list[Finding]:
    meant = spellings(subject)
    if not meant:
        return []
    assert subject.target is not None
    lists = split(subject.frame[subject.target]) if subject.answer == AnswerKind.LABELS else None
    if lists is None:
        is_concerned = subject.labels.is_in(list(meant)).fill_null(False)
    else:
        is_concerned = lists.list.eval(pl.element().is_in(list(meant)).any()).list.first().fill_null(False)
    rows = is_concerned.arg_true().to_numpy().astype("int64")
    pairs = ", ".join(f"{other!r} and {label!r}" for other, label in list(meant.items())[:SHOWN_GROUPS])
    if len(meant) > SHOWN_GROUPS:
        message = sentence(
            "audit.label-case.found_more",
            "labels that differ by case, blanks or width only: {pairs} and {more} more",
            pairs=pairs,
            more=len(meant) - SHOWN_GROUPS,
        )
    else:
        message = sentence(
            "audit.label-case.found", "labels that differ by case, blanks or width only: {pairs}", pairs=pairs
        )
    return [
        Finding(
            "warning",
            "label-case",
            message,
            sentence(
                "audit.label-case.action",
                "Each is a class of its own as it stands: write all {rows:count row} of the rarer spelling alike, "
                "as {labels}",
                rows=len(rows),
                labels=several(dict.fromkeys(meant.values()), limit=SHOWN_GROUPS),
            ),
            subject.target,
            len(rows),
            subject.examples(rows),
            "--fix label-case",
            rows,
        )
    ]
