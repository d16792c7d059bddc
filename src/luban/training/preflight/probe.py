"""A head fitted on the vectors of pretrained encoders, before they are trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from luban.core.runtime import generator, seeded
from luban.core.tensors import Batch
from luban.features.dataset import Dataset
from luban.forward import forward_all
from luban.models.heads.row import RowHead
from luban.models.network import Network
from luban.tasks.base import LossConfig, Task
from luban.training.optim.combined import light_optimizers

MAX_ROWS = 20_000
ITERATIONS = 100
MIN_SCALE = 0.2  # of the mean standard deviation of the components
PENALTY = 1e-3  # on the squared weights of the standardised vectors, beside the mean loss


def fit_head(
    network: Network,
    task: Task,
    dataset: Dataset,
    loss: LossConfig,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Fit the head, linear on the joined vectors, by L-BFGS, and put it into the network.

    Fine-tuning that starts from a fitted head keeps more of what the encoder knows (Kumar et al. 2022,
    arXiv:2202.10054). The vectors are standardised for the fit and the scaling is folded into the weights.
    """
    rows = torch.randperm(len(dataset), generator=generator(seed, "probe"))[:MAX_ROWS].sort().values
    chosen = dataset.select(rows.numpy())
    vectors_BD = forward_all(network, chosen, device, dtype, network.join)
    places = np.arange(len(chosen))
    batch, name, task = Batch({}, chosen.targets_of(places), places), network.outputs[0].name, task.configured(loss)
    fitted = network.heads[0]
    assert isinstance(fitted, RowHead)
    mean_D, scale_D = vectors_BD.mean(0), vectors_BD.std(0, correction=0)
    # A component that hardly varies here may vary under dropout: it must not be blown up.
    scale_D = scale_D.clamp(min=MIN_SCALE * float(scale_D.mean()) + 1e-12)
    vectors_BD = (vectors_BD - mean_D) / scale_D
    with seeded(seed, "probe"):
        head = nn.Linear(vectors_BD.shape[1], fitted.linear.out_features)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    with light_optimizers():
        optimizer = torch.optim.LBFGS(head.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        head.zero_grad()  # the optimizer's own would load torch.compile's machinery
        value = task.loss({name: head(vectors_BD)}, batch).mean() + PENALTY * head.weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        weight = head.weight / scale_D
        fitted.linear.weight.copy_(weight)
        fitted.linear.bias.copy_(head.bias - weight @ mean_D)
