"""Where the model is better or worse: slices, corrupted inputs, groups."""

from __future__ import annotations

from typing import Any

from luban.report.charts import draw
from luban.report.content import Content
from luban.report.words import Words

MAX_SLICES = 16


def build(content: Content, words: Words) -> dict[str, Any] | None:
    at, metrics = content.figures, content.metrics
    found = metrics.get("slices") or {}
    robustness, fairness = metrics.get("robustness") or [], metrics.get("fairness")
    if not found and not robustness and not fairness:
        return None
    metric = words.name("metric", found.get("metric") or content.decider)
    listed = list(enumerate(found.get("found", [])))[:MAX_SLICES]
    corrupted = [
        (
            f"{item['corruption']} · {item['column']}" if item.get("column") else item["corruption"],
            at.interval("robustness", index, "score"),
            at("robustness", index, "difference"),
        )
        for index, item in enumerate(robustness)
    ]
    overall = (words.plain("all_rows"), at.interval("scores", found.get("metric") or content.decider))
    return {
        "metric": metric,
        "looked_at": at("slices", "looked_at"),
        "overall": at("slices", "overall"),
        "slices": [
            {
                **item,
                "rows": at("slices", "found", index, "rows"),
                "score": at.interval("slices", "found", index, "score"),
                "difference": at("slices", "found", index, "difference"),
                "p": at("slices", "found", index, "p_adjusted"),
            }
            for index, item in listed
        ],
        "chart": draw.intervals(
            words.plain("chart.slices", metric=metric),
            [
                overall,
                *(
                    (f"{item['column']}: {item['value']}", at.interval("slices", "found", index, "score"))
                    for index, item in listed
                ),
            ],
            metric,
            (words.plain("column.slice"), metric),
        )
        if listed
        else None,
        "corrupted": corrupted,
        "corruption_chart": draw.intervals(
            words.plain("chart.robustness", metric=words.name("metric", content.decider)),
            [(words.plain("as_is"), at.interval("scores", content.decider)), *((name, s) for name, s, _ in corrupted)],
            words.name("metric", content.decider),
            (words.plain("column.corruption"), words.name("metric", content.decider)),
        )
        if corrupted
        else None,
        "fairness": fairness,
        "groups": [
            (
                group["value"],
                at("fairness", "groups", index, "rows"),
                [
                    (words.name("metric", rate), at.interval("fairness", "groups", index, "rates", rate))
                    for rate in group["rates"]
                ],
            )
            for index, group in enumerate((fairness or {}).get("groups", []))
        ],
        "gaps": [
            (
                words.name("metric", gap["rate"]),
                at.interval("fairness", "gaps", index, "gap"),
                " / ".join(map(str, gap["between"])),
            )
            for index, gap in enumerate((fairness or {}).get("gaps", []))
        ],
    }
