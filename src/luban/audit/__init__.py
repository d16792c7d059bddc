"""What is wrong with the data, told before time is spent on training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from luban.audit.columns import audit_constant, audit_identifiers, audit_inputs, audit_unique
from luban.audit.cost import (
    ROWS_SECONDS,
    Cost,
    label_error_seconds,
    language_seconds,
    leakage_seconds,
    near_seconds,
    per_cell,
    size_of,
)
from luban.audit.drift import audit_drift
from luban.audit.duplicates import audit_conflicting, audit_duplicates
from luban.audit.finding import SEVERITIES, AuditReport, Finding
from luban.audit.label_errors import audit_label_errors
from luban.audit.leakage import audit_leakage
from luban.audit.missing import audit_missing_cells
from luban.audit.near.near import audit_near
from luban.audit.order import audit_order
from luban.audit.overlap import audit_overlap
from luban.audit.prose import audit_encodings, audit_languages
from luban.audit.shared_files import audit_shared_files
from luban.audit.spelling import audit_spelling
from luban.audit.subject import Subject
from luban.audit.target import audit_imbalance, audit_missing, audit_one_class, audit_rare
from luban.audit.unreadable import audit_unreadable
from luban.audit.values import audit_future, audit_impossible, audit_number_text
from luban.core.answers import AnswerKind
from luban.features.media import FILE_KINDS

__all__ = ["CHECKS", "AuditReport", "Check", "Finding", "Subject", "audit"]


@dataclass(frozen=True)
class Check:
    """run: from the subject to its findings. cost: before a training, it runs where the budget allows it; None always
    runs. decodes: the kinds of files that it looks into, which costs extra, once for all checks that do. needs_others:
    it compares with the tables beside the audited one, and has nothing to do without. of_rows: it takes each row for a
    case of its own, which a step of a series is not."""

    name: str
    run: Callable[[Subject], list[Finding]]
    cost: Cost | None = None
    decodes: tuple[str, ...] = ()
    needs_others: bool = False
    of_rows: bool = False


CHECKS: tuple[Check, ...] = (
    Check("no-inputs", audit_inputs, of_rows=True),
    Check("one-class", audit_one_class),
    Check("missing-target", audit_missing),
    Check("rare-classes", audit_rare),
    Check("imbalance", audit_imbalance),
    Check("label-case", audit_spelling),
    Check("unreadable", audit_unreadable, per_cell(1e-7, *FILE_KINDS), FILE_KINDS),
    Check("leakage", audit_leakage, leakage_seconds, of_rows=True),
    Check("order", audit_order, of_rows=True),
    Check("duplicates", audit_duplicates, per_cell(1e-7, column=ROWS_SECONDS), of_rows=True),
    Check("conflicting", audit_conflicting, per_cell(1e-7, column=ROWS_SECONDS), of_rows=True),
    Check("near-duplicates", audit_near, near_seconds, FILE_KINDS, of_rows=True),
    Check("overlap", audit_overlap, per_cell(1e-6, column=ROWS_SECONDS), needs_others=True, of_rows=True),
    Check("shared-files", audit_shared_files, per_cell(1e-7, *FILE_KINDS)),
    Check("constant", audit_constant),
    Check("identifiers", audit_identifiers),
    Check("almost-unique", audit_unique),
    Check("number-text", audit_number_text, per_cell(1e-7)),
    Check("impossible", audit_impossible, per_cell(1e-7)),
    Check("future-dates", audit_future, per_cell(2e-6, "date")),
    Check("missing-cells", audit_missing_cells, per_cell(1e-7)),
    Check("encodings", audit_encodings, per_cell(3e-7, "text", "category")),
    Check("languages", audit_languages, language_seconds),
    Check("label-errors", audit_label_errors, label_error_seconds, FILE_KINDS, of_rows=True),
    Check("drift", audit_drift, per_cell(2e-6), needs_others=True, of_rows=True),
)


def audit(subject: Subject) -> AuditReport:
    """Run the checks, before a training only as many as its budget allows; raises nothing, see `AuditReport.check`."""
    start = time.monotonic()
    findings: list[Finding] = []
    checks = [check for check in CHECKS if subject.others or not check.needs_others]
    if subject.answer == AnswerKind.FORECAST:
        checks = [check for check in checks if not check.of_rows]
    skipped = {} if subject.budget is None else too_slow(subject, checks, subject.budget)
    ran = [check for check in checks if check.name not in skipped]
    for check in ran:
        findings += check.run(subject)
    findings.sort(key=lambda found: SEVERITIES.index(found.severity))
    names = tuple(check.name for check in ran)
    seconds, left_out = time.monotonic() - start, sum(skipped.values())
    return AuditReport(subject.table.name, len(subject), tuple(findings), names, tuple(skipped), seconds, left_out)


def audit_all(subjects: Sequence[Subject]) -> AuditReport:
    """Audit the same rows for each of their targets; what concerns no target is found once."""
    reports = [audit(subject) for subject in subjects]
    if len(reports) == 1:
        return reports[0]
    found = dict[tuple[str, str | None, str], Finding]()
    for item in (item for report in reports for item in report.findings):
        found.setdefault((item.check, item.column, item.message), item)
    findings = sorted(found.values(), key=lambda item: SEVERITIES.index(item.severity))
    return replace(
        reports[0],
        findings=tuple(findings),
        checks=tuple(dict.fromkeys(name for report in reports for name in report.checks)),
        skipped=tuple(dict.fromkeys(name for report in reports for name in report.skipped)),
        seconds=sum(report.seconds for report in reports),
        skipped_seconds=sum(report.skipped_seconds for report in reports),
    )


def too_slow(subject: Subject, checks: Iterable[Check], budget: float) -> dict[str, float]:
    """Return the checks for which a training does not wait, and their seconds: the costliest, until the others
    together fit into the budget."""
    size = size_of(subject)
    decoding = {kind: size.decoding(kind) for kind in FILE_KINDS}
    costs = [(check.cost(size), check) for check in checks if check.cost is not None]
    kept = 0.0
    skipped = {}
    decoded: set[str] = set()
    missed: set[str] = set()
    for seconds, check in sorted(costs, key=lambda item: item[0] + sum(decoding[kind] for kind in item[1].decodes)):
        files = set(check.decodes) - decoded
        if kept + seconds + sum(decoding[kind] for kind in files) > budget:
            skipped[check.name] = seconds + sum(decoding[kind] for kind in files - missed)
            missed |= files
        else:
            kept += seconds + sum(decoding[kind] for kind in files)
            decoded |= files
    return skipped
