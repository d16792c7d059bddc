"""The data: columns, split, what the audit found."""

from __future__ import annotations

from typing import Any

from luban.report.content import Content
from luban.report.words import Words

MAX_COLUMNS, MAX_FINDINGS, MAX_SUSPECTS = 60, 30, 10


def build(content: Content, words: Words) -> dict[str, Any] | None:
    schema = content.last("SchemaInferred")
    notes = [
        note["text"] for note in content.all_of("Noted") if note.get("stage") in ("read", "infer", "split", "audit")
    ]
    findings = content.audit.get("findings", [])
    if not schema and not content.audit:
        return None
    return {
        "columns": schema.get("columns", [])[:MAX_COLUMNS],
        "more_columns": max(0, len(schema.get("columns", [])) - MAX_COLUMNS),
        "rows": schema.get("rows", content.audit.get("rows")),
        "notes": list(dict.fromkeys(notes)),
        "audited": bool(content.audit),
        "checks": content.audit.get("checks", []),
        "findings": findings[:MAX_FINDINGS],
        "more_findings": max(0, len(findings) - MAX_FINDINGS),
        "suspects": content.audit.get("suspects", [])[:MAX_SUSPECTS],
        "name": words.name,
    }
