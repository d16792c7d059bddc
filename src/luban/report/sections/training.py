"""The training: loss, learning rate, gradient norm, throughput, validation scores."""

from __future__ import annotations

from typing import Any

from luban.core import artifact
from luban.report.charts import draw
from luban.report.charts.plot import Chart
from luban.report.content import Content, Record
from luban.report.figures import pointer
from luban.report.language.sentences import told
from luban.report.language.words import Words

ELSEWHERE = ("audit", "report")  # stages whose warnings are no matter of the training
CURVES = {  # and the fields of the history that each is drawn from
    "loss": ("loss",),
    "learning_rate": ("learning_rate",),
    "grad_norm": ("grad_norm",),
    "rows_per_second": ("rows", "seconds"),
}


def build(content: Content, words: Words) -> dict[str, Any] | None:
    validated = content.all_of("Validated")
    if not content.steps and not validated:
        return None
    ended = content.last("TrainingEnded")
    best = next((item for item in reversed(validated) if item.get("is_best")), None)
    end = content.told(ended)
    warnings = [
        note for note in content.all_of("Noted") if note.get("is_warning") and note.get("stage") not in ELSEWHERE
    ]
    decided = [content.decider] if validated and content.decider in validated[0]["scores"] else []
    others = [metric for metric in (validated[0]["scores"] if validated else ()) if metric not in decided]
    return {
        "charts": [
            *steps(content, words, best),
            *(chart for metric in decided if (chart := validation(content, words, metric)) is not None),
        ],
        "others": [chart for metric in others if (chart := validation(content, words, metric)) is not None],
        "reason": told(end.text("reason"), words),
        "epoch": end("best_epoch"),
        "step": end("best_step"),
        "by_step": bool(ended) and ended.get("best_step") is not None,
        "warnings": [told(content.told(note).text("text"), words) for note in warnings],
        "diverged": [
            (content.told(item)("step"), told(content.told(item).text("action"), words))
            for item in content.all_of("Diverged")
        ],
    }


def steps(content: Content, words: Words, best: Record | None) -> list[Chart]:
    """Draw what was measured at each step. best: the validation whose weights were kept."""
    charts = []
    mark = (float(best["step"]), words.plain("axis.best")) if best else None
    for name, fields in CURVES.items() if content.steps else ():
        label = words.plain(f"axis.{name}")
        charts.append(
            draw.curves(
                label,
                [(label, [(float(item.step), float(getattr(item, name))) for item in content.steps])],
                words.plain("axis.step"),
                label,
                mark=mark if name == "loss" else None,
                source=history("StepDone", "step", *fields),
                derived="ratio" if len(fields) > 1 else "",
            )
        )
    return charts


def validation(content: Content, words: Words, metric: str) -> Chart | None:
    """Draw a score by epoch, or by step where an epoch has several; None where fewer than two are known."""
    validated = content.all_of("Validated")
    by = "epoch" if len({item["epoch"] for item in validated}) == len(validated) else "step"
    label = words.plain("axis.validation", metric=words.name("metric", metric))
    points = [
        (float(item[by]), float(item["scores"][metric]))
        for item in validated
        if isinstance(item["scores"].get(metric), (int, float))
    ]
    if len(points) < 2:
        return None
    source = f"{history('Validated', by)} {pointer(artifact.HISTORY, 'Validated', 'scores', metric)}"
    return draw.curves(label, [(label, points)], words.plain(f"axis.{by}"), label, dots=True, source=source)


def history(event: str, *fields: str) -> str:
    """Return the place of fields of all events of a name, `history.jsonl#/StepDone/loss`."""
    return " ".join(pointer(artifact.HISTORY, event, field) for field in fields)
