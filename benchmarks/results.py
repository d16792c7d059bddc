"""The result files: one entry a machine and day, merged into what other machines and days have recorded."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", *sorted(BFLOAT16_FLAGS), "amx_tile", "asimd", "sve")


def hardware() -> dict[str, Any]:
    """Describe the machine: what decides how its figures compare with another's."""
    facts: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "platform": platform.platform(),
        "instructions": [],
    }
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text("utf-8").splitlines() if ":" in line)
        told = {name.strip(): value.strip() for name, value in lines.items()}
        facts["processor"] = told.get("model name", facts["processor"])
        flags = set(told.get("flags", told.get("Features", "")).split())
        facts["instructions"] = [flag for flag in TELLING_FLAGS if flag in flags]
    if hasattr(os, "sysconf"):
        facts["memory_gb"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return facts


def has_bfloat16(facts: dict[str, Any]) -> bool:
    """Tell whether the processor multiplies in bfloat16; others emulate it, at a multiple of the time."""
    return bool(BFLOAT16_FLAGS & set(facts["instructions"]))


def commit() -> str:
    """Return the commit that is measured, marked where the code differs from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "unknown"
    changed = [*git, "status", "--porcelain", "--", "src", "benchmarks/*.py", "benchmarks/peers/*.py"]
    state = subprocess.run(changed, capture_output=True, text=True, check=False)
    return head.stdout.strip() + ("-changed" if state.stdout.strip() else "")


def new_entry(threads: int) -> dict[str, Any]:
    """Begin an entry: where, when and with what code."""
    return {
        "hardware": hardware() | {"threads": threads},
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "python": platform.python_version(),
        "claims": {},
    }


def place(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes two entries the same one; some processors of different kinds have one name."""
    hardware = entry["hardware"]
    return (hardware["processor"], tuple(hardware.get("instructions", ())), hardware["threads"], entry["date"])


def merge(entries: list[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Add an entry; one of the same processor, threads and day keeps what is not measured anew."""
    old = next((other for other in entries if place(other) == place(entry)), None)
    if old is None:
        return [*entries, entry]
    claims = dict(old["claims"])
    for name, found in entry["claims"].items():
        claims[name] = claims.get(name, {}) | found
    return [other if other is not old else entry | {"claims": claims} for other in entries]


def record(path: Path, entry: dict[str, Any]) -> None:
    """Merge an entry into a result file, which need not exist yet."""
    entries = json.loads(path.read_text("utf-8")) if path.exists() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(merge(entries, entry), indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", "utf-8")
