"""What is installed, on what machine, and how fast that machine computes."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import torch

from luban.core.cache import cache_folder
from luban.core.machine.resources import available_disk, available_memory
from luban.core.runtime import choose_device, emulates_bfloat16, processor_name, synchronize

PACKAGES = ("torch", "transformers", "tokenizers", "polars", "numpy", "scikit-learn", "safetensors")
CAPABILITIES = {  # what a processor can do, by the names that Linux gives to its instructions
    "bfloat16": frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"}),
    "VNNI": frozenset({"avx512_vnni", "avx_vnni", "asimddp"}),
}
# The extras of the package: the modules that each brings, and what for.
EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "excel": (("fastexcel",), "workbooks of Excel and OpenDocument"),
    "explain": (("captum",), "explanations by gradients, LIME and Kernel SHAP"),
    "forecast": (("statsforecast",), "AutoETS and AutoARIMA beside forecasts"),
    "gguf": (("gguf", "accelerate"), "pretrained models in llama.cpp's format"),
    "large": (("pyarrow",), "sources larger than memory"),
    "track": (("tensorboard", "mlflow", "sqlalchemy", "alembic"), "TensorBoard and MLflow"),
}
SPEED_SECONDS = 5.0  # of the whole speed check
SIDE = 1024  # of the square matrices that are multiplied
COPIED_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Speed:
    """gflops: products of two matrices, by dtype, in 10^9 operations a second; None for a dtype that is emulated.
    copy_gb: memory read and written, in 10^9 bytes a second."""

    device: str
    gflops: dict[str, float | None]
    copy_gb: float


def versions() -> dict[str, str]:
    """Return the version of each package that Luban stands on; `missing` where it is not there."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def missing_modules(extra: str) -> list[str]:
    """Return the modules of an extra that are not installed."""
    return [module for module in EXTRAS[extra][0] if find_spec(module) is None]


def capabilities(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, bool] | None:
    """Return whether the processor has instructions for bfloat16 and int8; None where the system does not tell."""
    try:
        lines = cpuinfo.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    named = dict(line.split(":", 1) for line in lines if ":" in line)
    told = {name.strip(): set(value.split()) for name, value in named.items()}
    flags = told.get("flags", told.get("Features"))
    return None if flags is None else {name: bool(flags & known) for name, known in CAPABILITIES.items()}


def processor() -> str:
    """Return the processor in a few words: its name, architecture, cores and threads."""
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    return f"{processor_name()}, {platform.machine()}, cores: {cores}, threads of torch: {threads}"


def accelerators() -> list[str]:
    """Return the GPUs that torch can use, with their memory."""
    if torch.cuda.is_available():
        found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return [f"{gpu.name}, {gpu.total_memory / 1e9:.1f} GB" for gpu in found]
    return ["Apple GPU (mps)"] if torch.backends.mps.is_available() else []


def memory() -> tuple[int | None, int | None]:
    """Return the bytes of memory of the machine and those that this process can still take; None where unknown."""
    total = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total, available_memory(torch.device("cpu"))


def cache_bytes() -> int:
    """Return the bytes of the files in the cache; files that vanish or cannot be seen count as none."""
    total = 0
    for parent, _, names in os.walk(cache_folder()):
        for name in names:
            try:
                total += os.lstat(Path(parent, name)).st_size
            except OSError:
                continue
    return total


def free_disk() -> int:
    """Return the bytes free where runs are written, below the working folder."""
    return available_disk(Path.cwd())


def measured_speed(seconds: float = SPEED_SECONDS) -> Speed:
    """Multiply matrices and copy memory for about so many seconds, on the device that a training would take."""
    device, share = choose_device(), seconds / 3
    gflops: dict[str, float | None] = {"float32": _gflops(torch.float32, device, share)}
    gflops["bfloat16"] = None if emulates_bfloat16(device) else _gflops(torch.bfloat16, device, share)
    return Speed(device.type, gflops, _copied(device, share))


def _gflops(dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    left, right = (torch.ones((SIDE, SIDE), dtype=dtype, device=device) for _ in range(2))
    return 2 * SIDE**3 / _least_seconds(lambda: torch.mm(left, right), seconds) / 1e9


def _copied(device: torch.device, seconds: float) -> float:
    source = torch.zeros(COPIED_BYTES // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * COPIED_BYTES / _least_seconds(lambda: target.copy_(source), seconds) / 1e9


def _least_seconds(action: Callable[[], object], seconds: float) -> float:
    """Return the shortest time of an action that is repeated for so many seconds, and at least twice."""
    begun, least, turns = time.perf_counter(), math.inf, 0
    while turns < 2 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        action()
        synchronize()
        least, turns = min(least, time.perf_counter() - start), turns + 1
    return least
