"""From a checkpoint's safetensors into an encoder; nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from luban.core.errors import CheckpointError, listed
from luban.core.regular import check_regular
from luban.models.base import Encoder
from luban.models.pretrained.config import family_of, read_config, read_json
from luban.models.pretrained.family import Destination

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def load_weights(encoder: Encoder, directory: Path) -> list[str]:
    """Copy a checkpoint's tensors into an encoder built from its configuration, in the encoder's own precision.

    Returns a sentence where the checkpoint's own head was left out. Raises CheckpointError where a tensor has no place,
    a parameter has no tensor, shapes differ, or there are no safetensors.
    """
    family = family_of(read_config(directory), directory)
    parameters = dict(encoder.named_parameters(remove_duplicate=False))
    unfilled = {name: parameter.numel() for name, parameter in parameters.items()}
    heads: list[str] = []
    for path in weight_files(directory):
        for name, tensor in _tensors(path):
            destination = family.destination(name)
            if destination is not None and destination.name in parameters:
                _copy(tensor, parameters[destination.name], destination, f"{path}, tensor '{name}'")
                unfilled[destination.name] -= tensor.numel()
            elif family.is_head(name):
                heads.append(name)
            elif not family.is_unused(name):
                raise CheckpointError(
                    str(path),
                    expected="the tensors that its config.json describes",
                    found=f"'{name}' beside them",
                    action="Choose another checkpoint; this one is of another kind than it says",
                )
    filled = {id(parameters[name]) for name, count in unfilled.items() if count == 0}
    if missing := [name for name in unfilled if id(parameters[name]) not in filled]:
        raise CheckpointError(
            str(directory),
            expected="a tensor for each parameter of the encoder",
            found=f"none for {listed(missing)}",
            action="Set pooling to mean" if missing[0].startswith("pooler.") else "Copy the checkpoint again",
        )
    return [f"{directory.name}: left out the head it was trained with ({listed(heads, 4)})"] if heads else []


def weight_files(directory: Path) -> list[Path]:
    """Return the files that hold a checkpoint's tensors: one, or those that its index names.

    Raises CheckpointError where there are none, or the index points out of the folder.
    """
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / INDEX).is_file():
        names = sorted({str(name) for name in dict(read_json(directory / INDEX).get("weight_map", {})).values()})
        if outside := [name for name in names if Path(name).name != name or "\\" in name]:
            raise CheckpointError(
                str(directory / INDEX),
                expected="names of files beside it",
                found=listed(outside),
                action="Do not use this checkpoint",
            )
        return [directory / name for name in names]
    pickled = sorted(path.name for path in directory.glob("*.bin"))
    raise CheckpointError(
        str(directory),
        expected=f"weights in {WEIGHTS}",
        found=f"only {listed(pickled)}, a pickle that could run code and is never opened" if pickled else "none",
        action="Save the model again with `save_pretrained(folder, safe_serialization=True)`"
        if pickled
        else "Copy the checkpoint again",
    )


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    check_regular(path, CheckpointError)
    try:
        with safe_open(path, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 - the handle is no mapping
                yield name, stored.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            str(path), expected="a whole safetensors file", found=f"'{error}'", action="Copy the checkpoint again"
        ) from error


def _copy(tensor: Tensor, parameter: nn.Parameter, destination: Destination, where: str) -> None:
    with torch.no_grad():
        target = parameter.chunk(destination.parts)[destination.part]
        if target.shape != tensor.shape:
            raise CheckpointError(
                where,
                expected=f"shape {tuple(target.shape)}",
                found=f"{tuple(tensor.shape)}",
                action="Choose another checkpoint; this one does not fit its own config.json",
            )
        target.copy_(tensor)
