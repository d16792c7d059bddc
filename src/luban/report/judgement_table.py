"""The judgement of a model in a few lines of a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from luban.audit.subject import counted
from luban.core.answers import AnswerKind
from luban.evaluation.scores.intervals import shown
from luban.report.language.slices import slice_name
from luban.report.language.words import words
from luban.tasks import answer_named

FEW_ROWS = 30  # below which resampling them again shows less than how far the scores may be off
Lines = list[tuple[str, str]]
LARGE_DROP = 0.05  # of the deciding metric, which is a share where it is not in the unit of the target


def told_of_each(evaluation: dict[str, Any], told: Callable[[dict[str, Any]], Lines]) -> Lines:
    """Return the lines of an evaluation, or those of each of several targets, which they name."""
    targets = evaluation.get("targets")
    if not targets:
        return told(evaluation)
    return [(label, f"{name}: {text}") for name, found in targets.items() for label, text in told(found)]


def judgement_lines(evaluation: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a label and a sentence for each part of a judgement."""
    lines = short_lines(evaluation)
    if found := evaluation.get("threshold"):
        usual, chosen = found["default_scores"], found["scores"]
        scores = ", ".join(f"{name} {_number(chosen[name])} ({_number(usual[name])} at 0.5)" for name in TOLD)
        how = "" if found.get("used") else f"{found['sentence']}: "
        lines.append(("threshold", how + scores))
    if found := evaluation.get("conformal"):
        lines.append(("sets", found["sentence"]))
    for gap in (evaluation.get("fairness") or {"gaps": []})["gaps"]:
        ends = f"{gap['gap']['low']:.3f} to {gap['gap']['high']:.3f}"
        name = words("en").name("metric", gap["rate"])
        lines.append(
            ("gap", f"{name}: {gap['gap']['value']:.3f} [{ends}] from {gap['between'][0]} to {gap['between'][1]}")
        )
    return lines


TOLD = ("precision", "recall", "f1")


def short_lines(evaluation: dict[str, Any]) -> list[tuple[str, str]]:
    """Return six lines at most: that rows are few, the threshold that predictions use, calibration, the worst slice,
    the commonest confusion, the largest loss."""
    lines = []
    decider = (evaluation.get("scores") or {}).get(evaluation.get("decider"), {})
    if decider.get("value") is not None and decider.get("low", 0.0) is None:
        lines.append(("few rows", "the test rows are of so few groups or stretches that no interval can be told"))
    elif 0 < (rows := evaluation.get("rows", 0)) < FEW_ROWS:
        text = f"scores of {counted(rows, 'test row')} say little: their intervals are wide"
        lines.append(("few rows", text))
    if (found := evaluation.get("threshold")) and found.get("used"):
        lines.append(("threshold", found["sentence"]))
    if found := evaluation.get("calibration"):
        temperature = found["temperature"]
        how = (
            ""
            if temperature == 1
            else f" (at temperature {temperature:.2f}; {_number(found['ece_uncalibrated'])} without)"
        )
        lines.append(("calibration", f"probabilities are off by {_number(found['ece'])} on average{how}"))
    worse = [item for item in (evaluation.get("slices") or {"found": []})["found"] if item["worse"]]
    if worse:
        first, metric = worse[0], evaluation["slices"]["metric"]
        overall = evaluation["slices"]["overall"]
        where = slice_name(first, words("en"))
        text = f"{metric.replace('_', ' ')} {_number(first['score'])} where {where} ({counted(first['rows'])})"
        lines.append(("worst slice", f"{text}, {readable(overall)} on all"))
    if confusions := evaluation.get("confusions"):
        first = confusions[0]
        noun = "word" if answer_named(evaluation.get("task")) == AnswerKind.TAGS else "row"
        lines.append(("confusion", f"{_confused(first)} in {counted(first['rows'], noun)}, {_share(first)}"))
    losses = evaluation.get("robustness") or []
    if losses and losses[0]["score"]["value"] is not None and abs(losses[0]["difference"]) >= _large(evaluation):
        first = losses[0]
        text = f"{first['corruption']} in '{first['column']}' changes {evaluation['decider'].replace('_', ' ')}"
        lines.append(
            ("robustness", f"{text} by {'+' if first['difference'] > 0 else ''}{readable(first['difference'])}")
        )
    return lines


def _large(evaluation: dict[str, Any]) -> float:
    """Return from which difference on a corruption is told: of numbers, whose unit may be any, a share of the score."""
    if answer_named(evaluation.get("task")) != AnswerKind.NUMBER:
        return LARGE_DROP
    return LARGE_DROP * abs(float(evaluation["scores"][evaluation["decider"]]["value"] or 0))


def _number(score: dict[str, float | None]) -> str:
    return "-" if score["value"] is None else readable(score["value"])


def readable(value: float) -> str:
    """Return three decimals, or fewer where the number is large."""
    return f"{value:.3f}" if abs(value) < 10 else shown(value)


def _confused(confusion: dict[str, Any]) -> str:
    actual, predicted = confusion["actual"], confusion["predicted"]
    if predicted is None:
        return f"'{actual}' is missed"
    return f"'{predicted}' is falsely said" if actual is None else f"'{actual}' is taken for '{predicted}'"


def _share(confusion: dict[str, Any]) -> str:
    return f"{confusion['share']:.0%} of {'its own' if confusion['actual'] is not None else 'those it is said of'}"
