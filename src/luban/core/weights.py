"""Weights in safetensors files: tensors that share memory are stored once, and the header says who wrote them."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Container
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

MARK = "luban"  # in the metadata of each file that Luban writes
UNNAMED = re.compile(r"\.tmp[0-9A-Za-z]{6}")  # what safetensors calls a file until it is written
LARGEST_HEADER = 100_000_000  # bytes, the limit of safetensors itself

Tensors = dict[str, Tensor]


def save(path: Path, weights: Tensors, owner: str = "") -> None:
    """Save tensors that may share memory or lie on any device. owner: kept in the header.

    Of names for one tensor the first in the alphabet is stored, the others refer to it; tensors that overlap in another
    way, as views of one storage can, are stored each on its own.
    """
    mode = _mode_of_new_files(path)
    first: dict[tuple[object, ...], str] = {}
    aliases: dict[str, str] = {}
    for name in sorted(weights):
        stored = first.setdefault(_place(weights[name], name), name)
        if stored != name:
            aliases[name] = stored
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in weights.items() if name not in aliases}
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_ptr()):
        if tensor.data_ptr() < end:
            tensors[name] = tensor.clone()
        end = max(end, tensor.data_ptr() + tensor.nbytes)
    content = json.dumps({"aliases": aliases, "owner": owner}, sort_keys=True)
    safetensors.torch.save_file(tensors, path, metadata={MARK: content})
    path.chmod(mode)  # safetensors makes a file that only its owner can read


def _mode_of_new_files(path: Path) -> int:
    """Return the permissions that the user's umask gives to a new file there."""
    path.touch()
    return path.stat().st_mode & 0o777


def _place(tensor: Tensor, name: str) -> tuple[object, ...]:
    """Return what two names of one tensor have in common."""
    if not tensor.numel() or tensor.is_meta:
        return (name,)
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())


def load(path: Path) -> Tensors:
    """Load what `save` wrote; names that were one tensor are one again. Raises OSError, ValueError or SafetensorError
    where the file is damaged."""
    tensors = safetensors.torch.load_file(path)
    return tensors | {name: tensors[stored] for name, stored in aliases_of(path, tensors).items()}


def aliases_of(path: Path, stored: Container[str]) -> dict[str, str]:
    """Return other names of the tensors that a file stores. Raises ValueError where they are of none."""
    aliases = (mark_of(path) or {}).get("aliases", {})
    if not isinstance(aliases, dict) or not all(
        isinstance(first, str) and first in stored and name not in stored for name, first in aliases.items()
    ):
        raise ValueError("a header that names tensors which are not there")
    return aliases


def is_unfinished(path: Path, owner: str = "") -> bool:
    """Tell whether a file is what a kill left of a `save` by that owner; an empty one of such a name holds nothing that
    could be somebody else's."""
    if not UNNAMED.fullmatch(path.name):
        return False
    return not path.stat().st_size or (mark_of(path) or {}).get("owner") == owner


def mark_of(path: Path) -> dict[str, Any] | None:
    """Return what Luban wrote into the header of a file; None where the file is not of its making."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_HEADER:
                return None
            header = json.loads(file.read(length))
        found = json.loads(header["__metadata__"][MARK])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, struct.error):
        return None
    return found if isinstance(found, dict) else None


def difference(own: Tensors, found: Tensors) -> tuple[str, str, str] | None:
    """Return the first name under which two sets of tensors differ in shape or type, and what each has there; None
    where they are alike."""
    for name in [*own, *found]:
        here, there = (_described(tensors.get(name)) for tensors in (own, found))
        if here != there:
            return name, here, there
    return None


def _described(tensor: Tensor | None) -> str:
    return "none" if tensor is None else f"{tuple(tensor.shape)} {tensor.dtype}".replace("torch.", "")
