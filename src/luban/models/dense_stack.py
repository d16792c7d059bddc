"""Dense layers, ReLU and dropout as one step of autograd: what lies between the matrix products costs as much as they.

Legend: B rows · D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from luban.models.dropout import LEVELS, dropout


def can_run_together(layers: Sequence[nn.Linear], x_BD: Tensor) -> bool:
    """Tell whether `run_together` may stand for the layers: they train in float32 on a CPU, and nobody listens."""
    return (
        x_BD.device.type == "cpu"
        and x_BD.ndim == 2
        and x_BD.dtype == torch.float32
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and all(
            type(layer) is nn.Linear
            and layer.weight.dtype == torch.float32
            and layer.bias is not None
            and not (layer._forward_hooks or layer._forward_pre_hooks)
            and not (layer._backward_hooks or layer._backward_pre_hooks)
            for layer in layers
        )
    )


def run_together(layers: Sequence[nn.Linear], rate: float, x_BD: Tensor) -> Tensor:
    """Return (B, D) of dense layers that are each followed by ReLU and by dropout of `rate`, as in training.

    The numbers are those of the layers one by one, to the bit; so are the gradients, but for rounding where a side of a
    matrix is 1, of which torch multiplies either the matrix or its transpose. Differentiable once.
    """
    parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
    found: Tensor = _DenseStack.apply(x_BD, rate, *parameters)  # type: ignore[no-untyped-call]
    return found


class _DenseStack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BD: Tensor, rate: float, *parameters: Tensor) -> Tensor:
        ctx.rate = rate
        outputs = [x_BD]
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            outputs.append(dropout(torch.addmm(bias, outputs[-1], weight.t()).relu_(), rate, training=True))
        ctx.save_for_backward(*outputs, *parameters[::2])
        return outputs[-1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.saved_tensors) // 2
        outputs, weights = ctx.saved_tensors[: count + 1], ctx.saved_tensors[count + 1 :]
        scale = LEVELS / (LEVELS - min(round(ctx.rate * LEVELS), LEVELS - 1))
        (grad,) = grads
        found: list[Tensor | None] = []
        for place in reversed(range(count)):
            # An output is above zero where ReLU let it pass and dropout kept it: no mask has to be remembered.
            grad = torch.ops.aten.threshold_backward(grad, outputs[place + 1], 0)
            grad = grad.mul_(scale) if ctx.rate else grad
            found += [grad.sum(0), grad.t() @ outputs[place]]
            if place or ctx.needs_input_grad[0]:
                grad = grad @ weights[place]
        return grad if ctx.needs_input_grad[0] else None, None, *reversed(found)
