"""Which parameters share a learning rate and a weight decay."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from luban.core.errors import ConfigError

LAYER = re.compile(r"(.*\bbackbone\.)layers\.(\d+)\.")


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    decayed: Collection[str],
    learning_rate: float,
    backbone_learning_rate: float | None,
    weight_decay: float,
    backbones: Sequence[str],
    factors: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Group trainable parameters by learning rate and decay.

    decayed: the names that weight_decay is for. backbones: name prefixes of pretrained parts. factors: on the rates, by
    name; 1 where there is none. Each group keeps its peak under `peak`, for the schedule.
    """
    prefixes, groups = tuple(backbones), dict[tuple[float, float], list[nn.Parameter]]()
    for name, parameter in named:
        if parameter.requires_grad:
            pretrained = bool(prefixes) and name.startswith(prefixes)
            rate = backbone_learning_rate if pretrained and backbone_learning_rate else learning_rate
            decay = weight_decay if name in decayed else 0.0
            groups.setdefault((rate * (factors or {}).get(name, 1.0), decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def layer_factors(network: nn.Module, decay: float) -> dict[str, float]:
    """Return the learning rates' factors by parameter name: of L layers, layer i (from 0) has decay^(L - i), the
    embeddings decay^(L + 1), all the rest 1 (Clark et al. 2020, arXiv:2003.10555; counted as in Bao et al. 2021,
    arXiv:2106.08254).

    Raises ConfigError where no transformer is trained.
    """
    trained = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    layers = {name: (match[1], int(match[2])) for name in trained if (match := LAYER.match(name))}
    if not layers:
        raise ConfigError(
            "train.optim.layer_decay",
            expected="a transformer whose layers are trained",
            found="a network without one",
            action="Leave the setting out",
        )
    counts: dict[str, int] = {}
    for name, _ in network.named_parameters():
        if match := LAYER.match(name):
            counts[match[1]] = max(counts.get(match[1], 0), int(match[2]) + 1)
    factors = {name: decay ** (counts[stack] - index) for name, (stack, index) in layers.items()}
    for stack, count in counts.items():
        lowest = [name for name in trained if name.startswith(f"{stack}embeddings.")]
        factors |= dict.fromkeys(lowest, decay ** (count + 1))
    return factors
