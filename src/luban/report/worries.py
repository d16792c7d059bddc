"""What to worry about in a run: explicit rules over its files, the gravest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from luban.core import artifact
from luban.report.content import Content
from luban.report.figures import EACH, Figure, pointer

FEW_ROWS = 200  # test rows, below which intervals are wide
HIGH_ECE = 0.05  # calibration error that the whole interval has to exceed
DROP = 0.1  # share of the score that a small corruption may take
GAP = 0.1  # between the rates of two groups
RISE = 1.2  # of the validation loss after its least value
SIGNIFICANT = 0.05
NAMED = {"check": "name", "found": "found"}  # what a worry calls the entries of a check


@dataclass(frozen=True)
class Worry:
    """key: of its text, `worry.KEY`. gravity: 0 to 100. values: what stands in the text, figures among them."""

    key: str
    gravity: int
    values: dict[str, Any] = field(default_factory=dict)


def worries(content: Content) -> list[Worry]:
    """Return everything that a rule finds, the gravest first."""
    found = [worry for rule in RULES for worry in rule(content)]
    return sorted(found, key=lambda worry: -worry.gravity)


def audited(content: Content) -> list[Worry]:
    gravity = {"error": 100, "warning": 60}
    return [
        Worry(
            "audit" if item.get("column") else "audit_rows",
            gravity[item["severity"]],
            {
                "column": content.audited.text("findings", index, "column"),
                "message": content.audited.text("findings", index, "message"),
            },
        )
        for index, item in enumerate(content.audit.get("findings", []))
        if item.get("severity") in gravity
    ]


def unbeaten(content: Content) -> list[Worry]:
    at = content.figures
    return [
        Worry(
            "baseline_unsure" if is_ahead(index, content) else "baseline",
            70 if is_ahead(index, content) else 90,
            {
                "baseline": item["baseline"],
                "metric": item["metric"],
                "score": at("scores", item["metric"], "value"),
                "other": at("baselines", item["baseline"], item["metric"], "value"),
            },
        )
        for index, item in enumerate(content.metrics.get("comparisons", [])[:1])
        if not item["beats"]
    ]


def is_ahead(index: int, content: Content) -> bool:
    """Tell whether the model's score is the better one, be it by chance."""
    return (content.figures("comparisons", index, "difference", "value").value or 0.0) > 0


def few_rows(content: Content) -> list[Worry]:
    rows = content.metrics["rows"]
    return [Worry("few_rows", 80 if rows < FEW_ROWS / 2 else 50, {"rows": content.figures("rows")})] * (rows < FEW_ROWS)


def uncalibrated(content: Content) -> list[Worry]:
    ece = content.figures.interval("calibration", "ece")
    return [Worry("calibration", 55, {"ece": ece})] * ((ece.low.value or 0) > HIGH_ECE)


def uncovered(content: Content) -> list[Worry]:
    found = content.metrics.get("conformal")
    if not found or found.get("holds", True):
        return []
    at = content.figures
    values = {"coverage": at.interval("conformal", "coverage").percent, "level": at("conformal", "level").percent}
    return [Worry("conformal", 55, values)]


def worst_slice(content: Content) -> list[Worry]:
    found = (content.metrics.get("slices") or {}).get("found", [])
    for index, item in enumerate(found):
        if item.get("worse") and (item.get("p_adjusted") is None or item["p_adjusted"] < SIGNIFICANT):
            at = content.figures
            values = {
                "slice": item,
                "source": at.source("slices", "found", index),
                "score": at.interval("slices", "found", index, "score"),
                "overall": at("slices", "overall"),
                "rows": at("slices", "found", index, "rows"),
            }
            return [Worry("slice", 65, values)]
    return []


def fragile(content: Content) -> list[Worry]:
    found = content.metrics.get("robustness") or []
    overall = content.figures("scores", content.decider, "value").value or 0.0
    drops = [(abs(item.get("difference") or 0.0), index) for index, item in enumerate(found)]
    drop, index = max(drops, default=(0.0, 0))
    if not overall or drop <= DROP * abs(overall):
        return []
    item, at = found[index], content.figures
    score = at.interval("robustness", index, "score")
    values = {
        "corruption": item["corruption"],
        "column": at.text("robustness", index, "column"),
        "score": score,
        "metric": content.decider,
        "usual": at("scores", content.decider, "value"),
    }
    return [Worry("robustness", 50, values)]


def overfitted(content: Content) -> list[Worry]:
    losses = [
        (record["scores"]["log_loss"], record["step"], record)
        for record in content.all_of("Validated")
        if isinstance(record.get("scores", {}).get("log_loss"), (int, float))
    ]
    if len(losses) < 2:
        return []
    least, _, record = min(losses, key=lambda loss: loss[:2])
    several = len({record["epoch"] for *_, record in losses}) < len(losses)  # of one epoch
    name, by = ("overfitting_step", "step") if several else ("overfitting", "epoch")
    return [Worry(name, 45, {by: content.told(record)(by)})] * (losses[-1][0] > RISE * least)


def unexplained(content: Content) -> list[Worry]:
    checks = [row["check"] for row in content.explanations.get("rows", []) if row.get("check")]
    failed = sum(not check.get("passes", True) for check in checks)
    rows = content.explained
    values = {
        "failed": Figure(rows.source("rows", EACH, "check", "passes"), failed, derived="failed"),
        "all": rows.count("rows"),
    }
    return [Worry("explanations", 40, values)] * (failed > 0)


def unfair(content: Content) -> list[Worry]:
    found = content.metrics.get("fairness") or {}
    for index, item in enumerate(found.get("gaps", [])):
        gap = content.figures.interval("fairness", "gaps", index, "gap")
        if (gap.low.value or 0) > GAP:
            values = {
                "rate": item["rate"],
                "column": content.figures.text("fairness", "column"),
                "gap": gap,
                "groups": item["between"],
                "source": content.figures.source("fairness", "gaps", index, "between"),
            }
            return [Worry("fairness", 60, values)]
    return []


def unstable(content: Content) -> list[Worry]:
    found = content.all_of("Diverged")
    times = Figure(pointer(artifact.HISTORY, "Diverged"), len(found), derived="count")
    return [Worry("diverged", 50, {"times": times})] * bool(found)


def unsound(content: Content) -> list[Worry]:
    event = content.last("PreflightDone")
    at = content.told(event)
    return [
        Worry("preflight", 45, {name: at.text("checks", index, key) for name, key in NAMED.items()})
        for index, check in enumerate(event.get("checks", []))
        if check["status"] != "passed"
    ]


RULES: tuple[Callable[[Content], list[Worry]], ...] = (
    audited,
    unbeaten,
    few_rows,
    uncalibrated,
    uncovered,
    worst_slice,
    fragile,
    overfitted,
    unexplained,
    unfair,
    unstable,
    unsound,
)
