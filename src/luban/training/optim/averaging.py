"""Averages of the weights over the steps: exponential (EMA), or equal from some step on (SWA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of the trainable weights and of the floating-point buffers (batch statistics) of a network.

    decay: of the exponential average, which begins at (1 + t) / (10 + t) as in TensorFlow's; None for equal weights
    (Izmailov et al. 2018, arXiv:1803.05407).
    """

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        self.decay, self.count = decay, 0
        self.live: dict[str, Tensor] = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self.live |= {name: b for name, b in network.named_buffers() if b.is_floating_point()}
        self.averages = {name: tensor.detach().clone() for name, tensor in self.live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of one more step in."""
        self.count += 1
        if self.decay is None:
            share = 1 / self.count
        else:
            share = 1 - min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(list(self.averages.values()), [t.detach() for t in self.live.values()], share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network hold the averages, and afterwards its own weights again."""
        if not self.count:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint must hold."""
        return {**self.averages, "": torch.tensor(self.count)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take what a checkpoint held."""
        self.count = int(tensors[""])
        for name, average in self.averages.items():
            average.copy_(tensors[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self.averages.items():
            own = self.live[name].detach().clone()
            self.live[name].copy_(average)
            average.copy_(own)
