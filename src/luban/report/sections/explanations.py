"""Why the model says what it says: importance of columns, and rows with what each part weighs."""

from __future__ import annotations

import re
from typing import Any

from luban.report.charts import draw
from luban.report.content import Content
from luban.report.figures import Figures
from luban.report.words import Words

MAX_ROWS, MAX_PARTS, MAX_COLUMNS = 8, 200, 20
MAX_IMAGE = 150_000  # characters of a picture
IMAGE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+")
LEVELS = 5  # shades of a weight


def build(content: Content, words: Words) -> dict[str, Any] | None:
    found = content.explanations
    if not found:
        return None
    at = Figures(found, "explanations")
    metric = words.name("metric", found.get("metric") or content.decider)
    listed = list(enumerate(found.get("importance") or []))[:MAX_COLUMNS]
    return {
        "metric": metric,
        "chart": draw.bars(
            words.plain("chart.importance", metric=metric),
            [(item["column"], at.interval("importance", index, "drop")) for index, item in listed],
            words.plain("axis.drop", metric=metric),
            (words.plain("column.column"), words.plain("axis.drop", metric=metric)),
        )
        if listed
        else None,
        "rows": [
            {**row, "inputs": [shaded(item) for item in row["inputs"]]} for row in (found.get("rows") or [])[:MAX_ROWS]
        ],
    }


def shaded(item: dict[str, Any]) -> dict[str, Any]:
    """Return an input with its parts as (text, weight, shade), shades -5 to 5 of the largest, and safe images."""
    parts = [part for part in item.get("parts") or [] if isinstance(part.get("weight"), (int, float))][:MAX_PARTS]
    most = max((abs(part["weight"]) for part in parts), default=0.0) or 1.0
    texts = [str(part.get("text", part.get("bin", part.get("value", "")))) for part in parts]
    image = item.get("image") or {}
    pictures = {
        name: source
        for name in ("picture", "heat")
        if isinstance(source := image.get(name), str) and len(source) <= MAX_IMAGE and IMAGE.fullmatch(source)
    }
    return {
        "column": item.get("column", ""),
        "parts": [
            (text, part["weight"], round(LEVELS * part["weight"] / most))
            for text, part in zip(texts, parts, strict=True)
        ],
        "pictures": pictures,
    }
