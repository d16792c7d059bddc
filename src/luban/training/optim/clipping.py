"""The norm of all gradients, and its limit."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SMALL = 1e-6  # as in torch: beside the norm it is divided by


@torch.no_grad()
def clip_grad_norm(parameters: Iterable[nn.Parameter], limit: float | None) -> Tensor:
    """Scale gradients, dense or sparse, in place to a common norm of at most `limit`; return the norm before, a scalar.

    A sparse gradient is coalesced, and stays so. The numbers are those of `nn.utils.clip_grad_norm_` on dense ones.
    """
    gradients: list[Tensor] = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            gradients.append(parameter.grad._values())
        else:
            gradients.append(parameter.grad)
    norm = _total_norm(gradients)
    if limit is None or not gradients:
        return norm
    if norm.device.type == "cpu" and float(norm) + SMALL <= limit:
        return norm  # the factor is 1; on other devices it is cheaper to multiply than to wait for the norm
    factor = (limit / (norm + SMALL)).clamp(max=1.0)
    by_device: dict[torch.device, list[Tensor]] = {}
    for gradient in gradients:
        by_device.setdefault(gradient.device, []).append(gradient)
    for device, found in by_device.items():
        torch._foreach_mul_(found, factor.to(device))
    return norm


def _total_norm(gradients: list[Tensor]) -> Tensor:
    """As `nn.utils.get_total_norm`, which takes longer to group the gradients by device than a CPU to add them up."""
    if gradients and all(gradient.device.type == "cpu" and gradient.dtype == torch.float32 for gradient in gradients):
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        return norm
    return nn.utils.get_total_norm(gradients)
