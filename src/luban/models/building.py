"""Networks that get their weights from a file: built without drawing any, filled whole, tied where the network ties."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from luban.core.errors import ArtifactError
from luban.core.weights import difference


@contextmanager
def no_weights() -> Iterator[None]:
    """Build modules whose parameters take neither time nor memory: they are on the meta device. Buffers are computed.

    A module that is given a parameter of another shares it, as ever.
    """
    builder = threading.get_ident()

    def emptied(module: nn.Module, name: str, parameter: nn.Parameter) -> nn.Parameter | None:
        if parameter is None or parameter.is_meta or threading.get_ident() != builder:
            return None
        return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    handle = register_module_parameter_registration_hook(emptied)  # type: ignore[arg-type]
    try:
        yield
    finally:
        handle.remove()


def materialize(module: nn.Module) -> None:
    """Give memory on the host, whose contents are left open, to the parameters that have none."""
    for places in _shared(module, "_parameters"):
        parameter = places[0][0]._parameters[places[0][1]]
        assert parameter is not None
        if parameter.is_meta:
            made = nn.Parameter(torch.empty_like(parameter, device="cpu"), requires_grad=parameter.requires_grad)
            for owner, name in places:
                setattr(owner, name, made)


def fill(module: nn.Module, weights: dict[str, Tensor], where: str) -> None:
    """Let a module have the weights of a file as its own, with no copy; parameters that were one stay one.

    where: the file, for messages. Raises ArtifactError where the weights are not just those of the module.
    """
    unlike = difference(module.state_dict(), weights)
    if unlike is not None:
        raise _misfit(f"{where}, '{unlike[0]}'", *unlike[1:])
    tied = [(kind, places) for kind in ("_parameters", "_buffers") for places in _shared(module, kind)]
    module.load_state_dict(weights, assign=True)
    for kind, (first, *others) in tied:
        kept = getattr(first[0], kind)[first[1]]
        for owner, name in others:
            other = getattr(owner, kind)[name]
            if other is not kept and not torch.equal(other, kept):
                raise _misfit(f"{where}, '{name}'", "one tensor, since the network ties them", "two that differ")
            setattr(owner, name, kept)
    left = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    assert not left, f"computed from weights that were not there yet: {left}"


def not_stored(module: nn.Module) -> list[str]:
    """Return the names of the buffers that a module computes when it is built, and no file holds."""
    stored = module.state_dict()
    return [name for name, _ in module.named_buffers() if name not in stored]


def _shared(module: nn.Module, kind: str) -> list[list[tuple[nn.Module, str]]]:
    """Return for each parameter or buffer the places in which it stands: a module, and a name there."""
    found: dict[int, list[tuple[nn.Module, str]]] = {}
    for owner in module.modules():
        for name, tensor in getattr(owner, kind).items():
            if tensor is not None:
                found.setdefault(id(tensor), []).append((owner, name))
    return list(found.values())


def _misfit(where: str, expected: str, found: str) -> ArtifactError:
    return ArtifactError(where, expected=expected, found=found, action="Copy the run directory again")
