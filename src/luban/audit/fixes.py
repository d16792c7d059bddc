"""What can be mended: each fix makes a cleaned table out of what its check found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from luban.audit.duplicates import audit_conflicting, audit_duplicates
from luban.audit.finding import Finding
from luban.audit.label_errors import audit_label_errors
from luban.audit.near.near import audit_near
from luban.audit.overlap import audit_overlap
from luban.audit.prose import audit_encodings, mended
from luban.audit.shared_files import audit_shared_files
from luban.audit.spelling import audit_spelling, spellings
from luban.audit.subject import Subject, counted
from luban.audit.target import audit_missing, audit_rare
from luban.audit.unreadable import audit_unreadable
from luban.audit.values import audit_future, audit_impossible, audit_number_text, plain_numbers
from luban.core.answers import AnswerKind
from luban.core.errors import DataError
from luban.features.parsing import lists

Edit = Callable[[Subject, Finding], pl.DataFrame]


@dataclass(frozen=True)
class Fix:
    """check: that finds what to mend. edit: from a finding to the frame with its cells mended; None removes
    its rows."""

    name: str
    says: str
    check: Callable[[Subject], list[Finding]]
    edit: Edit | None = None


def _spell(subject: Subject, finding: Finding) -> pl.DataFrame:
    meant, target = spellings(subject), finding.column
    assert target is not None
    if subject.answer == AnswerKind.LABELS:
        cells = subject.frame[target]
        writing = lists.find_writing(cells, is_told=True) or lists.Writing()
        found = lists.split(cells, writing).list.eval(pl.element().replace(meant).unique(maintain_order=True))
        joined = found.list.join(writing.separator or lists.SEPARATORS[0])
        whole = found if cells.dtype.is_nested() else joined.set(found.list.len() == 0, "[]")
        return subject.frame.with_columns(whole.alias(target))
    return subject.frame.with_columns(subject.labels.replace(meant).alias(target))


def _blank(subject: Subject, finding: Finding) -> pl.DataFrame:
    assert finding.column is not None
    cells = subject.frame[finding.column].to_frame().with_row_index("row")
    emptied = cells.select(pl.when(~pl.col("row").is_in(finding.positions.tolist())).then(pl.col(finding.column)))
    return subject.frame.with_columns(emptied.to_series().alias(finding.column))


def _unsign(subject: Subject, finding: Finding) -> pl.DataFrame:
    # All columns at once: what stands before decimals in one of them may be told by another.
    return plain_numbers(subject)


def _mend(subject: Subject, finding: Finding) -> pl.DataFrame:
    assert finding.column is not None
    cells = subject.frame[finding.column].to_list()
    for position in finding.positions.tolist():
        cells[position] = mended(cells[position])
    return subject.frame.with_columns(pl.Series(finding.column, cells, dtype=pl.String))


# In the order in which they are done: cells are mended before rows are compared.
FIXES: tuple[Fix, ...] = (
    Fix("encodings", "mend cells that were read in the wrong encoding", audit_encodings, _mend),
    Fix("number-text", "write numbers without signs", audit_number_text, _unsign),
    Fix("impossible", "empty cells with impossible numbers", audit_impossible, _blank),
    Fix("future-dates", "empty cells with dates in the future", audit_future, _blank),
    Fix("label-case", "write labels alike that differ by case or blanks", audit_spelling, _spell),
    Fix("missing-target", "remove rows without an answer", audit_missing),
    Fix("unreadable", "remove rows with an image or a sound that cannot be read", audit_unreadable),
    Fix("rare-classes", "remove rows of classes with one row", audit_rare),
    Fix("overlap", "remove rows that stand in the validation or test rows", audit_overlap),
    Fix("shared-files", "remove rows that share a file with validation or test rows", audit_shared_files),
    Fix("conflicting", "remove rows of the same inputs with different answers", audit_conflicting),
    Fix("duplicates", "remove repeated rows but the first", audit_duplicates),
    Fix("near-duplicates", "remove nearly repeated rows but the first", audit_near),
    Fix("suspects", "remove rows with a suspected label error", audit_label_errors),
)


def apply_fixes(subject: Subject, names: list[str]) -> tuple[pl.DataFrame, list[str]]:
    """Return a cleaned copy, and what was done, a sentence each. Raises DataError where no row would be left."""
    done = []
    for fix in FIXES:
        if fix.name not in names:
            continue
        findings = [found for found in fix.check(subject) if found.setting == f"--fix {fix.name}"]
        concerned = 0
        if fix.edit is not None:
            for found in findings:
                subject = replace(subject, table=replace(subject.table, frame=fix.edit(subject, found)), cache={})
                concerned += found.rows
        elif findings:
            rows = np.unique(np.concatenate([found.positions for found in findings]))
            kept = np.setdiff1d(np.arange(len(subject)), rows)
            if not len(kept):
                raise DataError(
                    f"--fix {fix.name}", expected="rows to be left", found="none", action="Leave this fix out"
                )
            subject, concerned = replace(subject, table=subject.table.take(kept), cache={}), len(rows)
        done.append(f"{fix.name}: {counted(concerned)}")
    return subject.frame, done
