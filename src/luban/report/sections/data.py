"""The data: columns, split, what the audit found."""

from __future__ import annotations

from typing import Any

from luban.report.content import Content
from luban.report.figures import Figure, Figures, Quote
from luban.report.language.sentences import named, told
from luban.report.language.words import Words

MAX_COLUMNS, MAX_FINDINGS, MAX_SUSPECTS = 60, 30, 10
OPEN_COLUMNS = 16  # of which the table is shown at once
STAGES = ("read", "infer", "split")  # what they note; the audit's notes are its findings


def build(content: Content, words: Words) -> dict[str, Any] | None:
    inferred = content.first("SchemaInferred")  # a resumed run is told the kinds that the first part of it found
    if not inferred and not content.audit:
        return None
    at, schema = content.audited, content.told(inferred)
    columns = inferred.get("columns", [])
    findings, suspects = content.audit.get("findings", []), content.audit.get("suspects", [])
    notes = [
        told(content.told(note).text("text"), words)
        for note in content.all_of("Noted")
        if note.get("stage") in STAGES or (note.get("stage") == "audit" and not content.audit)
    ]
    return {
        "columns": [
            [
                schema.text("columns", index, 0),
                named("kind", schema.text("columns", index, 1), words),
                *(told(schema.text("columns", index, place), words) for place in range(2, len(column))),
            ]
            for index, column in enumerate(columns[:MAX_COLUMNS])
        ],
        "num_columns": schema.count("columns"),
        "more_columns": more(schema, "columns", len(columns) - MAX_COLUMNS),
        "is_open": len(columns) <= OPEN_COLUMNS,
        "notes": list({note.text: note for note in notes}.values()),
        "audited": bool(content.audit),
        "checks": at.count("checks"),
        "findings": [finding(at, index, words) for index in range(min(len(findings), MAX_FINDINGS))],
        "more_findings": more(at, "findings", len(findings) - MAX_FINDINGS),
        "suspects": [
            (
                at("suspects", index, "row"),
                at.text("suspects", index, "label"),
                suggested(at.text("suspects", index, "suggested"), words),
                cells(at, item, "suspects", index),
            )
            for index, item in enumerate(suspects[:MAX_SUSPECTS])
        ],
        "more_suspects": more(at, "suspects", len(suspects) - MAX_SUSPECTS),
    }


def suggested(label: Quote, words: Words) -> Quote:
    """Return a label as it is, and `without a label` in the language of the page."""
    return label if label.parts is None else told(label, words)


def more(at: Figures, name: str, count: int) -> Figure | None:
    """Return how many entries of a list are not shown; None where all are."""
    return Figure(at.source(name), count, derived="rest") if count > 0 else None


def finding(at: Figures, index: int, words: Words) -> dict[str, Any]:
    found = at.entry("findings", index)
    place = ("findings", index)
    return {
        "severity": found["severity"],
        "says": words.name("severity", found["severity"]),
        "column": at.text(*place, "column"),
        "text": words(
            "finding_text",
            message=told(at.text(*place, "message"), words),
            action=told(at.text(*place, "action"), words),
        ),
        "setting": at.text(*place, "setting"),
        "count": at.count(*place, "examples"),
        "examples": [
            (
                at(*place, "examples", number, "row"),
                told(at.text(*place, "examples", number, "note"), words),
                cells(at, example, *place, "examples", number),
            )
            for number, example in enumerate(found.get("examples") or [])
        ],
    }


def cells(at: Figures, item: dict[str, Any], *place: str | int) -> list[tuple[str, Quote]]:
    """Return the cells of a row by column."""
    return [(column, at.text(*place, "cells", column)) for column in item.get("cells") or {}]
