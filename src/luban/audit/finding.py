"""What an audit says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from luban.core.errors import DataError

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something about one column that is better known before training.

    severity: an `error` stops the run, a `warning` makes its scores doubtful, a `note` helps to read them.
    message: what was found, a clause. action: what to do about it, a sentence without its full stop.
    """

    severity: Severity
    column: str
    message: str
    action: str

    def __str__(self) -> str:
        return f"column '{self.column}': {self.message}. {self.action}."


@dataclass(frozen=True)
class AuditReport:
    """name: the source of the table. findings: errors first."""

    name: str
    rows: int
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"name": self.name, "rows": self.rows, "findings": [asdict(finding) for finding in self.findings]}

    def check(self) -> None:
        """Raise DataError for the first error."""
        for finding in self.findings:
            if finding.severity == "error":
                raise DataError(
                    f"{self.name}, column '{finding.column}'",
                    expected="data that can be learned from",
                    found=finding.message,
                    action=finding.action,
                )
