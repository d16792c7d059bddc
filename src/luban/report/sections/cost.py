"""What the run cost: time, memory, energy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luban.report.charts import draw
from luban.report.content import Content
from luban.report.figures import EACH, Figure
from luban.report.language.words import Words


def build(content: Content, words: Words) -> dict[str, Any] | None:
    at = content.facts
    seconds = content.manifest.get("seconds") or {}
    if not seconds:
        return None
    stages = [(words.name("stage", name), timed(at("seconds", name))) for name in seconds]
    energy = content.manifest.get("energy_estimate")
    estimated = content.told(content.last("PreflightDone"))("estimate", "memory_bytes")
    return {
        "total": total(content),
        "chart": draw.amounts(
            words.plain("chart.stages"),
            stages,
            words.plain("axis.seconds"),
            (words.plain("column.stage"), words.plain("column.time")),
        ),
        "hardware": content.manifest.get("hardware", {}),
        "machine": [at.text("hardware", name) for name in ("processor", "gpu") if at.entry("hardware", name)],
        "threads": at("hardware", "threads"),
        "cores": at("hardware", "cores"),
        "memory": [
            (words(f"cost.{name}"), sized(figure))
            for name, figure in (
                ("peak_memory", at("peak_memory_bytes")),
                ("peak_gpu_memory", at("peak_gpu_memory_bytes")),
                ("estimated_memory", estimated),
                ("weights", weights(content)),
            )
            if figure.value
        ],
        "energy": watt_hours(at("energy_estimate", "watt_hours")) if energy else None,
        "assumption": words(
            "energy.gpu" if (energy or {}).get("watts_of_gpu") else "energy.cpu",
            watts=at("energy_estimate", "watts_per_core"),
            gpu=at("energy_estimate", "watts_of_gpu"),
            cores=at("energy_estimate", "cores"),
        ),
    }


def total(content: Content) -> Figure:
    """Return the time of all stages together."""
    found = sum(float(seconds) for seconds in (content.manifest.get("seconds") or {}).values())
    return timed(Figure(content.facts.source("seconds", EACH), round(found, 3), derived="sum"))


def weights(content: Content) -> Figure:
    """Return the size of the weights on the disk."""
    path = content.directory / "model.safetensors"
    return Figure(path.name, path.stat().st_size if path.is_file() else None, derived="bytes")


def timed(figure: Figure) -> Figure:
    return figure if figure.value is None else replace(figure, text=duration(figure.value))


def sized(figure: Figure) -> Figure:
    return figure if figure.value is None else replace(figure, text=size(figure.value))


def watt_hours(figure: Figure) -> Figure:
    hours = figure.value or 0.0
    text = f"{hours / 1000:.2f} kWh" if hours >= 1000 else f"{hours:.2g} Wh" if hours < 10 else f"{hours:.0f} Wh"
    return replace(figure, text=text)


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"


def size(count: float) -> str:
    return (
        f"{count / 1e9:.1f} GB"
        if count >= 1e9
        else f"{count / 1e6:.1f} MB"
        if count >= 1e5
        else f"{count / 1e3:.0f} kB"
    )
