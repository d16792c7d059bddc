"""A network over a whole data set, without gradients: in batches of like lengths, smaller where memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from luban.core.runtime import autocast, is_out_of_memory
from luban.core.tensors import Batch, Columns, Ragged, only
from luban.features.dataset import Dataset
from luban.models.network import Network

MAX_ROWS = 512  # rows in one forward pass


def inference_batches(lengths: npt.NDArray[np.int64], budget: int) -> list[npt.NDArray[np.int64]]:
    """Return batches of rows of like length, longest first, each within the budget of tokens, and of rows."""
    order = np.argsort(-lengths, kind="stable").astype(np.int64)
    batches, start = [], 0
    while start < len(order):
        size = max(1, min(MAX_ROWS, budget // max(1, int(lengths[order[start]]))))
        batches.append(order[start : start + size])
        start += size
    return batches


def forward_all(
    network: Network,
    dataset: Dataset,
    device: torch.device,
    dtype: torch.dtype,
    function: Callable[[Any], Tensor] | None = None,
) -> Tensor:
    """Run `function`, or a network of one output, on the inputs of every row without gradients; (rows, ...) float32."""

    def found_of(batch: Batch) -> Columns:
        return {"": (only(network(batch.inputs)) if function is None else function(batch.inputs)).float()}

    kept = gathered(network, dataset, device, dtype, found_of)
    found = kept.get("", torch.empty(0))
    assert isinstance(found, Tensor)
    return found


def gathered(
    network: nn.Module,
    dataset: Dataset,
    device: torch.device,
    dtype: torch.dtype,
    function: Callable[[Batch], Columns],
) -> Columns:
    """Run `function` on every row, in batches on the device, without gradients; return what it returns on the CPU, the
    rows in order. Nothing is returned of no rows."""
    was_training = network.training
    if any(module.training for module in network.modules()):  # of thousands of modules it is quicker to ask
        network.eval()
    found = dict[str, Tensor | list[Tensor]]()
    with torch.inference_mode(), autocast(device, dtype):
        waiting = inference_batches(dataset.lengths, dataset.token_budget)[::-1]
        while waiting:
            positions = waiting.pop()
            try:
                values = function(dataset.batch(positions).to(device))
                values = {name: value.to(torch.device("cpu")) for name, value in values.items()}
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or len(positions) == 1:
                    raise
                waiting += np.array_split(positions, 2)[::-1]
                continue
            for name, value in values.items():
                _put(found, name, value, positions, len(dataset))
    if was_training:
        network.train()
    return {name: Ragged.pack(kept) if isinstance(kept, list) else kept.clone() for name, kept in found.items()}


def _put(
    found: dict[str, Tensor | list[Tensor]],
    name: str,
    value: Tensor | Ragged,
    positions: npt.NDArray[np.int64],
    count: int,
) -> None:
    """Put the rows of a batch in their places among `count`."""
    if isinstance(value, Ragged):
        rows = found.setdefault(name, [torch.empty(0)] * count)
        assert isinstance(rows, list)
        for position, row in zip(positions.tolist(), torch.split(value.values, value.lengths.tolist()), strict=True):
            rows[position] = row
        return
    whole = found.setdefault(name, torch.empty((count, *value.shape[1:]), dtype=value.dtype))
    assert isinstance(whole, Tensor)
    whole[torch.from_numpy(positions)] = value
