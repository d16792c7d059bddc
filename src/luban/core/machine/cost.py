"""What a run cost: the peak of its memory, and an estimate of its energy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import torch

WATTS_PER_CORE, WATTS_PER_GPU = 10, 300  # assumed of hardware under load; written down with every estimate


def peak_memory() -> dict[str, int]:
    """Return `peak_memory_bytes`, the most that this process ever held in memory, and of a GPU
    `peak_gpu_memory_bytes`, the most that it reserved there; without what the system does not tell."""
    found: dict[str, int] = {}
    try:
        resource = importlib.import_module("resource")  # not there on Windows
    except ImportError:
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts in kilobytes but for macOS
        found["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if torch.cuda.is_available():
        found["peak_gpu_memory_bytes"] = torch.cuda.max_memory_reserved()
    return found


def energy_estimate(seconds: float, hardware: Mapping[str, Any]) -> dict[str, float]:
    """Return what a run took in watt-hours, if each core in use and the GPU drew the assumed power all the time.

    hardware: of `runtime.hardware`. The assumptions are part of the result.
    """
    cores = int(hardware.get("threads", 1))
    gpu = WATTS_PER_GPU if "gpu" in hardware else 0
    return {
        "watt_hours": round(seconds / 3600 * (WATTS_PER_CORE * cores + gpu), 4),
        "seconds": round(seconds, 3),
        "cores": cores,
        "watts_per_core": WATTS_PER_CORE,
        "watts_of_gpu": gpu,
    }
