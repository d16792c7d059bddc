"""Training only the rows of a token table that the data use: the same numbers, at a fraction of the cost.

A row whose gradient is always zero is never changed by an optimizer that does not decay embeddings, so that it may as
well be left out of the gradient and of the optimizer's state. A large multilingual vocabulary has 250,000 rows.
Of the rows in use a batch reads few: with a sparse gradient the others cost nothing in a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luban.features.dataset import Dataset
from luban.models.network import Network
from luban.models.transformer import TransformerEncoder

COUNTED_AT_ONCE = 2**24  # tokens
MAX_SHARE = 0.5  # of the table's rows in use; above it there is little to gain from leaving the others out
MIN_SPARSE_ROWS = 8192  # of a table whose gradient is sparse; a smaller one is as fast with a dense one


class TrainedRows(nn.Module):
    """The rows of an embedding table that are trained: those in use, or all.

    used_U: the ids of the rows, ascending; None for all. sparse: whether their gradient is a sparse tensor. prepare: is
    called with the rows' numbers before they are read.
    """

    places_V: Tensor | None

    def __init__(self, weight: Tensor, used_U: Tensor | None, *, sparse: bool) -> None:
        super().__init__()
        if used_U is None:
            assert isinstance(weight, nn.Parameter)
            self.rows = weight
        else:
            self.rows = nn.Parameter(weight.detach()[used_U])
        self.sparse = sparse
        self.prepare: Callable[[Tensor], None] | None = None
        places_V = None
        if used_U is not None:
            places_V = torch.zeros(len(weight), dtype=torch.int64, device=weight.device)
            places_V[used_U] = torch.arange(len(used_U), device=weight.device)
        self.register_buffer("places_V", places_V, persistent=False)
        self.register_buffer("used_U", used_U)

    def forward(self, ids_N: Tensor) -> Tensor:
        rows_N = ids_N if self.places_V is None else self.places_V[ids_N]
        if self.prepare is not None:
            self.prepare(rows_N)
        return F.embedding(rows_N, self.rows, sparse=self.sparse)


@contextmanager
def used_vocabulary(
    network: Network, datasets: Sequence[Dataset], *, sparse: bool = False, min_sparse_rows: int = MIN_SPARSE_ROWS
) -> Iterator[None]:
    """Replace token tables by their rows that occur in the data sets; afterwards put the trained rows back.

    sparse: give tables of at least min_sparse_rows rows in use a sparse gradient, which only some optimizers take;
    their weights are whole again only once the optimizer was flushed.
    """
    replaced: list[tuple[TransformerEncoder, nn.Embedding, Tensor | None]] = []
    for name in network.names:
        encoder = network.encoder(name)
        if not isinstance(encoder, TransformerEncoder) or any(name not in dataset.inputs for dataset in datasets):
            continue
        table = encoder.backbone.embeddings.tokens
        assert isinstance(table, nn.Embedding)
        if not table.weight.requires_grad:
            continue
        used_U = torch.from_numpy(used_ids(name, datasets)).to(table.weight.device)
        chosen_U = used_U if len(used_U) <= MAX_SHARE * len(table.weight) else None
        is_sparse = sparse and len(used_U) >= min_sparse_rows
        if chosen_U is not None or is_sparse:
            encoder.backbone.embeddings.tokens = TrainedRows(table.weight, chosen_U, sparse=is_sparse)
            replaced.append((encoder, table, chosen_U))
    try:
        yield
    finally:
        for encoder, table, chosen_U in replaced:
            trained = encoder.backbone.embeddings.tokens
            assert isinstance(trained, TrainedRows)
            if chosen_U is not None:
                with torch.no_grad():
                    table.weight[chosen_U] = trained.rows
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
