"""What is wrong with the data, told before time is spent on training."""

from __future__ import annotations

from luban.audit.finding import AuditReport, Finding
from luban.audit.leakage import audit_leakage
from luban.audit.target import audit_target
from luban.data.table import Table

__all__ = ["AuditReport", "Finding", "audit"]

ORDER = ("error", "warning", "note")


def audit(table: Table, target: str, inputs: list[str]) -> AuditReport:
    """Audit a table whose column `target` is to be predicted from the columns `inputs`; raises nothing, see
    `AuditReport.check`."""
    findings = audit_target(table.frame[target]) + audit_leakage(table.frame, target, inputs)
    return AuditReport(table.name, len(table), tuple(sorted(findings, key=lambda found: ORDER.index(found.severity))))
