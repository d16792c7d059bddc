"""The verdict: task, data, the deciding score against the baselines, and what to worry about."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from luban.core.answers import AnswerKind
from luban.data.split.config import ROLES
from luban.report.charts import draw
from luban.report.content import Content
from luban.report.figures import Quote
from luban.report.language.sentences import told as translated
from luban.report.language.slices import between, slice_name
from luban.report.language.words import Words
from luban.report.worries import Worry, worries

MAX_WORRIES = 3
BLOCKS = ("calibration", "slices", "robustness", "conformal")
# Blocks that a kind of answer has no results of.
NOT_OF: dict[AnswerKind | None, tuple[str, ...]] = {
    AnswerKind.NUMBER: ("calibration",),
    AnswerKind.TAGS: ("calibration", "conformal"),
}
SENTENCES = ("message", "found", "check")  # values of worries that are English in the run's files


def build(content: Content, words: Words) -> dict[str, Any]:
    at, decider = content.figures, content.decider
    metric = words.name("metric", decider)
    found = told_of_all(content, words)
    lower = content.is_lower_better(decider)
    return {
        "headline": headline(content, words),
        "beats": bool(content.metrics.get("verdict", {}).get("beats_baselines")),
        "facts": facts(content, words),
        "metric": metric,
        "score": at.interval("scores", decider),
        "score_of": words("score_of_lower" if lower else "score_of", metric=metric),
        "parts": [headline(part, words) for part in content.parts],
        "worries": found[:MAX_WORRIES],
        "more": len(found) > MAX_WORRIES,
        "unexamined": [words.name("block", name) for name in unexamined(content)],
        "chart": draw.intervals(
            words.plain("chart.baselines", metric=metric),
            [
                (words.plain("model"), at.interval("scores", decider)),
                *(
                    (words.name("baseline", name), at.interval("baselines", name, decider))
                    for name in content.metrics.get("baselines", {})
                ),
                *((part.target, at.interval("scores", f"{decider}/{part.target}")) for part in content.parts),
            ],
            words.plain("axis.lower", metric=metric) if lower else metric,
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
        "target": target(content),
    }
    if content.parts:
        return words("headline.several", **values)
    if not compared or at("comparisons", 0, "difference", "value").value is None:
        return words("headline.alone", **values)
    first = compared[0]
    values |= {
        "baseline": words.name("baseline", first["baseline"]),
        "other": at("baselines", first["baseline"], decider, "value"),
    }
    better = at("comparisons", 0, "difference", "value").value or 0.0
    return words("headline." + ("beats" if first["beats"] else "unsure" if better > 0 else "loses"), **values)


def target(content: Content) -> object:
    """Return the name of the target, where it says so itself."""
    named = content.settings.text("data", "target")
    return named if named.text == content.target else content.target


def facts(content: Content, words: Words) -> list[tuple[str, object]]:
    """Return what was learned from what, by name."""
    at, started = content.facts, content.told(content.last("TrainingStarted"))
    rows = [at("data", "rows", role) for role in ROLES if at.entry("data", "rows", role)]
    found: list[tuple[str, object]] = [
        (words.plain("fact.task"), words.name("task", content.metrics.get("task", ""))),
        (words.plain("fact.target"), target(content)),
        (words.plain("fact.data"), at.text("data", "source")),
        (words.plain("fact.rows"), Markup(" / ").join(rows)),
        (words.plain("fact.model"), model_of(content)),
        (words.plain("fact.parameters"), started("parameters")),
        (words.plain("fact.created"), made(content)),
    ]
    return [(name, value) for name, value in found if str(value) not in ("", "–")]


def made(content: Content) -> Markup:
    """Return the time of the run to the minute."""
    source = content.facts.source("created")
    return Markup('<time data-source="{}">{}</time>').format(source, created(content)) if created(content) else Markup()


def created(content: Content) -> str:
    return str(content.manifest.get("created", ""))[:16].replace("T", " ")


def architecture(content: Content) -> str:
    """Return the architectures of the inputs, or their pretrained models; of a network that only joins its inputs, or
    the pixels of images, by hidden layers, `mlp`. `--model` takes what is returned."""
    model = content.config.get("model") or {}
    if not isinstance(model, dict):
        return str(model)
    named = [
        part.get("checkpoint") or part.get("architecture") or "" for part in model.values() if isinstance(part, dict)
    ]
    if model.get("hidden"):
        named = ["mlp" if name == "flatten" else name for name in named]
    return ", ".join(dict.fromkeys(str(name).removeprefix("sample:") for name in named if name)) or "mlp"


def model_of(content: Content) -> Markup:
    return Markup('<span data-source="{}">{}</span>').format(content.settings.source("model"), architecture(content))


def told_of_all(content: Content, words: Words) -> list[tuple[Worry, Markup]]:
    """Return what there is to worry about, the gravest first, with the name of the target that it is about."""
    return [
        (worry, words("worry_of", target=name, text=told(worry, words)) if name else told(worry, words))
        for worry, name in worries_of_all(content)
    ]


def worries_of_all(content: Content) -> list[tuple[Worry, str]]:
    """Return what there is to worry about, the gravest first: of several targets also what is of one of them alone, and
    which."""
    found = [(worry, "") for worry in worries(content)]
    general = {worry.key for worry, _ in found}
    found += [(worry, part.target) for part in content.parts for worry in worries(part) if worry.key not in general]
    return sorted(found, key=lambda item: -item[0].gravity)


def told(worry: Worry, words: Words) -> Markup:
    return words(f"worry.{worry.key}", **localised(worry, words))


def localised(worry: Worry, words: Words) -> dict[str, Any]:
    """Return the values of a worry, its metric, baseline, rate, slice... by their names in the language."""
    kinds = {"metric": "metric", "baseline": "baseline", "rate": "metric", "corruption": "corruption"}
    names: dict[str, Any] = {
        key: words.name(kind, str(worry.values[key])) for key, kind in kinds.items() if key in worry.values
    }
    if "slice" in worry.values:
        names["name"] = Quote(worry.values["source"], slice_name(worry.values["slice"], words))
    if "groups" in worry.values:
        names["between"] = Quote(worry.values["source"], between(worry.values["groups"], words))
    sentences = {key: translated(worry.values[key], words) for key in SENTENCES if key in worry.values}
    return worry.values | names | sentences


def unexamined(content: Content) -> list[str]:
    """Return the checks that this run has no results of, so that silence is not taken for health."""
    if content.parts:
        return list(dict.fromkeys(name for part in content.parts for name in unexamined(part)))
    skipped = NOT_OF.get(content.answer, ())
    missing = [name for name in BLOCKS if not content.metrics.get(name) and name not in skipped]
    missing += ["audit"] * (not content.audit) + ["explanations"] * (not content.explanations)
    return missing
