"""Which machine a figure was recorded on: bits differ between processors and versions of torch."""

from __future__ import annotations

from pathlib import Path

import torch


def machine() -> str:
    """Name what the last bits depend on."""
    processor = (
        dict(
            tuple(part.strip() for part in line.split(":", 1))
            for line in Path("/proc/cpuinfo").read_text("utf-8").split("\n\n", 1)[0].splitlines()
            if line.count(":") == 1
        )
        if Path("/proc/cpuinfo").exists()
        else {}
    )
    kind = " ".join(processor.get(key, "?") for key in ("vendor_id", "cpu family", "model"))
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {kind}"
