"""Lion: the sign of a running mean of gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


class Lion(Optimizer):
    """Lion with decoupled weight decay (Chen et al. 2023, arXiv:2302.06675, algorithm 2)."""

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; the gradients are used up."""
        assert closure is None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
            gradients = [parameter.grad for parameter in parameters]
            means = [self.state[parameter]["exp_avg"] for parameter in parameters]
            rate, (beta1, beta2) = group["lr"], group["betas"]
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
            # All in the gradients' memory: temporary tensors of the network's size cost more than the arithmetic.
            torch._foreach_sub_(gradients, means)
            torch._foreach_add_(means, gradients, alpha=1 - beta2)
            torch._foreach_mul_(gradients, beta2 - beta1)
            torch._foreach_add_(gradients, means)  # the mean before, with beta1
            torch._foreach_sign_(gradients)
            torch._foreach_add_(parameters, gradients, alpha=-rate)
