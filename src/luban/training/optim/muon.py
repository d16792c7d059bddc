"""Muon: updates of matrices whose singular values are all alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/
ITERATIONS = 5
MIN_NORM = 1e-7


class Muon(Optimizer):
    """Muon for matrices, with updates of AdamW's size (Liu et al. 2025, arXiv:2502.16982), so that AdamW's learning
    rate and weight decay serve.

    The formulas are those of `torch.optim.Muon` with adjust_lr_fn="match_rms_adamw", which works in bfloat16 on every
    device: without hardware for it, 35 times slower than this (384 x 1536, AVX2).
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        assert all(parameter.ndim == 2 for group in self.param_groups for parameter in group["params"])

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group["lr"], group["weight_decay"], group["momentum"])

    def _update(self, parameter: nn.Parameter, gradient: Tensor, rate: float, decay: float, momentum: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        direction = orthogonalised(gradient.lerp(mean, momentum))  # Nesterov's
        parameter.mul_(1 - rate * decay)
        parameter.add_(direction, alpha=-rate * 0.2 * max(parameter.shape) ** 0.5)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Bring all singular values of a matrix near 1 (to about 0.7 to 1.2) by Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16() if matrix.is_cuda else matrix
    if matrix.shape[0] > matrix.shape[1]:
        x = x.T
    x = x / x.norm().clamp(min=MIN_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)
