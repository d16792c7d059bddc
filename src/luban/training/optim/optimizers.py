"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from luban.core.errors import ConfigError, listed
from luban.core.settings import LARGEST, Settings
from luban.training.optim.lion import Lion
from luban.training.optim.muon import Muon
from luban.training.vocabulary import TrainedRows

OptimizerName = Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lion", "muon"]
ScheduleName = Literal["constant", "linear", "cosine", "trapezoidal"]
LARGEST_RATE = 1e4


class OptimConfig(Settings):
    """Settings of the optimizer and its schedule; None takes the recipe's value.

    learning_rate: of everything, if it is set; backbone_learning_rate: of pretrained layers, over that.
    warmup: share of all steps. l1, weight_decay: weights only, never biases, norms or embeddings.
    momentum: of the optimizers that have one; None for 0.9, or 0.95 of muon. layer_decay: factor on the learning rate
    from each layer of a transformer to the one below it.
    """

    optimizer: OptimizerName | None = None
    learning_rate: float | None = Field(None, gt=0, le=LARGEST_RATE)
    backbone_learning_rate: float | None = Field(None, gt=0, le=LARGEST_RATE)
    schedule: ScheduleName | None = None
    warmup: float | None = Field(None, ge=0, lt=1)
    weight_decay: float | None = Field(None, ge=0, le=LARGEST_RATE)
    l1: float = Field(0.0, ge=0, le=LARGEST_RATE)
    momentum: float | None = Field(None, ge=0, lt=1)
    layer_decay: float | None = Field(None, gt=0, le=1)
    clip_norm: float | None = Field(1.0, gt=0, le=LARGEST)


def _sgd(groups: Any, learning_rate: float, momentum: float, nesterov: bool) -> Optimizer:
    return SGD(groups, lr=learning_rate, momentum=momentum, nesterov=nesterov, fused=True)


OPTIMIZERS: dict[str, Callable[[Any, float, float], Optimizer]] = {
    "sgd": lambda groups, rate, momentum: _sgd(groups, rate, 0.0, nesterov=False),
    "momentum": lambda groups, rate, momentum: _sgd(groups, rate, momentum, nesterov=False),
    "nesterov": lambda groups, rate, momentum: _sgd(groups, rate, momentum, nesterov=True),
    "rmsprop": lambda groups, rate, momentum: RMSprop(groups, lr=rate, foreach=True),  # torch has no fused one
    "adam": lambda groups, rate, momentum: Adam(groups, lr=rate, fused=True),
    "adamw": lambda groups, rate, momentum: AdamW(groups, lr=rate, fused=True),
    "lion": lambda groups, rate, momentum: Lion(groups, lr=rate),
    "muon": lambda groups, rate, momentum: Muon(groups, lr=rate, momentum=momentum),  # matrices only
}
MOMENTUM = {"momentum": 0.9, "nesterov": 0.9, "muon": 0.95}  # the default of each optimizer that has one


def momentum_of(optimizer: str, momentum: float | None) -> float | None:
    """Return the momentum of an optimizer, given what is set; None where it has none.

    Raises ConfigError where one is set that it has no use for.
    """
    if momentum is not None and optimizer not in MOMENTUM:
        raise ConfigError(
            "train.optim.momentum",
            expected=f"one of the optimizers that take it: {listed(MOMENTUM)}",
            found=f"'{optimizer}'",
            action="Leave momentum out, or choose one of these",
        )
    return MOMENTUM.get(optimizer) if momentum is None else momentum


def schedule_factor(name: str, step: int, total: int, warmup: float) -> float:
    """Return the learning rate at `step` (from 0) of `total` as a share of its peak.

    linear and cosine fall to 0; trapezoidal stays at the peak and falls linearly to 0 over the last 40 % (Hägele et
    al. 2024, arXiv:2405.18392).
    """
    warmup_steps = round(warmup * total)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total - warmup_steps)
    return SCHEDULES[name](min(progress, 1.0))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
    "trapezoidal": lambda progress: min(1.0, (1.0 - progress) / 0.4),
}


def decayed_names(network: nn.Module) -> frozenset[str]:
    """Return the names of the parameters that weight decay and L1 are for: matrices and kernels, not biases, norms and
    embedding tables."""
    modules = [module for module in network.modules() if isinstance(module, nn.Embedding | TrainedRows)]
    tables = {id(parameter) for module in modules for parameter in module.parameters(recurse=False)}
    named = network.named_parameters()
    return frozenset(name for name, parameter in named if parameter.ndim >= 2 and id(parameter) not in tables)


def l1_penalty(network: nn.Module) -> torch.Tensor:
    """Return the sum of absolute weights, a scalar."""
    decayed = decayed_names(network)
    terms = [p.abs().sum() for name, p in network.named_parameters() if p.requires_grad and name in decayed]
    return torch.stack(terms).sum() if terms else torch.zeros(())
