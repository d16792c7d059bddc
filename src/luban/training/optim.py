"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

OptimizerName = Literal["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"]
ScheduleName = Literal["constant", "linear", "cosine", "trapezoidal"]


class OptimConfig(BaseModel):
    """Settings of the optimizer and its schedule; None takes the recipe's value.

    learning_rate: of everything, if it is set; backbone_learning_rate: of pretrained layers, over that.
    warmup: share of all steps. l1, weight_decay: weights only, never biases, norms or embeddings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    optimizer: OptimizerName | None = None
    learning_rate: float | None = Field(None, gt=0)
    backbone_learning_rate: float | None = Field(None, gt=0)
    schedule: ScheduleName | None = None
    warmup: float | None = Field(None, ge=0, lt=1)
    weight_decay: float | None = Field(None, ge=0)
    l1: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    clip_norm: float | None = Field(1.0, gt=0)


def _sgd(groups: Any, learning_rate: float, momentum: float, nesterov: bool) -> Optimizer:
    return SGD(groups, lr=learning_rate, momentum=momentum, nesterov=nesterov, fused=True)


OPTIMIZERS: dict[str, Callable[[Any, float, float], Optimizer]] = {
    "sgd": lambda groups, rate, momentum: _sgd(groups, rate, 0.0, nesterov=False),
    "momentum": lambda groups, rate, momentum: _sgd(groups, rate, momentum, nesterov=False),
    "nesterov": lambda groups, rate, momentum: _sgd(groups, rate, momentum, nesterov=True),
    "rmsprop": lambda groups, rate, momentum: RMSprop(groups, lr=rate, foreach=True),
    "adam": lambda groups, rate, momentum: Adam(groups, lr=rate, fused=True),
    "adamw": lambda groups, rate, momentum: AdamW(groups, lr=rate, fused=True),
}


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


def is_decayed(name: str, parameter: nn.Parameter) -> bool:
    """Weight decay and L1 are for matrices and kernels, not for biases, norms and embedding tables."""
    return parameter.ndim >= 2 and "embedding" not in name


def parameter_groups(
    network: nn.Module,
    learning_rate: float,
    backbone_learning_rate: float | None,
    weight_decay: float,
    backbone: Iterable[str],
) -> list[dict[str, Any]]:
    """Group trainable parameters by learning rate and decay. backbone: name prefixes of pretrained parts.

    Each group keeps its peak under `peak`, for the schedule.
    """
    prefixes = tuple(backbone)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            pretrained = bool(prefixes) and name.startswith(prefixes)
            rate = backbone_learning_rate if pretrained and backbone_learning_rate else learning_rate
            decay = weight_decay if is_decayed(name, parameter) else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


class Plain:
    def __init__(self, inner: Optimizer) -> None:
        self.inner = inner
        self.param_groups = inner.param_groups
        self.step = inner.step
        self.zero_grad = inner.zero_grad

    def flush(self) -> None:
        pass


def build_optimizer(network, optim, backbones):
    groups = parameter_groups(
        network, optim.learning_rate, optim.backbone_learning_rate, optim.weight_decay or 0.0, backbones
    )
    return Plain(OPTIMIZERS[str(optim.optimizer)](groups, optim.learning_rate, optim.momentum))


def clip_grad_norm(parameters, limit):
    return nn.utils.clip_grad_norm_(parameters, limit)


def l1_penalty(network: nn.Module) -> torch.Tensor:
    """Return the sum of absolute weights, a scalar."""
    terms = [p.abs().sum() for name, p in network.named_parameters() if p.requires_grad and is_decayed(name, p)]
    return torch.stack(terms).sum() if terms else torch.zeros(())
