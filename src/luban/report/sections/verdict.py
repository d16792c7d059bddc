"""The verdict: task, data, the deciding score against the baselines, and what to worry about."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from luban.report.charts import draw
from luban.report.content import Content
from luban.report.words import Words
from luban.report.worries import Worry, worries

MAX_WORRIES = 3
BLOCKS = ("calibration", "slices", "robustness", "conformal")


def build(content: Content, words: Words) -> dict[str, Any]:
    at, decider = content.figures, content.decider
    metric = words.name("metric", decider)
    found = worries(content)
    return {
        "headline": headline(content, words),
        "beats": bool(content.metrics.get("verdict", {}).get("beats_baselines")),
        "facts": facts(content, words),
        "metric": metric,
        "score": at.interval("scores", decider),
        "worries": [(worry, told(worry, words)) for worry in found[:MAX_WORRIES]],
        "more": max(0, len(found) - MAX_WORRIES),
        "unexamined": [words.name("block", name) for name in unexamined(content)],
        "chart": draw.intervals(
            words.plain("chart.baselines", metric=metric),
            [
                (words.plain("model"), at.interval("scores", decider)),
                *(
                    (words.name("baseline", name), at.interval("baselines", name, decider))
                    for name in content.metrics.get("baselines", {})
                ),
            ],
            metric,
            (words.plain("column.predictor"), metric),
        ),
    }


def headline(content: Content, words: Words) -> Markup:
    """Say in one sentence whether the model beats the baseline that is hardest to beat."""
    at, decider = content.figures, content.decider
    compared = content.metrics.get("comparisons", [])
    values: dict[str, Any] = {
        "metric": words.name("metric", decider),
        "score": at("scores", decider, "value"),
        "target": content.target,
    }
    if not compared or at("comparisons", 0, "difference", "value").value is None:
        return words("headline.alone", **values)
    first = compared[0]
    values |= {
        "baseline": words.name("baseline", first["baseline"]),
        "other": at("baselines", first["baseline"], decider, "value"),
    }
    better = at("comparisons", 0, "difference", "value").value or 0.0
    return words("headline." + ("beats" if first["beats"] else "unsure" if better > 0 else "loses"), **values)


def facts(content: Content, words: Words) -> list[tuple[str, object]]:
    """Return what was learned from what, by name."""
    data = content.manifest.get("data", {})
    rows = data.get("rows", {})
    started = content.last("TrainingStarted")
    found: list[tuple[str, object]] = [
        (words.plain("fact.task"), words.name("task", content.metrics.get("task", ""))),
        (words.plain("fact.target"), content.target),
        (words.plain("fact.data"), data.get("source", "")),
        (
            words.plain("fact.rows"),
            " / ".join(f"{rows[role]:,}" for role in ("train", "validation", "test") if role in rows),
        ),
        (words.plain("fact.model"), architecture(content)),
        (words.plain("fact.parameters"), f"{started['parameters']:,}" if "parameters" in started else ""),
        (words.plain("fact.created"), str(content.manifest.get("created", ""))[:16].replace("T", " ")),
    ]
    return [(name, value) for name, value in found if value != ""]


def architecture(content: Content) -> str:
    """Return the architectures of the inputs; of a network that only joins its inputs, `mlp`."""
    model = content.config.get("model") or {}
    if not isinstance(model, dict):
        return str(model)
    named = [part.get("architecture") for part in model.values() if isinstance(part, dict)]
    return ", ".join(dict.fromkeys(str(name) for name in named if name)) or "mlp"


def told(worry: Worry, words: Words) -> Markup:
    return words(f"worry.{worry.key}", **localised(worry, words))


def localised(worry: Worry, words: Words) -> dict[str, Any]:
    """Return the values of a worry, its metric and baseline by their names in the language."""
    names = {kind: words.name(kind, worry.values[kind]) for kind in ("metric", "baseline") if kind in worry.values}
    return worry.values | names


def unexamined(content: Content) -> list[str]:
    """Return the checks that this run has no results of, so that silence is not taken for health."""
    missing = [name for name in BLOCKS if not content.metrics.get(name)]
    missing += ["audit"] * (not content.audit) + ["explanations"] * (not content.explanations)
    return missing
