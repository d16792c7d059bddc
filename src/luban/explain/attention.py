"""Attention shown as attention: where a transformer looks, which is not why it answers (Jain and Wallace 2019,
arXiv:1902.10186).

Shapes: B rows · T tokens of the row · H heads · K width of a head
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from luban.core.runtime import autocast
from luban.core.tensors import Ragged
from luban.models.attention import attention_weights
from luban.models.base import Encoder
from luban.models.packing import Packing
from luban.models.transformer import Attention, TransformerEncoder


def attention_rollout(encoder: Encoder, tokens: Ragged, dtype: torch.dtype = torch.float32) -> Tensor | None:
    """Return (T,), how much each token of the only row flows into the row's vector: attention and what is passed on
    beside it, each by half, multiplied through the layers (Abnar and Zuidema 2020, arXiv:2005.00928).

    dtype: of the products in the encoder. None where the encoder has no attention, or the row no tokens.
    """
    if not isinstance(encoder, TransformerEncoder) or not len(tokens.values):
        return None
    layers: list[Tensor] = []

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(module, Attention)
        x_ND, packing = given
        q_NHK, k_NHK, _ = module.qkv(x_ND).unflatten(1, (3, module.heads, module.head_width)).unbind(1)
        with torch.autocast(x_ND.device.type, enabled=False):
            layers.append(attention_weights(q_NHK.float(), k_NHK.float(), packing)[0].mean(dim=0))

    found = [module for module in encoder.modules() if isinstance(module, Attention)]
    hooks = [module.register_forward_pre_hook(look) for module in found]
    try:
        with torch.no_grad(), autocast(tokens.values.device, dtype):
            encoder.backbone(tokens.values, Packing(tokens.offsets, tokens.values.device))
    finally:
        for hook in hooks:
            hook.remove()
    flow_TT = torch.eye(len(tokens.values), device=tokens.values.device)
    for weights_TT in layers:
        flow_TT = (weights_TT + torch.eye(len(weights_TT), device=weights_TT.device)) / 2 @ flow_TT
    return flow_TT.mean(dim=0) if encoder.config.pooling == "mean" else flow_TT[0]
