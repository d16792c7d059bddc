"""What is wrong with the data, told before time is spent on training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from luban.audit.columns import audit_constant, audit_identifiers, audit_unique
from luban.audit.drift import audit_drift
from luban.audit.duplicates import audit_conflicting, audit_duplicates
from luban.audit.finding import SEVERITIES, AuditReport, Finding
from luban.audit.label_errors import audit_label_errors
from luban.audit.leakage import audit_leakage
from luban.audit.missing import audit_missing_cells
from luban.audit.near import audit_near
from luban.audit.order import audit_order
from luban.audit.overlap import audit_overlap
from luban.audit.prose import audit_encodings, audit_languages
from luban.audit.spelling import audit_spelling
from luban.audit.subject import Subject
from luban.audit.target import audit_imbalance, audit_missing, audit_one_class, audit_rare
from luban.audit.values import audit_future, audit_impossible, audit_number_text

__all__ = ["CHECKS", "AuditReport", "Check", "Finding", "Subject", "audit"]


@dataclass(frozen=True)
class Check:
    """run: from the subject to its findings. quick_cells: before a training, it runs on tables with at most so many
    cells of inputs; None has no limit."""

    name: str
    run: Callable[[Subject], list[Finding]]
    quick_cells: int | None = None


CHECKS: tuple[Check, ...] = (
    Check("one-class", audit_one_class),
    Check("missing-target", audit_missing),
    Check("rare-classes", audit_rare),
    Check("imbalance", audit_imbalance),
    Check("label-case", audit_spelling),
    Check("leakage", audit_leakage),
    Check("order", audit_order),
    Check("duplicates", audit_duplicates, 20_000_000),
    Check("conflicting", audit_conflicting, 20_000_000),
    Check("near-duplicates", audit_near, 5_000),
    Check("overlap", audit_overlap, 0),
    Check("constant", audit_constant),
    Check("identifiers", audit_identifiers),
    Check("almost-unique", audit_unique),
    Check("number-text", audit_number_text, 20_000_000),
    Check("impossible", audit_impossible, 20_000_000),
    Check("future-dates", audit_future, 1_000_000),
    Check("missing-cells", audit_missing_cells, 20_000_000),
    Check("encodings", audit_encodings, 1_000_000),
    Check("languages", audit_languages, 5_000),
    Check("label-errors", audit_label_errors, 5_000),
    Check("drift", audit_drift, 0),
)


def audit(subject: Subject) -> AuditReport:
    """Run the checks, before a training only those that are quick; raises nothing, see `AuditReport.check`."""
    start = time.monotonic()
    findings: list[Finding] = []
    ran, skipped = [], []
    cells = len(subject) * max(len(subject.inputs), 1)
    for check in CHECKS:
        if subject.is_quick and check.quick_cells is not None and cells > check.quick_cells:
            skipped.append(check.name)
            continue
        findings += check.run(subject)
        ran.append(check.name)
    findings.sort(key=lambda found: SEVERITIES.index(found.severity))
    seconds = time.monotonic() - start
    return AuditReport(subject.table.name, len(subject), tuple(findings), tuple(ran), tuple(skipped), seconds)
