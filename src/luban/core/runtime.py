"""The machine at hand: device, precision, threads, and randomness that is counted instead of stateful."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from luban.core.errors import ConfigError
from luban.core.shown import brief
from luban.core.system_errors import means_memory

# Of code that oneDNN makes for one shape. Packed batches have another number of tokens at every step: the 1,024 that it
# would keep take 0.4 GB and are hardly ever used again. Read at the first product, unless the user has set it.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

Precision = Literal["auto", "float32", "bfloat16"]
EMULATED = 3.0  # times as long as in float32
PLAIN_GAIN = 1.4  # or loss, that a second measurement would not turn
TRIAL_SECONDS, MOST_TURNS = 0.1, 20  # short steps take turns for so long, since each of them alone says little
BFLOAT16_GAIN = 1.15  # how much faster a bfloat16 step must be measured before it is chosen


def choose_device(name: str = "auto") -> torch.device:
    """Return the named device, or the fastest that is present. Raises ConfigError where it is not there."""
    if name != "auto":
        present = torch.accelerator.current_accelerator(check_available=True)
        try:
            device = torch.device(name)
            if device.type not in ("cpu", getattr(present, "type", "cpu")):
                raise ValueError("another kind of device")
            return torch.empty(1, device=device).device  # raises where there are not so many of them
        except (RuntimeError, AssertionError, NotImplementedError, ImportError, ValueError) as error:
            raise ConfigError(
                "device",
                expected=f"auto, cpu, or an accelerator of this machine ({present or 'it has none'})",
                found=brief(name),
                action="Use auto",
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def derived_seed(seed: int, purpose: str, step: int = 0) -> int:
    """Return a 63-bit seed that depends on nothing but its arguments."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, purpose: str, step: int = 0) -> torch.Generator:
    """Return a CPU generator for one purpose at one step."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose, step))


@contextmanager
def seeded(seed: int, purpose: str, step: int = 0) -> Iterator[None]:
    """Make torch's own random functions (dropout, initialisation) depend on the arguments alone, then restore them."""
    number = derived_seed(seed, purpose, step)
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    if devices or torch.backends.mps.is_available():
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(number)
            yield
        return
    # `torch.manual_seed` would remember the seed, and the stack of its caller, for devices that are not there.
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(number)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take numbers too small to matter for zero: some processors compute with them a hundred times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return the context in which matrix products run in `dtype`; float32 switches it off."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype != torch.float32)


def faster_dtype(
    step: Callable[[torch.dtype], None], device: torch.device, repeats: int = 3
) -> tuple[torch.dtype, float | None]:
    """Time `step` in float32 and bfloat16 and return the dtype to use, with the seconds of a step where they are known.

    A step is not tried in bfloat16 where a small matrix product takes several times as long in it, as on processors
    that have to emulate it. After one warm-up each they take turns, `repeats` of them and more of short ones, and the
    minima are compared, so that a busy machine does not decide; a gain or loss that is plain after the first turn of a
    long step needs no other. A step that cannot be done in bfloat16 is done in float32.
    """
    if emulates_bfloat16(device):
        return torch.float32, None
    dtypes = (torch.float32, torch.bfloat16)
    for dtype in dtypes:
        try:
            step(dtype)
        except RuntimeError as error:
            if dtype == torch.float32 or is_out_of_memory(error):
                raise
            return torch.float32, None  # some layers exist in float32 alone on processors without bfloat16
    synchronize()
    seconds = dict.fromkeys(dtypes, math.inf)
    begun = time.perf_counter()
    for turn in range(MOST_TURNS):
        for dtype in dtypes:
            start = time.perf_counter()
            step(dtype)
            synchronize()
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
        gain = seconds[torch.float32] / seconds[torch.bfloat16]
        is_plain = max(gain, 1 / gain) > PLAIN_GAIN
        if time.perf_counter() - begun > TRIAL_SECONDS and (is_plain or turn + 1 >= repeats):
            break
    chosen = torch.bfloat16 if gain > BFLOAT16_GAIN else torch.float32
    return chosen, seconds[chosen]


def emulates_bfloat16(device: torch.device) -> bool:
    """Tell whether products in bfloat16 take several times as long as in float32, by more than noise."""
    return product_seconds(torch.bfloat16, device) > EMULATED * product_seconds(torch.float32, device)


def product_seconds(dtype: torch.dtype, device: torch.device, repeats: int = 3) -> float:
    """Return the least time of a matrix product of 128 x 256 and 256 x 256 numbers."""
    left, right = (torch.ones(shape, dtype=dtype, device=device) for shape in ((128, 256), (256, 256)))
    timings = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(left, right)
        synchronize()
        timings.append(time.perf_counter() - start)
    return min(timings)


def synchronize() -> None:
    """Wait until an accelerator has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that memory was short, on any device, rather than a fault in the program."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and means_memory(error)


def hardware() -> dict[str, str | int]:
    """Describe the machine for the manifest."""
    facts: dict[str, str | int] = {
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def processor_name() -> str:
    """Return the processor's name as the operating system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - not a path of ours
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
