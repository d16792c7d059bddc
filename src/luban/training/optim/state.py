"""The state of an optimizer as named tensors, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from luban.core.errors import ArtifactError, listed
from luban.training.optim.combined import Combined
from luban.training.optim.lion import Lion
from luban.training.optim.muon import Muon
from luban.training.optim.row_adamw import RowAdamW

PREFIX = "optimizer/"
LIKE_PARAMETER = frozenset({"exp_avg", "exp_avg_sq", "square_avg", "momentum_buffer"})  # of the parameter's shape
ON_HOST = frozenset({"rates"})
STATES: dict[type[Optimizer], frozenset[str]] = {
    SGD: frozenset({"momentum_buffer"}),
    RMSprop: frozenset({"step", "square_avg"}),
    Adam: frozenset({"step", "exp_avg", "exp_avg_sq"}),
    AdamW: frozenset({"step", "exp_avg", "exp_avg_sq"}),
    Lion: frozenset({"exp_avg"}),
    Muon: frozenset({"momentum_buffer"}),
    RowAdamW: frozenset({"step", "exp_avg", "exp_avg_sq", "last_step", "rates"}),
}


def state_tensors(optimizer: Combined, network: nn.Module) -> dict[str, Tensor]:
    """Return what the optimizer remembers, as `optimizer/PARAMETER/KEY`: the tensors themselves, not copies.

    A parameter that never had a gradient has none. `rates` is float64: the learning rates of the steps that rows of a
    table still have to catch up on.
    """
    return {
        f"{PREFIX}{name}/{key}": value.detach()
        for name, parameter, part, _ in _parameters(optimizer, network)
        for key, value in part.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def load_state_tensors(optimizer: Combined, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put a state back that `state_tensors` returned; names without the prefix are left to others.

    Raises ArtifactError where the tensors are of another network or another optimizer; nothing is changed then.
    """
    saved: dict[str, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        if full_name.startswith(PREFIX):
            name, _, key = full_name.removeprefix(PREFIX).rpartition("/")
            saved.setdefault(name, {})[key] = tensor
    found = {name: (parameter, part, group) for name, parameter, part, group in _parameters(optimizer, network)}
    if unknown := sorted(set(saved) - set(found)):
        raise _misfit(unknown[0], f"one of the parameters that are trained: {listed(found, 4)}", "no such parameter")
    for name, state in saved.items():
        _check(name, *found[name], state)
    for name, (parameter, part, group) in found.items():
        part.state.pop(parameter, None)
        if name in saved:
            part.state[parameter] = {key: _placed(key, value, parameter, group) for key, value in saved[name].items()}
    for part in optimizer.optimizers:
        if isinstance(part, RowAdamW):
            part.restored()


def _parameters(
    optimizer: Combined, network: nn.Module
) -> Iterator[tuple[str, nn.Parameter, Optimizer, dict[str, Any]]]:
    names = {parameter: name for name, parameter in network.named_parameters()}
    for part in optimizer.optimizers:
        for group in part.param_groups:
            for parameter in group["params"]:
                yield names[parameter], parameter, part, group


def _check(
    name: str, parameter: nn.Parameter, part: Optimizer, group: Mapping[str, Any], state: Mapping[str, Tensor]
) -> None:
    keys = STATES[type(part)] if group.get("momentum", 1) or not isinstance(part, SGD) else frozenset()
    if set(state) != keys:
        raise _misfit(name, f"the state of {type(part).__name__}: {_sorted(keys)}", _sorted(state))
    for key, value in state.items():
        shape = parameter.shape if key in LIKE_PARAMETER else parameter.shape[:1] if key == "last_step" else None
        if shape is not None and value.shape != shape:
            raise _misfit(f"{name}/{key}", f"the shape {tuple(shape)}", str(tuple(value.shape)))


def _placed(key: str, value: Tensor, parameter: nn.Parameter, group: Mapping[str, Any]) -> Tensor:
    if key in LIKE_PARAMETER:  # in the parameter's memory format too: fused kernels walk through both alike
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    # torch keeps the count of steps on the host, except for kernels that read it on the device.
    on_host = not (group.get("fused") or group.get("capturable")) if key == "step" else key in ON_HOST
    return value.clone().to(torch.device("cpu") if on_host else parameter.device)


def _sorted(keys: Iterable[str]) -> str:
    return listed(sorted(keys)) or "no tensors"


def _misfit(name: str, expected: str, found: str) -> ArtifactError:
    return ArtifactError(
        f"the saved state of the optimizer, '{name}'",
        expected=expected,
        found=found,
        action="Resume with the settings and the data that the run was started with, or start again",
    )
