"""What an audit found, in a terminal: the most serious first, with examples and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from luban.audit.finding import SEVERITIES, AuditReport, Finding
from luban.audit.subject import counted
from luban.core.shown import shown
from luban.report.wrapping import safe

STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
INDENT = 2
FOUND = {"error": "errors", "warning": "warnings", "note": "notes"}


def show_audit(console: Console, report: AuditReport, notes: Iterable[str] = ()) -> None:
    """Print a report. notes: choices made while reading."""
    console.print(Text.assemble((shown(f"audit of {report.name}"), "bold"), f", {counted(report.rows)}"))
    for note in notes:
        console.print(safe(note, "dim"))
    for severity in SEVERITIES:
        findings = [finding for finding in report.findings if finding.severity == severity]
        if findings:
            console.print()
            console.print(Text(f"{FOUND[severity] if len(findings) > 1 else severity}", style=STYLES[severity]))
        for finding in findings:
            _show(console, finding)
    counts = [counted(report.count(severity), severity) for severity in SEVERITIES if report.count(severity)]
    found = ", ".join(counts) or "nothing to mend"
    console.print()
    console.print(Text(f"{found}; {len(report.checks)} checks in {report.seconds:.1f} s", style="bold"))


def _show(console: Console, finding: Finding) -> None:
    where = shown(f"{finding.column}: ") if finding.column is not None else ""
    console.print(Padding(Text.assemble((where, "bold"), shown(finding.message)), (0, 0, 0, INDENT), expand=False))
    for example in finding.examples:
        line = shown(_one_line(example))
        width = max(20, console.width - 2 * INDENT)
        cut = set_cell_size(line, width - 1).rstrip() + "…" if cell_len(line) > width else line
        console.print(Padding(Text(cut, style="dim", no_wrap=True), (0, 0, 0, 2 * INDENT), expand=False))
    does = f" ({finding.setting})" if finding.setting and finding.setting not in finding.action else ""
    console.print(Padding(safe(f"→ {finding.action}{does}", "green"), (0, 0, 0, INDENT), expand=False))


def _one_line(example: dict[str, Any]) -> str:
    """Return `row 12: NOTE: a · b · c`."""
    note = f" {example['note']}:" if example.get("note") else ":"
    return f"row {example['row']:,}{note} " + " · ".join(text or "(missing)" for text in example["cells"].values())
