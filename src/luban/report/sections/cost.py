"""What the run cost: time, memory, energy."""

from __future__ import annotations

from typing import Any

from luban.report.charts import draw
from luban.report.content import Content
from luban.report.words import Words

WATTS_PER_CORE, WATTS_PER_GPU = 10, 300  # assumed, and said so on the page


def build(content: Content, words: Words) -> dict[str, Any] | None:
    manifest = content.manifest
    seconds = manifest.get("seconds") or {}
    if not seconds:
        return None
    total = sum(seconds.values())
    rows = [(words.name("stage", name), float(value), duration(value)) for name, value in seconds.items()]
    hardware = manifest.get("hardware", {})
    memory = manifest.get("peak_memory_bytes")
    estimated = content.last("PreflightDone").get("estimate", {}).get("memory_bytes")
    weights = content.directory / "model.safetensors"
    return {
        "total": duration(total),
        "chart": draw.amounts(
            words.plain("chart.stages"),
            rows,
            words.plain("axis.seconds"),
            (words.plain("column.stage"), words.plain("column.time")),
        ),
        "hardware": hardware,
        "memory": size(memory) if memory else None,
        "memory_estimate": size(estimated) if estimated else None,
        "weights": size(weights.stat().st_size) if weights.is_file() else None,
        "energy": energy(total, hardware),
        "assumption": words(
            "energy.gpu" if "gpu" in hardware else "energy.cpu",
            watts=WATTS_PER_CORE,
            gpu=WATTS_PER_GPU,
            cores=hardware.get("threads", 1),
        ),
    }


def energy(seconds: float, hardware: dict[str, Any]) -> str:
    """Return watt-hours, from the assumed power of the cores and of the accelerator."""
    watts = WATTS_PER_CORE * float(hardware.get("threads", 1)) + (WATTS_PER_GPU if "gpu" in hardware else 0)
    hours = seconds / 3600 * watts
    return f"{hours / 1000:.2f} kWh" if hours >= 1000 else f"{hours:.2g} Wh" if hours < 10 else f"{hours:.0f} Wh"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    return (
        f"{count / 1e9:.1f} GB"
        if count >= 1e9
        else f"{count / 1e6:.1f} MB"
        if count >= 1e5
        else f"{count / 1e3:.0f} kB"
    )
