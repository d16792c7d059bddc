"""Images and sounds that cannot be read: files that are missing, empty, cut off, damaged, or something else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from luban.audit.finding import Finding
from luban.audit.near_audio import unreadable_clips
from luban.audit.pictures import unreadable_images
from luban.audit.subject import Subject, counted, percent
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
        noun = "an image" if kind == "image" else "a sound"
        share = percent(len(rows), len(subject))
        number, reason = subject.table.row_numbers[rows[0]], reasons[int(rows[0])]
        limit = f"at most {REJECTED_LIMIT:.0%} of the rows" if is_refused else "them"
        found.append(
            Finding(
                "error" if is_refused else "warning",
                "unreadable",
                f"{counted(len(rows))} ({share}) have {noun} that cannot be read (row {number}: {reason})",
                f"Mend the files or remove the rows; a training sets {limit} aside",
                name,
                len(rows),
                subject.examples(rows, notes=list(reasons.values())[:3]),
                "--fix unreadable",
                rows,
            )
        )
    return found
