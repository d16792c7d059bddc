"""One optimizer step: forward and backward over its rows, in as many parts as memory asks for."""

from __future__ import annotations

import gc
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from luban.core.errors import TrainingError
from luban.core.runtime import autocast, generator, is_out_of_memory, seeded
from luban.core.tensors import Batch, Columns
from luban.models.network import Network
from luban.tasks.base import Task
from luban.training.augment import AugmentConfig, augment, with_unknown
from luban.training.compilation import compiled
from luban.training.optim.optimizers import l1_penalty
from luban.training.recipe import TrainConfig

Positions = npt.NDArray[np.int64]
MAX_PARTS = 2**16  # counters of random draws: step * MAX_PARTS + part


@dataclass(frozen=True)
class Gradients:
    """What the backward passes of a step found. loss: mean over its units. bad_rows: positions in the data set of those
    whose own loss is not finite."""

    loss: float
    tokens: int
    bad_rows: list[int]


@dataclass
class TrainStep:
    """How the gradients of a step come about. parts: forward passes that a batch is cut into. compiled: the network as
    torch.compile made it, sharing its weights; None to take the network as it is."""

    network: Network
    task: Task
    config: TrainConfig
    seed: int
    device: torch.device
    dtype: torch.dtype
    parts: int = 1
    compiled: nn.Module | None = None

    def __post_init__(self) -> None:
        self.task = self.task.configured(self.config.loss)

    def cut(self, positions: Positions) -> list[Positions]:
        """Cut a batch into parts of at least two rows, since one row alone has no batch statistics."""
        parts = 1 if self.task.couples_rows else max(1, min(self.parts, len(positions) // 2))
        return [positions] if parts == 1 else np.array_split(positions, parts)

    def gradients(self, positions: Positions, batches: list[Batch], step: int) -> Gradients:
        """Add the gradients of the mean loss over all units to the parameters; each weighs the same in any part.

        batches: the rows, cut by `cut`. Raises MemoryError or RuntimeError where memory does not suffice.
        """
        loss, tokens, bad = 0.0, 0, []
        start = 0
        batches = [self.drawn(batch, step * MAX_PARTS + part) for part, batch in enumerate(batches)]
        units = sum(float(self.task.num_units(batch).sum()) for batch in batches)
        for part, batch in enumerate(batches):
            losses_B = self.loss(batch.to(self.device), step * MAX_PARTS + part)
            share = losses_B.sum() / max(units, 1.0)
            if self.config.optim.l1:
                share = share + self.config.optim.l1 * l1_penalty(self.network) * (len(batch) / len(positions))
            share.backward()  # type: ignore[no-untyped-call]
            value = float(share.detach())
            if not math.isfinite(value):
                bad += [int(positions[start + i]) for i in (~losses_B.isfinite()).nonzero().flatten().tolist()]
            loss, tokens, start = loss + value, tokens + batch.num_tokens, start + len(batch)
        return Gradients(loss, tokens, bad)

    def smaller(self, error: BaseException, positions: Positions, step: int) -> None:
        """Halve the parts after a step that ran out of memory.

        Raises TrainingError where they cannot be halved, and the error itself where it is another one.
        """
        if not is_out_of_memory(error):
            raise error
        for parameter in self.network.parameters():
            parameter.grad = None
        used = len(self.cut(positions))
        if used >= max(1, len(positions) // 2) or self.task.couples_rows:
            raise TrainingError(
                f"training, step {step}",
                expected="memory for two rows at a time",
                found="less",
                action="Shorten the inputs (features.text.max_length), or choose a smaller model",
            ) from error
        self.parts = 2 * used
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def warm_up(self, batch: Batch) -> None:
        """Compile the network on a batch that is the same in every process of a run, so that its code is too.

        Afterwards the network is as it was.
        """
        buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        self.compiled = compiled(self.network, batch)
        self.loss(batch.to(self.device), 0).mean().backward()  # type: ignore[no-untyped-call]
        for parameter in self.network.parameters():
            parameter.grad = None
        for name, buffer in self.network.named_buffers():
            buffer.copy_(buffers[name])

    def drawn(self, batch: Batch, counter: int) -> Batch:
        """Return a batch with what its task draws for this counter alone."""
        return self.task.drawn(batch, generator(self.seed, "task", counter))

    def loss(self, batch: Batch, counter: int) -> Tensor:
        """Return the loss of each row (B,); dropout and augmentation are drawn for this counter alone."""
        inputs = self.augmented(batch.inputs, counter)
        with seeded(self.seed, "dropout", counter), autocast(self.device, self.dtype):
            outputs = (self.network if self.compiled is None else self.compiled)(inputs)
        return self.task.loss(outputs, batch)

    def augmented(self, inputs: Columns, counter: int) -> Columns:
        if self.network.unknown:
            inputs = with_unknown(inputs, self.network.unknown, generator(self.seed, "unknown", counter))
        config = self.config.augment
        if not isinstance(config, AugmentConfig):
            return inputs
        draw = generator(self.seed, "augment", counter)
        return {
            name: augment(value, config, draw) if isinstance(value, Tensor) and value.ndim == 4 else value
            for name, value in inputs.items()
        }
