"""The most confident mistakes, with the rows themselves."""

from __future__ import annotations

from typing import Any

from luban.report.content import Content
from luban.report.media import Media
from luban.report.words import Words

MAX_MISTAKES = 12
MAX_CELL = 300  # characters


def build(content: Content, words: Words) -> dict[str, Any] | None:
    found = (content.metrics.get("mistakes") or [])[:MAX_MISTAKES]
    if not found:
        return None
    media = Media.of(content)
    return {
        "mistakes": [
            {
                "row": item["row"],
                "actual": item["actual"],
                "predicted": item["predicted"],
                "confidence": content.figures("mistakes", index, "confidence"),
                "media": [
                    (column, piece)
                    for column, path in (item.get("media") or {}).items()
                    if (piece := media.piece(column, path, item["row"])) is not None
                ],
                "cells": [
                    (column, str(text)[:MAX_CELL])
                    for column, text in (item.get("cells") or {}).items()
                    if column not in (item.get("media") or {})
                ],
            }
            for index, item in enumerate(found)
        ]
    }
