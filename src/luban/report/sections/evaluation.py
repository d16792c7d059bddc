"""The evaluation: every score beside the baselines, and the pictures that a number cannot replace."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from luban.core import artifact
from luban.core.answers import AnswerKind
from luban.report.charts import draw
from luban.report.charts.plot import Chart
from luban.report.content import Content
from luban.report.figures import EACH, Quote, pointer
from luban.report.language.sentences import told
from luban.report.language.words import Words

CLOUD = 800  # points of a scatter


def build(content: Content, words: Words) -> dict[str, Any]:
    at, metrics = content.figures, content.metrics
    names = list(metrics.get("baselines", {}))
    conformal = metrics.get("conformal")
    return {
        "rows": at("rows"),
        "baselines": [words.name("baseline", name) for name in names],
        "scores": [
            (
                words.name("metric", metric),
                at.interval("scores", metric),
                [at.interval("baselines", name, metric) for name in names],
            )
            for metric in metrics["scores"]
        ],
        "charts": [
            chart
            for draw_one in (forecast, steps, reliability, threshold, confusion, learning_curve, cloud, residuals)
            if (chart := draw_one(content, words)) is not None
        ],
        "calibration": calibrated(content, words) if metrics.get("calibration") else None,
        "threshold": said(content, words) if metrics.get("threshold") else None,
        "at_threshold": [
            (
                words.name("metric", name),
                at.interval("threshold", "scores", name),
                at.interval("threshold", "default_scores", name),
            )
            for name in (metrics.get("threshold") or {}).get("scores", {})
        ],
        "default": at("threshold", "default"),
        "conformal": promised(content, words) if conformal else None,
        "counted": words("words_of_rows" if content.answer == AnswerKind.TAGS else "rows"),
        "confusions": [
            (
                labelled(content, words, index, "actual"),
                labelled(content, words, index, "predicted"),
                at("confusions", index, "rows"),
                at("confusions", index, "share").percent,
            )
            for index in range(len(metrics.get("confusions") or []))
        ],
        "protocol": told(at.text("forecast", "protocol"), words),
        "forecasters": [
            told(at.text("forecasters", "sentences", index), words)
            for index in range(len((metrics.get("forecasters") or {}).get("sentences") or ()))
        ],
        "variables": by_variable(content, words),
        "learning_verdict": told(at.text("learning_curve", "verdict"), words),
    }


def labelled(content: Content, words: Words, index: int, which: str) -> Quote | str:
    """Return a label that was taken for another, or the words for none: of a label that is missed, or falsely said."""
    found = content.figures.text("confusions", index, which)
    return found if found.text else words("no_label")


def calibrated(content: Content, words: Words) -> Markup:
    at = content.figures
    ece, temperature = at.interval("calibration", "ece"), at("calibration", "temperature")
    if temperature.value in (None, 1.0):
        return words("uncalibrated", ece=ece)
    before = at.interval("calibration", "ece_uncalibrated")
    return words("calibrated", ece=ece, before=before, temperature=temperature)


def said(content: Content, words: Words) -> Markup:
    """Say from which probability on a label is given, or would best be, and what for."""
    at = content.figures
    goal = at.text("threshold", "goal")
    named = replace(goal, text=goal_name(goal.text, words))
    found = content.metrics["threshold"]
    key = "threshold_labels" if found.get("labels") else "threshold_text"
    if not found.get("used"):
        key = "threshold_suggested"
    return words(key, label=at.text("threshold", "label"), goal=named, threshold=at("threshold", "threshold"))


def goal_name(goal: str, words: Words) -> str:
    """Return a goal in the language of the page, `recall ≥ 0.95`; a cost is written as it was stated."""
    metric, at_least, least = goal.replace(" ", "").partition(">=")
    named = words.name("metric", metric) if words.has(f"metric.{metric}") else metric
    return f"{named} ≥ {least}" if at_least else named


def promised(content: Content, words: Words) -> Markup:
    """Say what prediction sets, or intervals around a number, promise and hold."""
    at = content.figures
    values = {"level": at("conformal", "level").percent, "coverage": at.interval("conformal", "coverage").percent}
    if at("conformal", "half_width").value is not None:
        return words("conformal_interval", width=at("conformal", "half_width"), **values)
    told = words("conformal_text", **values)
    if at("conformal", "mean_size").value is None:
        return told
    return words("both", first=told, second=words("conformal_size", size=at("conformal", "mean_size")))


def by_variable(content: Content, words: Words) -> tuple[list[str], list[tuple[Any, ...]]] | None:
    """Return the head and the lines of a table of scores, a line a variable of a forecast."""
    found = (content.metrics.get("forecast") or {}).get("variables") or {}
    if not found:
        return None
    names = [name for name in content.metrics["scores"] if all(name in scores for scores in found.values())]
    head = [words.plain("variable"), *(words.name("metric", name) for name in names)]
    at = partial(content.figures.interval, "forecast", "variables")
    return head, [(variable, *(at(variable, name) for name in names)) for variable in found]


def forecast(content: Content, words: Words) -> Chart | None:
    """Draw the middle one of the test rows' forecasts of the first variable: what came, the mean, the outermost
    quantiles."""
    if content.answer != AnswerKind.FORECAST or (frame := content.predictions()) is None or not frame.height:
        return None
    target = str(content.state["columns"][0])
    ends = [name for name in frame.columns if name.startswith(f"predicted_{target}_q")]
    columns = {f"actual_{target}": words.plain("actual"), f"predicted_{target}": words.plain("predicted")}
    for name in (ends[0], ends[-1]) if len(ends) > 1 else ():
        columns[name] = words.plain("interval_end", level=name.rpartition("_q")[2])
    if not set(columns) <= set(frame.columns):
        return None
    row = frame.row(frame.height // 2, named=True)
    lines = [(label, list(enumerate(map(float, row[name]), 1))) for name, label in columns.items()]
    source = " ".join(pointer(artifact.PREDICTIONS, column) for column in columns)
    title = words.plain("chart.forecast", target=target)
    return draw.curves(title, lines, words.plain("axis.ahead"), target, source=source)


def steps(content: Content, words: Words) -> Chart | None:
    """Draw how the squared error grows with the steps ahead, beside the baselines'."""
    found = (content.metrics.get("forecast") or {}).get("steps") or []
    if len(found) < 2:
        return None
    names = [name for name in found[0] if name != "step"]
    labels = {"model": words.plain("model")} | {name: words.name("baseline", name) for name in names[1:]}
    lines = [(labels[name], [(float(item["step"]), float(item[name])) for item in found]) for name in names]
    source = " ".join(content.figures.source("forecast", "steps", EACH, name) for name in ("step", *names))
    metric = words.name("metric", "mse")
    return draw.curves(
        words.plain("chart.steps", metric=metric), lines, words.plain("axis.ahead"), metric, source=source
    )


