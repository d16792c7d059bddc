"""The training: loss, learning rate, gradient norm, throughput, validation scores."""

from __future__ import annotations

from typing import Any

from luban.report.charts import draw
from luban.report.charts.plot import Chart
from luban.report.content import Content
from luban.report.words import Words

CURVES = ("loss", "learning_rate", "grad_norm", "rows_per_second")


def build(content: Content, words: Words) -> dict[str, Any] | None:
    validated = content.all_of("Validated")
    if not content.steps and not validated:
        return None
    step, ended = words.plain("axis.step"), content.last("TrainingEnded")
    charts: list[Chart] = []
    best = next((item for item in reversed(validated) if item.get("is_best")), None)
    mark = (float(best["step"]), words.plain("axis.best")) if best else None
    for name in CURVES if content.steps else ():
        label = words.plain(f"axis.{name}")
        points = [(float(item.step), float(getattr(item, name))) for item in content.steps]
        charts.append(draw.curves(label, [(label, points)], step, label, mark=mark if name == "loss" else None))
    for metric in validated[0]["scores"] if validated else ():
        label = words.plain("axis.validation", metric=words.name("metric", metric))
        points = [
            (float(item["epoch"]), float(item["scores"][metric]))
            for item in validated
            if isinstance(item["scores"].get(metric), (int, float))
        ]
        if len(points) > 1:
            charts.append(draw.curves(label, [(label, points)], words.plain("axis.epoch"), label, dots=True))
    return {
        "charts": charts,
        "reason": ended.get("reason", ""),
        "epoch": ended.get("best_epoch"),
        "warnings": [note["text"] for note in content.all_of("Noted") if note.get("is_warning")],
        "diverged": content.all_of("Diverged"),
    }
