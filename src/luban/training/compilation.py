"""torch.compile: used where a compiler is there, the run is long, and a measurement says that it pays."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from luban.core.errors import ConfigError
from luban.core.runtime import synchronize
from luban.core.tensors import Batch, Ragged
from luban.training.vocabulary import TrainedRows

LONG_SECONDS = 1800.0  # of training, from which on compiling is tried: it takes up to a minute on a CPU
REPEATS = 3
PAYS = 2.0  # times its own cost that compiling must save


@dataclass(frozen=True)
class Trial:
    """seconds: of a plain and of a compiled step, and of compiling."""

    plain: float
    compiled: float
    compiling: float

    def pays(self, steps: int) -> bool:
        return steps * (self.plain - self.compiled) > PAYS * self.compiling

    def __str__(self) -> str:
        return (
            f"torch.compile takes {self.compiling:.0f} s and makes a step of {self.plain * 1000:.0f} ms "
            f"{self.plain / self.compiled:.2f} times as fast"
        )


def has_compiler(device: torch.device) -> bool:
    """Tell whether torch.compile can make machine code for the device."""
    if device.type == "cuda":
        return torch.utils._triton.has_triton()
    return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++", "cl") if name)


def require_compiler(device: torch.device) -> None:
    """Raise ConfigError where compiling is asked for and cannot be done."""
    if not has_compiler(device):
        raise ConfigError(
            "train.compile",
            expected="a C++ compiler (g++, clang++ or cl), or Triton on a GPU",
            found="none",
            action="Install one, or leave train.compile at auto",
        )


def try_compiling(step: Callable[[], None], compile_it: Callable[[], None], steps: int) -> Trial | None:
    """Time a step, and, where so many of them take long, what it takes once it is compiled.

    step: trains on a copy; compile_it: compiles what it calls. Returns None where compiling is not tried.
    """
    start = time.perf_counter()
    step()
    if (time.perf_counter() - start) * steps < LONG_SECONDS:
        return None
    plain = _seconds(step)
    _hush()
    start = time.perf_counter()
    compile_it()
    compiling = time.perf_counter() - start
    return Trial(plain, _seconds(step), compiling)


def compiled(network: nn.Module, batch: Batch) -> nn.Module:
    """Return the network, compiled at its first call: once for all sizes of packed inputs, which differ at every step,
    else once for each size, so that the code does not depend on which sizes came before."""
    _hush()
    for module in network.modules():
        if isinstance(module, TrainedRows):  # the optimizer catches up rows as they are read: that is no graph
            module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign,no-untyped-call]
    packed = any(isinstance(value, Ragged) for value in batch.inputs.values())
    found = torch.compile(network, dynamic=packed)
    assert isinstance(found, nn.Module)
    return found


def _hush() -> None:
    """Keep advice to those who write networks off the terminal of those who train them; errors are shown."""
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)


def _seconds(step: Callable[[], None]) -> float:
    step()
    timings = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        step()
        synchronize()
        timings.append(time.perf_counter() - start)
    return min(timings)