def reliability(content: Content, words: Words) -> Chart | None:
    bins = (content.metrics.get("calibration") or {}).get("bins", [])
    at = content.figures
    found = [
        (place("confidence"), place("accuracy"), place("rows"))
        for place in (partial(at, "calibration", "bins", index) for index in range(len(bins)))
    ]
    labels = (words.plain("axis.confidence"), words.plain("axis.accuracy"), words.plain("rows"))
    source = " ".join(at.source("calibration", "bins", EACH, name) for name in ("confidence", "accuracy", "rows"))
    return draw.reliability(words.plain("chart.reliability"), found, *labels, source) if found else None


def threshold(content: Content, words: Words) -> Chart | None:
    curve = (content.metrics.get("threshold") or {}).get("curve", [])
    if not curve:
        return None
    lines = [
        (
            words.name("metric", name),
            [(float(p["threshold"]), float(p[name])) for p in curve if isinstance(p.get(name), (int, float))],
        )
        for name in ("precision", "recall", "f1")
    ]
    chosen = content.figures("threshold", "threshold").value
    mark = (chosen, words.plain("axis.chosen")) if chosen is not None else None
    fields = ("threshold", "precision", "recall", "f1")
    source = " ".join(content.figures.source("threshold", "curve", EACH, name) for name in fields)
    return draw.curves(
        words.plain("chart.threshold"), lines, words.plain("axis.threshold"), "", mark=mark, source=source
    )


def confusion(content: Content, words: Words) -> Chart | None:
    labels, counts = content.metrics.get("labels") or [], content.metrics.get("confusion")
    if not labels or not counts:
        return None
    names = [str(label) for label in labels]
    source = f"{content.figures.source('labels')} {content.figures.source('confusion')}"
    axes = words.plain("actual"), words.plain("predicted")
    return draw.matrix(words.plain("chart.confusion"), names, counts, *axes, words.plain("rows"), source)


def learning_curve(content: Content, words: Words) -> Chart | None:
    found = content.metrics.get("learning_curve")
    if not found or not found.get("points"):
        return None
    metric = words.name("metric", found["metric"])
    points = [(float(p["rows"]), float(p["score"])) for p in found["points"] if p.get("score") is not None]
    title = words.plain("chart.learning_curve")
    source = " ".join(content.figures.source("learning_curve", "points", EACH, name) for name in ("rows", "score"))
    return draw.curves(title, [(metric, points)], words.plain("axis.training_rows"), metric, dots=True, source=source)


def cloud(content: Content, words: Words) -> Chart | None:
    pairs = pairs_of(content)
    if pairs is None:
        return None
    labels = words.plain("actual"), words.plain("predicted")
    return draw.scatter(words.plain("chart.scatter"), pairs, *labels, diagonal=True, source=predicted(content))


def residuals(content: Content, words: Words) -> Chart | None:
    pairs = pairs_of(content)
    if pairs is None:
        return None
    points = [(predicted, actual - predicted) for actual, predicted in pairs]
    labels = words.plain("predicted"), words.plain("axis.residual")
    return draw.scatter(
        words.plain("chart.residuals"),
        points,
        *labels,
        diagonal=False,
        source=predicted(content),
        derived="difference",
    )


def predicted(content: Content) -> str:
    """Return the columns of the predictions that a cloud is drawn from."""
    columns = f"actual_{content.target}", f"predicted_{content.target}"
    return " ".join(pointer(artifact.PREDICTIONS, column) for column in columns)


def pairs_of(content: Content) -> list[tuple[float, float]] | None:
    """Return actual and predicted values of an even draw of test rows, where the target is a number."""
    if content.answer != AnswerKind.NUMBER:
        return None
    frame, target = content.predictions(), content.target
    columns = (f"actual_{target}", f"predicted_{target}")
    if frame is None or not set(columns) <= set(frame.columns):
        return None
    rows = np.unique(np.linspace(0, max(0, frame.height - 1), min(CLOUD, frame.height)).astype(int))
    numbers = frame.select(pl.col(columns[0], columns[1]).cast(pl.Float64, strict=False))[rows].drop_nulls()
    return [(x, y) for x, y in numbers.rows() if math.isfinite(x) and math.isfinite(y)]
