"""Dropout (Srivastava et al. 2014), with random numbers that are cheap on a CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16
BITS: dict[int, tuple[type[np.signedinteger[Any]], torch.dtype]] = {
    2: (np.int16, torch.int16),
    4: (np.int32, torch.int32),
    8: (np.int64, torch.int64),
}  # integers by bytes


class Dropout(nn.Module):
    """The function below, as a layer."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.rate, self.training)


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Set a share `rate` of the elements to zero and scale the rest, so that the expectation stays what it was.

    On a CPU the share is rounded to 1/65536 and the scale follows the rounded share. Seeded by torch's own generator.
    """
    if not training or rate == 0:
        return x
    return x * _mask(x, rate) if _draws_itself(x) else F.dropout(x, rate)


def add_dropped(residual: Tensor, x: Tensor, rate: float, training: bool) -> Tensor:
    """Return residual + dropout(x), in one pass over them."""
    if not training or rate == 0:
        return residual + x
    return torch.addcmul(residual, x, _mask(x, rate)) if _draws_itself(x) else residual + F.dropout(x, rate)


def _draws_itself(x: Tensor) -> bool:
    """torch.compile makes code of its own for torch's dropout, and none for numpy's generators."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def _mask(x: Tensor, rate: float) -> Tensor:
    """Return what to multiply x with, in x's own type: another one would make copies, forward and backward.

    One 64-bit draw serves four elements, and SFC64 draws in a third of the time of torch's generator, which alone takes
    a quarter of that of `bernoulli_`: that is up to a tenth of a training step. A factor is its bits times 0 or 1, a
    product of integers that numpy makes in a fraction of the time in which torch turns booleans into numbers.
    """
    count = x.numel()
    seed = int(torch.randint(2**63 - 1, (), dtype=torch.int64))
    draws = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16)[:count]
    dropped_levels = min(round(rate * LEVELS), LEVELS - 1)
    is_kept = draws >= dropped_levels - LEVELS // 2
    numpy_type, torch_type = BITS[x.dtype.itemsize]
    factor = torch.tensor(LEVELS / (LEVELS - dropped_levels), dtype=x.dtype).view(torch_type).item()
    bits = np.multiply(is_kept, np.array(factor, numpy_type), dtype=numpy_type)
    return torch.from_numpy(bits).view(x.dtype).view(x.shape)
