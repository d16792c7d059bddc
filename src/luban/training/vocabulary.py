"""Training only the rows of a token table that the data use: the same numbers, at a fraction of the cost.

A row whose gradient is always zero is never changed by an optimizer that does not decay embeddings, so that it may as
well be left out of the gradient and of the optimizer's state. A large multilingual vocabulary has 250,000 rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luban.features.dataset import Dataset
from luban.models.network import Network
from luban.models.transformer import TransformerEncoder

COUNTED_AT_ONCE = 2**24  # tokens
MAX_SHARE = 0.5  # of the table's rows in use; above it there is little to gain


class UsedRows(nn.Module):
    """The rows of an embedding table that are in use. used: (U,) ids, ascending."""

    places_V: Tensor

    def __init__(self, table: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(table.weight.detach()[used])
        places_V = torch.zeros(len(table.weight), dtype=torch.int64, device=used.device)
        places_V[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("places_V", places_V, persistent=False)
        self.register_buffer("used_U", used)

    def forward(self, ids_N: Tensor) -> Tensor:
        return F.embedding(self.places_V[ids_N], self.rows)


@contextmanager
def used_vocabulary(network: Network, datasets: Sequence[Dataset]) -> Iterator[None]:
    """Replace token tables by their rows that occur in the data sets; afterwards put the trained rows back."""
    replaced: list[tuple[TransformerEncoder, nn.Embedding, Tensor]] = []
    for name in network.names:
        encoder = network.encoder(name)
        if not isinstance(encoder, TransformerEncoder) or any(name not in dataset.inputs for dataset in datasets):
            continue
        table = encoder.backbone.embeddings.tokens
        assert isinstance(table, nn.Embedding)
        used = torch.from_numpy(used_ids(name, datasets)).to(table.weight.device)
        if table.weight.requires_grad and len(used) <= MAX_SHARE * len(table.weight):
            encoder.backbone.embeddings.tokens = UsedRows(table, used)
            replaced.append((encoder, table, used))
    try:
        yield
    finally:
        for encoder, table, used in replaced:
            trained = encoder.backbone.embeddings.tokens
            assert isinstance(trained, UsedRows)
            with torch.no_grad():
                table.weight[used] = trained.rows
            encoder.backbone.embeddings.tokens = table


def used_ids(name: str, datasets: Sequence[Dataset]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the ids (U,) that occur in an input of the data sets, ascending."""
    is_used = np.zeros(0, np.bool_)
    for values in {id(d.inputs[name].values): d.inputs[name].values for d in datasets}.values():
        for start in range(0, len(values), COUNTED_AT_ONCE):  # a column may be mapped, and larger than memory
            part = np.asarray(values[start : start + COUNTED_AT_ONCE])
            ids = part if part.ndim == 1 else part[:, 0]
            if len(is_used) <= (largest := int(ids.max())):
                is_used = np.concatenate([is_used, np.zeros(largest + 1 - len(is_used), np.bool_)])
            is_used[ids] = True
    return np.flatnonzero(is_used)
