"""The most confident mistakes, with the rows themselves."""

from __future__ import annotations

from typing import Any

from luban.core.answers import AnswerKind
from luban.evaluation.mistakes import MAX_COLUMNS
from luban.features.infer import SET_ASIDE
from luban.report.content import Content
from luban.report.figures import Figure, Figures
from luban.report.language.words import Words
from luban.report.media import Media

MAX_MISTAKES = 12
MAX_CELL = 300  # characters
MAX_CELLS = 6  # of a row that are shown at once

# How the rows were chosen, where it is not by the confidence in a wrong answer.
TEXTS: dict[AnswerKind | None, str] = {
    AnswerKind.NUMBER: "mistakes_numbers",
    AnswerKind.FORECAST: "mistakes_numbers",
    AnswerKind.TAGS: "mistakes_words",
}


def build(content: Content, words: Words) -> dict[str, Any] | None:
    found = (content.metrics.get("mistakes") or [])[:MAX_MISTAKES]
    if not found:
        return None
    columns = [column for column in content.first("SchemaInferred").get("columns", []) if column[1] not in SET_ASIDE]
    at, media, kind = content.figures, Media.of(content), content.answer
    return {
        "text": words(TEXTS.get(kind, "mistakes_text")),
        "mistakes": [
            {
                "row": at("mistakes", index, "row"),
                "actual": answer(at, index, "actual", kind, words),
                "predicted": answer(at, index, "predicted", kind, words),
                "confidence": at("mistakes", index, "confidence"),
                "media": media.pieces(item, at.below("mistakes", index), words, MAX_CELLS),
                "cells": [
                    (column, at.text("mistakes", index, "cells", column).cut(MAX_CELL))
                    for column in item.get("cells") or {}
                    if column not in (item.get("media") or {})
                ],
            }
            for index, item in enumerate(found)
        ],
        "max_cells": MAX_CELLS,
        "cut": words("mistakes_cut", shown=at.count("mistakes", 0, "cells")) if len(columns) > MAX_COLUMNS else "",
    }


def answer(at: Figures, index: int, name: str, kind: AnswerKind | None, words: Words) -> object:
    """Return what was answered: a number, a label, or that it was no label at all."""
    if kind == AnswerKind.NUMBER:
        number: Figure = at("mistakes", index, name)
        if number.value is not None:
            return number
    found = at.text("mistakes", index, name)
    return found if found.text else words("no_label")
