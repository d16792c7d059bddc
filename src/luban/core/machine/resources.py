"""How much memory and disk space this process can still take."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from luban.core.machine.address_space import left_of_limit

UNLIMITED = 1 << 60  # version 1 of the control groups writes a number near 2**63 for "no limit"


def num_cores() -> int:
    """Return how many cores this process may use; tokenizers and decoders take all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory(device: torch.device, root: Path = Path("/")) -> int | None:
    """Return the bytes that this process can still take on a device, None where the system does not tell.

    On a CPU the least of what the machine, the process's control groups and its own limit leave. root: where /proc
    and /sys are.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    left = [_machine_memory(root), *_group_memory(root), left_of_limit(root)]
    return min((bytes_ for bytes_ in left if bytes_ is not None), default=None)


def used_memory(device: torch.device, root: Path = Path("/")) -> int:
    """Return the bytes that this process holds on a device; 0 where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return resident_memory(root) or 0


def resident_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of this process that are in memory; None where the system does not tell."""
    fields = _text(root / "proc/self/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else None


def device_memory() -> int | None:
    """Return the bytes of the accelerator that this process holds; None where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.memory_reserved()
    return torch.mps.driver_allocated_memory() if torch.backends.mps.is_available() else None


def available_disk(folder: Path) -> int:
    """Return the bytes free for a folder, which need not be there yet."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _machine_memory(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _group_memory(root: Path) -> list[int]:
    """What each control group of the process leaves, versions 1 and 2; a group's parents limit it too."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            mount, names = root / "sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        elif not controllers:
            mount, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "")
        else:
            continue
        folder = mount / group.strip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(mount):
                left = _left_in(place, *names)
                found += [] if left is None else [left]
    return found


def _left_in(folder: Path, limit_file: str, used_file: str, prefix: str) -> int | None:
    limit, used = _text(folder / limit_file).strip(), _text(folder / used_file).strip()
    if not limit.isdigit() or not used.isdigit() or int(limit) >= UNLIMITED:
        return None
    statistics = dict(line.split() for line in _text(folder / "memory.stat").splitlines() if len(line.split()) == 2)
    cached = int(statistics.get(f"{prefix}inactive_file", 0))  # the kernel gives it up when asked for memory
    return max(0, int(limit) - int(used) + cached)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
