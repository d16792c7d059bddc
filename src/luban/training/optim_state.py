"""Temporary."""

from __future__ import annotations

import torch


def state_tensors(optimizer, network):
    out = {}
    for name, p in network.named_parameters():
        for key, value in optimizer.inner.state.get(p, {}).items():
            out[f"optimizer/{name}/{key}"] = value if isinstance(value, torch.Tensor) else torch.tensor(value)
    return out


def load_state_tensors(optimizer, network, tensors):
    by = dict(network.named_parameters())
    optimizer.inner.state.clear()
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, name, what = key.split("/")
            optimizer.inner.state[by[name]][what] = (
                torch.empty_like(by[name]).copy_(value) if value.shape == by[name].shape else value.clone()
            )
