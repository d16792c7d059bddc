"""What every layer of a network puts out in one forward pass, and the gradient that comes back to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from luban.core.tensors import Ragged
from luban.models.base import Encoder
from luban.models.dropout import Dropout

MAX_VALUES = 64  # a larger tensor is summarised
MAX_KEPT_INPUT = 4096  # numbers of an input that are kept for the chain rule of small networks
BINS = 16
PASSING = (nn.Identity, nn.Dropout, Dropout, nn.Flatten)  # hand on what they are given, once dropout is off


@dataclass(frozen=True)
class Statistics:
    """A tensor in figures.

    std: of the population. zeros: share of exact zeros. not_finite: how many are NaN or infinite; the other figures
    leave these out. histogram: counts in equal bins from min to max. values: all numbers in row-major order, or None
    of a large tensor.
    """

    shape: tuple[int, ...]
    mean: float
    std: float
    min: float
    max: float
    zeros: float
    not_finite: int
    histogram: tuple[int, ...]
    values: tuple[float, ...] | None


def statistics(tensor: Tensor) -> Statistics:
    """Summarise a tensor of any type and shape."""
    flat = tensor.detach().flatten().double()
    finite = flat[flat.isfinite()]
    values = tuple(flat.tolist()) if 0 < len(flat) <= MAX_VALUES else None
    shape = tuple(tensor.shape)
    if not len(finite):
        return Statistics(shape, 0.0, 0.0, 0.0, 0.0, 0.0, len(flat), (), values)
    low, high = float(finite.min()), float(finite.max())
    counts = torch.histc(finite, BINS, low, high) if high > low else torch.tensor([float(len(finite))])
    return Statistics(
        shape=shape,
        mean=float(finite.mean()),
        std=float(finite.std(correction=0)),
        min=low,
        max=high,
        zeros=float((finite == 0).double().mean()),
        not_finite=len(flat) - len(finite),
        histogram=tuple(int(count) for count in counts.tolist()),
        values=values,
    )


@dataclass
class Call:
    """One call of a layer. output, gradient: detached, of the same shape; gradient is None until the backward pass, and
    where none flows. input: the first tensor it was given, if it is small. work: multiplications and additions."""

    name: str
    module: nn.Module
    output: Tensor
    input: Tensor | None
    work: int
    gradient: Tensor | None = None

    def keep_gradient(self, gradient: Tensor) -> None:
        self.gradient = gradient.detach().clone()


@dataclass(frozen=True)
class Layer:
    """A call, summarised. weights: numbers in the layer's own parameters."""

    name: str
    kind: str
    weights: int
    output: Statistics
    gradient: Statistics | None


def summary(call: Call) -> Layer:
    return Layer(
        name=call.name,
        kind=type(call.module).__name__,
        weights=sum(parameter.numel() for parameter in call.module.parameters()),
        output=statistics(call.output),
        gradient=None if call.gradient is None else statistics(call.gradient),
    )


@dataclass
class Recording:
    """calls: of the layers that have no layers inside, and of whole encoders, in the order in which they ended."""

    calls: list[Call] = field(default_factory=list)

    @property
    def leaves(self) -> list[Call]:
        return [call for call in self.calls if is_leaf(call.module)]


def is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


@contextmanager
def recorded(network: nn.Module) -> Iterator[Recording]:
    """Record the calls of a network's layers, and, as long as its graph lives, the gradients of their outputs."""
    recording = Recording()
    handles = []
    for name, module in network.named_modules():
        if name and (is_leaf(module) or isinstance(module, Encoder)):

            def keep(module: nn.Module, inputs: tuple[object, ...], output: object, name: str = name) -> None:
                tensor = first_tensor(output)
                if tensor is None or not tensor.is_floating_point():
                    return
                given = first_tensor(inputs)
                small = given is not None and given.numel() <= MAX_KEPT_INPUT
                # Copied at once: a later layer may work in place.
                kept = given.detach().clone() if given is not None and small else None
                call = Call(name, module, tensor.detach().clone(), kept, work_of(module, tensor))
                if tensor.requires_grad:
                    tensor.register_hook(call.keep_gradient)  # type: ignore[no-untyped-call]
                recording.calls.append(call)

            handles.append(module.register_forward_hook(keep))
    try:
        yield recording
    finally:
        for handle in handles:
            handle.remove()


def first_tensor(value: object) -> Tensor | None:
    """Return the tensor, or the first one in a tuple: a recurrent layer also returns its last states."""
    if isinstance(value, (tuple, list)):
        return first_tensor(value[0]) if value else None
    return value if isinstance(value, Tensor) else None


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Change every tensor in dicts, tuples (also for lists) and ragged batches; leave anything else as it is."""
    if isinstance(value, dict):
        return {name: map_tensors(item, change) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(map_tensors(item, change) for item in value)
    if isinstance(value, Ragged):
        return Ragged(change(value.values), value.offsets)
    return change(value) if isinstance(value, Tensor) else value


def work_of(module: nn.Module, output: Tensor) -> int:
    """Estimate the operations of one call: two for each weight at each place of the output."""
    if not is_leaf(module) or isinstance(module, nn.Embedding) or output.ndim < 2:
        return 0
    is_convolution = isinstance(module, (nn.Conv1d, nn.Conv2d))
    width = output.shape[1] if is_convolution else output.shape[-1]
    weights = sum(parameter.numel() for parameter in module.parameters())
    return 2 * weights * (output.numel() // max(1, width))
