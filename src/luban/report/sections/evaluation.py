"""The evaluation: every score beside the baselines, and the pictures that a number cannot replace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from luban.report.charts import draw
from luban.report.charts.plot import Chart
from luban.report.content import Content
from luban.report.words import Words

CLOUD = 800  # points of a scatter
NONE = "–"  # of a label that is missed, or falsely said


def build(content: Content, words: Words) -> dict[str, Any]:
    at, metrics = content.figures, content.metrics
    names = list(metrics.get("baselines", {}))
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
            for draw_one in (reliability, threshold, confusion, learning_curve, *(cloud, residuals))
            if (chart := draw_one(content, words)) is not None
        ],
        "calibration": metrics.get("calibration"),
        "ece": at.interval("calibration", "ece"),
        "ece_before": at.interval("calibration", "ece_uncalibrated"),
        "temperature": at("calibration", "temperature"),
        "threshold": metrics.get("threshold"),
        "threshold_text": threshold_text(metrics.get("threshold") or {}),
        "chosen": at("threshold", "threshold"),
        "at_threshold": [
            (
                words.name("metric", name),
                at.interval("threshold", "scores", name),
                at.interval("threshold", "default_scores", name),
            )
            for name in (metrics.get("threshold") or {}).get("scores", {})
        ],
        "conformal": metrics.get("conformal"),
        "coverage": at.interval("conformal", "coverage"),
        "level": at("conformal", "level"),
        "mean_size": at("conformal", "mean_size"),
        "half_width": at("conformal", "half_width"),
        "confusions": [
            (
                item["actual"] or NONE,
                item["predicted"] or NONE,
                at("confusions", index, "rows"),
                at("confusions", index, "share"),
            )
            for index, item in enumerate(metrics.get("confusions") or [])
        ],
        "learning_verdict": (metrics.get("learning_curve") or {}).get("verdict"),
    }


def threshold_text(found: dict[str, Any]) -> str:
    """Return the name of the sentence that says whether predictions use the threshold."""
    if not found.get("used"):
        return "threshold_suggested"
    return "threshold_labels" if found.get("labels") else "threshold_text"


def reliability(content: Content, words: Words) -> Chart | None:
    bins = (content.metrics.get("calibration") or {}).get("bins", [])
    at = content.figures
    found = [
        tuple(at("calibration", "bins", index, name) for name in ("confidence", "accuracy", "rows"))
        for index in range(len(bins))
    ]
    labels = (words.plain("axis.confidence"), words.plain("axis.accuracy"), words.plain("rows"))
    return draw.reliability(words.plain("chart.reliability"), found, *labels) if found else None  # type: ignore[arg-type]


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
    return draw.curves(words.plain("chart.threshold"), lines, words.plain("axis.threshold"), "", mark=mark)


def confusion(content: Content, words: Words) -> Chart | None:
    labels, counts = content.metrics.get("labels") or [], content.metrics.get("confusion")
    if not labels or not counts:
        return None
    names = [str(label) for label in labels]
    return draw.matrix(words.plain("chart.confusion"), names, counts, words.plain("actual"), words.plain("predicted"))


def learning_curve(content: Content, words: Words) -> Chart | None:
    found = content.metrics.get("learning_curve")
    if not found or not found.get("points"):
        return None
    metric = words.name("metric", found["metric"])
    points = [(float(p["rows"]), float(p["score"])) for p in found["points"] if p.get("score") is not None]
    title = words.plain("chart.learning_curve")
    return draw.curves(title, [(metric, points)], words.plain("axis.training_rows"), metric, dots=True)


def cloud(content: Content, words: Words) -> Chart | None:
    pairs = pairs_of(content)
    if pairs is None:
        return None
    labels = words.plain("actual"), words.plain("predicted")
    return draw.scatter(words.plain("chart.scatter"), pairs, *labels, diagonal=True)


def residuals(content: Content, words: Words) -> Chart | None:
    pairs = pairs_of(content)
    if pairs is None:
        return None
    points = [(predicted, actual - predicted) for actual, predicted in pairs]
    labels = words.plain("predicted"), words.plain("axis.residual")
    return draw.scatter(words.plain("chart.residuals"), points, *labels, diagonal=False)


def pairs_of(content: Content) -> list[tuple[float, float]] | None:
    """Return actual and predicted values of an even draw of test rows, where the target is a number."""
    if content.metrics.get("task") != "regression":
        return None
    frame, target = content.predictions(), content.target
    columns = (f"actual_{target}", f"predicted_{target}")
    if frame is None or not set(columns) <= set(frame.columns):
        return None
    rows = np.unique(np.linspace(0, max(0, frame.height - 1), min(CLOUD, frame.height)).astype(int))
    numbers = frame.select(pl.col(columns[0], columns[1]).cast(pl.Float64, strict=False))[rows].drop_nulls()
    return [(x, y) for x, y in numbers.rows() if math.isfinite(x) and math.isfinite(y)]
