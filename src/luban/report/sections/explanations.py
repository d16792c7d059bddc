"""Why the model says what it says: importance of columns, and rows with what each part weighs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from luban.report.charts import draw
from luban.report.charts.plot import Chart
from luban.report.content import Content
from luban.report.figures import Figure, Figures, Quote
from luban.report.language.sentences import told
from luban.report.language.words import Words
from luban.report.pictures.sequence import Spans, series_chart

MAX_ROWS, MAX_WORDS, MAX_COLUMNS = 8, 200, 20
MAX_BARS, MAX_CHARTS = 8, 4  # cells and sequences of a row that are shown
MAX_STEPS, MAX_PLACES = 12, 6  # stretches of its sequence, places in its pictures
MAX_IMAGE = 150_000  # characters of a picture
IMAGE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+")
LEVELS = 5  # shades of a weight


def build(content: Content, words: Words) -> dict[str, Any] | None:
    found = content.explanations
    if not found.get("importance") and not found.get("rows"):
        return None
    at = content.explained
    metric = words.name("metric", found.get("metric") or content.decider)
    listed = list(enumerate(found.get("importance") or []))[:MAX_COLUMNS]
    rows = [row_of(row, index, at, words) for index, row in enumerate((found.get("rows") or [])[:MAX_ROWS])]
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
        "rows": rows,
        "way": "label" if any(row["probability"].value is not None for row in rows) else "value",
        "has_pictures": any(row["pictures"] for row in rows),
    }


def row_of(row: Mapping[str, Any], index: int, at: Figures, words: Words) -> dict[str, Any]:
    """Return a row with texts as (word, weight, shade), shades -5 to 5 of the row's largest weight, other parts as bars
    of (label, weight, share of the largest), charts of sequences, and safe pictures."""
    inputs = [{**item, "parts": weighed(item)} for item in row.get("inputs") or []]
    most = max((abs(part["weight"]) for item in inputs for _, part in item["parts"]), default=0.0) or 1.0
    texts, pictures = [], []
    bars: list[tuple[Quote | Markup, Figure, float]] = []
    charts: list[Chart] = []
    for place, item in enumerate(inputs):
        column = str(item.get("column", ""))
        if any("text" in part for _, part in item["parts"]):
            shaded = [
                (
                    str(part.get("text")),
                    replace(weight_of(index, place, number, at), text=f"{part['weight']:+.3f}"),
                    round(LEVELS * part["weight"] / most),
                )
                for number, part in item["parts"]
            ]
            texts.append((column, shaded[:MAX_WORDS]))
            continue
        series = at.below("rows", index, "inputs", place, "series")
        if series.entry("steps") and len(charts) < MAX_CHARTS:
            spans = Spans(
                [
                    (str(label_of(index, place, number, at, words)), part["weight"], part["weight"] / most)
                    for number, part in item["parts"]
                ],
                at.source("rows", index, "inputs", place, "parts"),
            )
            charts.append(series_chart(series, column, row.get("row"), words, spans))
        seen = safe_pictures(item.get("image") or {})
        if seen:
            pictures.append((column, seen))
        for number, part in item["parts"]:
            named = label_of(index, place, number, at, words)
            label = named if len(inputs) == 1 else Markup("{}: {}").format(column, named)
            bars.append((label, weight_of(index, place, number, at), part["weight"] / most))
    is_sequence = len(inputs) == 1 and not pictures
    most_bars = MAX_PLACES if pictures else MAX_STEPS if is_sequence else MAX_BARS
    strongest = sorted(range(len(bars)), key=lambda place: -abs(bars[place][2]))[:most_bars]
    probability = at("rows", index, "probability")
    has_answer = row.get("actual") is not None and probability.value is not None
    return {
        **row,
        "texts": texts,
        "checked": told(at.text("rows", index, "check", "sentence"), words),
        "pictures": pictures,
        "charts": charts,
        "bars": [bars[place] for place in (sorted(strongest) if is_sequence else strongest)],
        "more": len(bars) - len(strongest),
        "edits": edits_of(row, index, at, words),
        "probability": probability,
        "is_right": row["actual"] == row.get("predicted") if has_answer else None,
    }


def weighed(item: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the parts that have a weight, with their places."""
    parts = enumerate(item.get("parts") or [])
    return [(number, part) for number, part in parts if isinstance(part.get("weight"), (int, float))]


def weight_of(row: int, place: int, number: int, at: Figures) -> Figure:
    """Return what a part of one of a row's columns weighs."""
    return at("rows", row, "inputs", place, "parts", number, "weight")


def label_of(row: int, place: int, number: int, at: Figures, words: Words) -> Quote:
    """Return what a part of one of a row's columns is called."""
    part = at.below("rows", row, "inputs", place, "parts", number)
    return ours_told(part.text("value" if part.entry("bin") is None else "bin"), words)


def edits_of(row: Mapping[str, Any], index: int, at: Figures, words: Words) -> list[dict[str, Any]]:
    """Return the changes of the smallest edit, cells as the language of the page has them."""
    changes = (row.get("edit") or {}).get("changes") or []
    found = []
    for place, change in enumerate(changes):
        here = at.below("rows", index, "edit", "changes", place)
        found.append({**change, **{name: ours_told(here.text(name), words) for name in ("before", "after")}})
    return found


def ours_told(text: Quote, words: Words) -> Quote:
    """Return what is a word of ours in the language of the page, and a text of the data as it is."""
    return text if text.parts is None else told(text, words)


def safe_pictures(image: Mapping[str, Any]) -> dict[str, str]:
    """Return the picture and its heat map as data URIs, where they are no more than that."""
    return {
        name: source
        for name in ("picture", "heat")
        if isinstance(source := image.get(name), str) and len(source) <= MAX_IMAGE and IMAGE.fullmatch(source)
    }
