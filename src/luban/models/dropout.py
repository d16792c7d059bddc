"""Dropout (Srivastava et al. 2014), with random numbers that are cheap on a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 2**16


class Dropout(nn.Module):
    """The function below, as a layer."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.rate, self.training)


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Set a share `rate` of the elements to zero and scale the rest, so that the expectation stays what it was.

    On a CPU the share is rounded to 1/65536 and the scale follows the rounded share. Draws from torch's own generator.
    """
    if not training or rate == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    # One 64-bit draw serves four elements: this takes a quarter of the time of `bernoulli_`, which on a CPU is
    # up to a tenth of a training step.
    count = x.numel()
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    dropped_levels = min(round(rate * LEVELS), LEVELS - 1)
    is_kept = draws.view(torch.int16)[:count].view(x.shape) >= dropped_levels - LEVELS // 2
    # In x's own type: a product with a mask of another type would make a copy, once forward and once backward.
    return x * is_kept.to(x.dtype).mul_(LEVELS / (LEVELS - dropped_levels))
