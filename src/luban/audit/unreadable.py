"""Images and sounds that cannot be read: files that are missing, empty, cut off, damaged, or something else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from luban.audit.clips import unreadable_clips
from luban.audit.finding import Finding, Rows
from luban.audit.pictures import unreadable_images
from luban.audit.subject import Subject, percent
from luban.core.sentence import Sentence, sentence
from luban.data.table import REJECTED_LIMIT
from luban.features.decoding import Reasons

# By kind of column: why cells cannot be read, by row.
READERS: dict[str, Callable[[Subject, str], Reasons]] = {"image": unreadable_images, "audio": unreadable_clips}


def audit_unreadable(subject: Subject) -> list[Finding]:
    """Find cells of images and sounds that a training would set aside; an error where it would refuse to go on."""
    found = []
    for name in subject.of_kind(*READERS):
        kind = subject.kinds[name]
        reasons = READERS[kind](subject, name)
        if not reasons:
            continue
        rows = np.fromiter(reasons, np.int64, len(reasons))
        is_refused = len(rows) > REJECTED_LIMIT * len(subject)
        found.append(
            Finding(
                "error" if is_refused else "warning",
                "unreadable",
                _found(subject, kind, rows, reasons[int(rows[0])]),
                _action(is_refused=is_refused),
                name,
                len(rows),
                subject.examples(rows, notes=list(reasons.values())[:3]),
                "--fix unreadable",
                rows,
            )
        )
    return found


def _found(subject: Subject, kind: str, rows: Rows, reason: str) -> Sentence:
    values = {
        "rows": len(rows),
        "share": percent(len(rows), len(subject)),
        "row": int(subject.table.row_numbers[rows[0]]),
        "reason": reason,
    }
    if kind == "image":
        return sentence(
            "audit.unreadable.found_image",
            "{rows:count row} ({share}) {rows:do have} an image that cannot be read (row {row}: {reason})",
            **values,
        )
    return sentence(
        "audit.unreadable.found_audio",
        "{rows:count row} ({share}) {rows:do have} a sound that cannot be read (row {row}: {reason})",
        **values,
    )


def _action(*, is_refused: bool) -> Sentence:
    if is_refused:
        return sentence(
            "audit.unreadable.action_refused",
            "Mend the files or remove the rows; a training sets at most {limit:.0%} of the rows aside",
            limit=REJECTED_LIMIT,
        )
    return sentence("audit.unreadable.action", "Mend the files or remove the rows; a training sets them aside")
