"""What an audit says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from luban.core.errors import DataError
from luban.core.sentence import Sentence, with_parts

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")  # the most serious first
Rows = npt.NDArray[np.int64]
NO_ROWS: Rows = np.zeros(0, np.int64)
MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Suspect:
    """A row whose label is doubted. probability: of the label that is suggested, by cross-validation; of a number, it
    is None and `suggested` is what was predicted."""

    row: int
    label: str
    suggested: str
    probability: float | None
    cells: dict[str, str]


@dataclass(frozen=True)
class Finding:
    """Something about the data that is better known before training.

    severity: an `error` stops the run, a `warning` makes its scores doubtful, a `note` helps to read them. check: the
    name of the check in CHECKS. message: what was found, a clause. action: what to do about it, a sentence without its
    full stop. column: None where it concerns rows. rows: how many rows are concerned. examples: up to three,
    {"row": number in the source, "cells": {column: text}, "note": where there is more to say}. setting: the setting or
    the `--fix NAME` that does what the action says. positions: the rows that the fix removes or edits. suspects: every
    doubted label, the most doubtful first.
    """

    severity: Severity
    check: str
    message: Sentence
    action: Sentence
    column: str | None = None
    rows: int = 0
    examples: tuple[dict[str, Any], ...] = ()
    setting: str | None = None
    positions: Rows = field(default_factory=lambda: NO_ROWS, compare=False, repr=False)
    suspects: tuple[Suspect, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        where = f"column '{self.column}': " if self.column is not None else ""
        return f"{where}{self.message}. {self.action}."

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; beside the English sentences stands what they are made of."""
        names = ("severity", "check", "column", "message", "rows", "examples", "action", "setting")
        return with_parts({name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class AuditReport:
    """name: the source of the table. findings: errors first. checks: the names of those that ran. skipped: of those
    that would have taken too long before a training. seconds: that the audit took."""

    name: str
    rows: int
    findings: tuple[Finding, ...]
    checks: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0
    skipped_seconds: float = 0.0

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """The doubted labels, the most doubtful first."""
        return tuple(suspect for finding in self.findings for suspect in finding.suspects)

    def count(self, severity: Severity) -> int:
        """Return how many findings are so serious."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "name": self.name,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "findings": [finding.to_json() for finding in self.findings],
            "checks": list(self.checks),
            "skipped": list(self.skipped),
            "suspects": [with_parts(vars(suspect)) for suspect in self.suspects],
        }

    def check(self) -> None:
        """Raise DataError for the first error."""
        for finding in self.findings:
            if finding.severity == "error":
                command = f"luban audit DATA {finding.setting} -o clean.csv"
                is_fixed = (finding.setting or "").startswith("--fix")
                raise DataError(
                    f"{self.name}, column '{finding.column}'" if finding.column is not None else self.name,
                    expected="data that can be learned from",
                    found=finding.message,
                    action=f"{finding.action}: `{command}` removes them in a copy" if is_fixed else finding.action,
                )
