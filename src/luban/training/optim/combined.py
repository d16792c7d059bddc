"""Several optimizers that act as one."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from luban.core.errors import ConfigError
from luban.training.optim.optimizers import OPTIMIZERS, OptimConfig, decayed_names, momentum_of
from luban.training.optim.parameter_groups import layer_factors, parameter_groups
from luban.training.optim.row_adamw import RowAdamW
from luban.training.vocabulary import TrainedRows

TAKE_SPARSE = frozenset({"adamw", "muon"})  # the optimizers under which token tables are trained by AdamW
ROWS = "rows"  # the share of the tables whose gradients are sparse


class Combined:
    """Optimizers that share the parameters of a network among them.

    torch wraps an optimizer's methods in functions that load torch.compile's machinery, which takes more than a second
    and 150 MB at the first step of every process; here the methods inside the wrappers are called.
    """

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self.optimizers = tuple(optimizers)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all optimizers; a rate is set by assigning a group's `lr`."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for optimizer in self.optimizers:
            inspect.unwrap(type(optimizer).step)(optimizer)

    def flush(self) -> None:
        """Catch up what was left behind: before weights are read other than by a forward pass."""
        for optimizer in self.optimizers:
            if isinstance(optimizer, RowAdamW):
                optimizer.flush()


def build_optimizer(network: nn.Module, config: OptimConfig, backbones: Sequence[str] = ()) -> Combined:
    """Make the optimizer of a network's trainable parameters.

    config: completed by the recipe. backbones: name prefixes of pretrained parts. Tables that `used_vocabulary` made
    sparse are caught up before each of their forward passes from here on.
    Raises ConfigError for a momentum, a layer_decay or an optimizer that the network cannot use.
    """
    assert config.optimizer is not None
    assert config.learning_rate is not None
    optimizer, rate = str(config.optimizer), config.learning_rate
    momentum = momentum_of(optimizer, config.momentum) or 0.0
    factors = {} if config.layer_decay is None else layer_factors(network, config.layer_decay)
    decayed = decayed_names(network)
    tables = [module for module in network.modules() if isinstance(module, TrainedRows) and module.sparse]
    assert not tables or optimizer in TAKE_SPARSE
    shares: dict[str, list[tuple[str, nn.Parameter]]] = {optimizer: []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            kind = "adamw" if optimizer == "muon" and not is_hidden(name, parameter, decayed) else optimizer
            kind = ROWS if any(parameter is table.rows for table in tables) else kind
            shares.setdefault(kind, []).append((name, parameter))
    if optimizer == "muon" and not shares[optimizer]:
        raise ConfigError(
            "train.optim.optimizer",
            expected="a network with weight matrices between its embeddings and its head, which 'muon' is for",
            found="none that is trained",
            action="Use 'adamw'",
        )
    optimizers: list[Optimizer] = []
    for kind, named in shares.items():
        groups = parameter_groups(
            named, decayed, rate, config.backbone_learning_rate, config.weight_decay or 0.0, backbones, factors
        )
        if kind == ROWS:
            with light_optimizers():
                rows = RowAdamW(groups, lr=rate)
            for table in tables:
                table.prepare = partial(rows.prepare, table.rows)
            optimizers.append(rows)
        elif groups:
            with light_optimizers():
                optimizers.append(OPTIMIZERS[kind](groups, rate, momentum))
    return Combined(optimizers)


@contextmanager
def light_optimizers() -> Iterator[None]:
    """Let optimizers be made without loading torch.compile's machinery."""
    wrapped = Optimizer.add_param_group
    Optimizer.add_param_group = inspect.unwrap(wrapped)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Optimizer.add_param_group = wrapped  # type: ignore[method-assign]


def is_hidden(name: str, parameter: nn.Parameter, decayed: Collection[str]) -> bool:
    """Tell whether a parameter is a matrix from hidden to hidden values: no kernel, embedding or head."""
    return parameter.ndim == 2 and name in decayed and not name.startswith("heads.")
