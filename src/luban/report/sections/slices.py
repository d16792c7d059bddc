"""Where the model is better or worse: slices, corrupted inputs, groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from luban.report.charts import draw
from luban.report.content import Content
from luban.report.figures import Figure, Quote
from luban.report.language.slices import between, group_name, slice_name
from luban.report.language.words import Words

MAX_SLICES = 24


def build(content: Content, words: Words) -> dict[str, Any] | None:
    at, metrics = content.figures, content.metrics
    found = metrics.get("slices") or {}
    if not found and not metrics.get("robustness") and not metrics.get("fairness"):
        return None
    return {
        "metric": words.name("metric", found.get("metric") or content.decider),
        "decider": words.name("metric", content.decider),
        "looked_at": at("slices", "looked_at"),
        "overall": at("slices", "overall"),
        "slices": sliced(content, words),
        "corrupted": corrupted(content, words),
        "unchanged": at("scores", content.decider, "value"),
        "fairness": at.text("fairness", "column"),
        "rates": [words.name("metric", rate) for rate in rates_of(content)],
        "groups": [
            (
                Quote(at.source("fairness", "groups", index, "value"), group_name(group["value"], words)),
                at("fairness", "groups", index, "rows"),
                *(at.interval("fairness", "groups", index, "rates", rate) for rate in rates_of(content)),
            )
            for index, group in enumerate((metrics.get("fairness") or {}).get("groups", []))
        ],
        "gaps": [
            (
                words.name("metric", gap["rate"]),
                at.interval("fairness", "gaps", index, "gap"),
                Quote(at.source("fairness", "gaps", index, "between"), between(gap["between"], words)),
            )
            for index, gap in enumerate((metrics.get("fairness") or {}).get("gaps", []))
        ],
    }


def sliced(content: Content, words: Words) -> list[tuple[object, ...]]:
    """Return name, strip, rows, score, difference and p of the slices, the worst first."""
    at, found = content.figures, (content.metrics.get("slices") or {}).get("found", [])[:MAX_SLICES]
    scores = [at.interval("slices", "found", index, "score") for index in range(len(found))]
    strips = draw.strips(scores, at("slices", "overall"))
    worse = Markup(' <span class="mark-bad">{}</span>').format(words("worse"))
    return [
        (
            Markup('<span data-source="{}">{}</span>{}').format(
                at.source("slices", "found", index),
                slice_name(item, words),
                worse if item.get("worse") else "",
            ),
            strips[index],
            at("slices", "found", index, "rows"),
            scores[index],
            at("slices", "found", index, "difference"),
            small(at("slices", "found", index, "p_adjusted")),
        )
        for index, item in enumerate(found)
    ]


def corrupted(content: Content, words: Words) -> list[tuple[object, ...]]:
    """Return name, strip, score and difference of each corruption."""
    at, found = content.figures, content.metrics.get("robustness") or []
    scores = [at.interval("robustness", index, "score") for index in range(len(found))]
    strips = draw.strips(scores, at("scores", content.decider, "value"))
    return [
        (
            Markup('<span data-source="{}">{}{}</span>').format(
                at.source("robustness", index),
                f"{item['column']}: " if item.get("column") else "",
                words.name("corruption", item["corruption"]),
            ),
            strips[index],
            scores[index],
            at("robustness", index, "difference"),
        )
        for index, item in enumerate(found)
    ]


def small(p: Figure) -> Figure:
    """Return a probability whose exact size below a thousandth says nothing more."""
    return replace(p, text="< 0.001") if p.value is not None and p.value < 0.001 else p


def rates_of(content: Content) -> list[str]:
    groups = (content.metrics.get("fairness") or {}).get("groups", [])
    return list(dict.fromkeys(rate for group in groups for rate in group["rates"]))
