"""A network laid out for prediction on a CPU in bfloat16: weights converted once, and stored as oneDNN multiplies."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from luban.models.transformer import Transformer

PACKED_ROWS = 2048  # of the inputs that the layout is made for; any number of rows is taken


class PackedLinear(nn.Module):
    """The linear layer (N, D) -> (N, F) bfloat16, its weight in oneDNN's own layout."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().to(torch.bfloat16).contiguous()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_ROWS)
        self.bias = None if linear.bias is None else linear.bias.detach().to(torch.bfloat16)

    def forward(self, x_ND: Tensor) -> Tensor:
        x_ND = x_ND.to(torch.bfloat16)
        out_NF: Tensor = torch.ops.mkldnn._linear_pointwise(x_ND, self.weight, self.bias, "none", [], "")
        return out_NF


def packed(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return a copy of a network whose transformers have packed layers, sharing all other weights; the network itself
    where it has none, or where products in bfloat16 on a CPU are not what is asked for or not at hand."""
    transformers = [name for name, module in network.named_modules() if isinstance(module, Transformer)]
    if device.type != "cpu" or dtype != torch.bfloat16 or not transformers or not can_pack():
        return network
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    copied = copy.deepcopy(network, shared)
    for name in transformers:
        layers = copied.get_submodule(name).get_submodule("layers")
        for path, module in list(layers.named_modules()):
            if isinstance(module, nn.Linear):
                layers.set_submodule(path, PackedLinear(module))
    return copied


def can_pack() -> bool:
    """Whether torch's build and the processor have oneDNN's products in bfloat16."""
    operators = torch.ops.mkldnn
    names = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    is_built_in: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not is_built_in or not all(hasattr(operators, name) for name in names):
        return False
    return bool(operators._is_mkldnn_bf16_supported())
