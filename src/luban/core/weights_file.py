"""What a file of weights holds, before any of it is loaded: names, types and shapes, held against the network's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from luban.core.weights import aliases_of

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
SPARE = 16  # parameters that a network may make and not keep


@dataclass(frozen=True)
class Stored:
    """One tensor of a file."""

    dtype: torch.dtype | None
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{list(self.shape)} of {str(self.dtype).removeprefix('torch.')}"


def header(path: Path) -> dict[str, Stored]:
    """Return the tensors of a file by name. Raises OSError, ValueError and SafetensorError where it is none."""
    with safetensors.safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - the handle is no mapping
        found = {
            name: Stored(TYPES.get(str(each.get_dtype())), tuple(each.get_shape())) for name, each in slices.items()
        }
    return found | {name: found[first] for name, first in aliases_of(path, found).items()}


@contextmanager
def at_most(tensors: int) -> Iterator[None]:
    """Let a network make no more parameters than a file of so many tensors can fill; raises ValueError beyond."""
    made = 0

    def count(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> None:
        nonlocal made
        made += 1
        if made > 2 * tensors + SPARE:
            raise ValueError(f"a network of more weights than the {tensors} that are stored")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def check_same(stored: Mapping[str, Stored], expected: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError that names the first tensor in which a file and a network differ."""
    for name in sorted({*stored, *expected}):
        if name not in stored or name not in expected:
            raise ValueError(f"'{name}', which {'the network has not' if name in stored else 'is not there'}")
        wanted = Stored(expected[name].dtype, tuple(expected[name].shape))
        if stored[name] != wanted:
            raise ValueError(f"'{name}': {stored[name]} in place of {wanted}")


def check_finite(weights: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError that names the first tensor with numbers that are not finite."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not (finite := tensor.isfinite()).all():
            raise ValueError(f"'{name}': {int((~finite).sum()):,} of {tensor.numel():,} numbers are not finite")
