"""What a run will take: time, memory and disk, from a few real steps and what is known of its tensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from luban.core.machine.resources import available_disk, available_memory
from luban.core.runtime import generator, synchronize
from luban.core.sentence import sentence
from luban.core.tensors import Batch
from luban.forward import MAX_ROWS
from luban.training.checkpoint import KEPT
from luban.training.optim.clipping import clip_grad_norm
from luban.training.optim.combined import Combined, build_optimizer
from luban.training.preflight.trial import Check, Rows, Trial
from luban.training.step import TrainStep

MEMORY = sentence("preflight.memory.name", "the run fits into memory")
DISK = sentence("preflight.disk.name", "the run fits onto the disk")
TIMED_STEPS = 3  # at most
TIMED_SECONDS = 0.7  # after which no further one is begun
LONG_STEP = 2.0  # seconds: no second one is needed to know that it takes long
VALIDATION_SHARE = 1 / 3  # of a training step: a forward pass has no backward pass
CHECKPOINTS = KEPT + 2  # those that are kept, that of an epoch's start, the one being written; best weights likewise
FILES = 4 << 20  # bytes of everything else in a run directory
INFERENCE_TENSORS = 2  # of the largest kind, which are in memory at once without gradients
BACKWARD = 1.25  # of the activations: gradients of some are there before the last of them is freed
MOMENTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "rmsprop": 1, "adam": 2, "adamw": 2, "lion": 1, "muon": 1}


@dataclass(frozen=True)
class Weights:
    """Bytes of a network's tensors. whole: all of them; trained: parameters that change; buffers: statistics."""

    whole: int
    trained: int
    buffers: int

    @classmethod
    def of(cls, network: nn.Module) -> Weights:
        parameters = list(network.parameters())
        buffers = sum(_bytes(buffer) for buffer in network.buffers())
        trained = sum(_bytes(parameter) for parameter in parameters if parameter.requires_grad)
        return cls(sum(_bytes(parameter) for parameter in parameters) + buffers, trained, buffers)


@dataclass(frozen=True)
class Activations:
    """Bytes that one pass over a batch leaves for its backward pass, and of the largest single tensor among them.

    units: the tokens, or the rows where nothing is packed, of that batch.
    """

    kept: int
    largest: int
    units: int


@dataclass(frozen=True)
class Estimate:
    """seconds: of all steps. epochs: None where the steps are set. memory_bytes: held at the peak, what the process
    holds already included.

    step_seconds, seconds: None where the run does not fit and nothing was measured.
    """

    epochs: int | None
    steps: int
    step_seconds: float | None
    seconds: float | None
    memory_bytes: int
    disk_bytes: int

    def record(self) -> dict[str, Any]:
        return asdict(self)


def state_bytes(trial: Trial) -> int:
    """Return the bytes that training adds to a network: gradients, the optimizer's moments, the best weights, those of
    the start, an average."""
    weights = Weights.of(trial.network)
    averages = bool(trial.config.ema or trial.config.swa)
    return weights.trained * (3 + averages + MOMENTS[str(trial.config.optim.optimizer)]) + 2 * weights.buffers


def disk_bytes(trial: Trial) -> int:
    """Return the bytes of a run directory at its largest: checkpoints, the best weights, the finished model."""
    weights = Weights.of(trial.network)
    changing = weights.trained + weights.buffers
    averages = bool(trial.config.ema or trial.config.swa)
    checkpoint = changing * (1 + averages) + weights.trained * MOMENTS[str(trial.config.optim.optimizer)]
    return CHECKPOINTS * (checkpoint + changing) + weights.whole + FILES


def activation_bytes(trial: Trial, measured: Activations) -> int:
    """Return the bytes of activations at the peak: of the longest batch in training, or of one in validation.

    Those of one batch grow with its tokens, or its rows where nothing is packed.
    """
    lengths, longest = trial.train.lengths, trial.budget.longest_part
    is_packed = any(column.is_packed for column in trial.train.inputs.values())
    validated = max(trial.train.token_budget, int(lengths.max(initial=1))) if is_packed else MAX_ROWS
    units = max(1, measured.units)
    training = BACKWARD * measured.kept * longest / units
    validation = INFERENCE_TENSORS * measured.largest * validated / units if trial.validation_rows else 0.0
    return int(max(training, validation))


def total_seconds(trial: Trial, step_seconds: float) -> float:
    """Return the time of all steps and validations; a training that is stopped early takes less."""
    budget = trial.budget
    validation = VALIDATION_SHARE * trial.validation_rows / budget.rows_per_step
    return step_seconds * (budget.steps + budget.validations * validation)


def check_memory(trial: Trial, more: int) -> Check:
    """more: bytes that the run will take beyond what is taken now."""
    available = available_memory(trial.device)
    goal = "as much as is free" if available is None else f"at most {shown(available)}, which are free"
    if available is None or more <= available:
        return Check(
            MEMORY, "passed", goal, sentence("preflight.memory.found", "{size} more than now", size=shown(more))
        )
    rows = trial.budget.rows_per_step // trial.config.accumulate
    action = sentence("preflight.memory.action", "Choose a smaller model")
    if rows > 1 and state_bytes(trial) < available:
        action = sentence(
            "preflight.memory.action_batch",
            "Lower {setting}, or set train.accumulate={steps} or more",
            setting="train.batch_tokens" if trial.config.batch_tokens else "train.batch_size",
            steps=2 * trial.config.accumulate,
        )
    return Check(MEMORY, "failed", goal, f"{shown(more)}", action)


def check_disk(trial: Trial) -> Check:
    """Compare what the run writes with what is free where it writes."""
    needed = disk_bytes(trial)
    if trial.folder is None:
        return Check(DISK, "passed", "nothing", sentence("preflight.disk.none", "no run directory"))
    free = available_disk(trial.folder)
    goal = f"at most {shown(free)}, which are free"
    if needed <= free:
        return Check(DISK, "passed", goal, shown(needed))
    action = sentence("preflight.disk.action", "Set runs to a folder on a larger disk, or free some of this one")
    return Check(DISK, "failed", goal, shown(needed), action)


def measure(trial: Trial, clock: Callable[[], float] = time.perf_counter) -> tuple[float, Activations]:
    """Take real steps and return the seconds of the quickest, scaled to a batch of mean length, and what a forward
    pass keeps.

    Trains the network of the trial: give it a copy.
    """
    config = trial.config
    optimizer = build_optimizer(trial.network, config.optim, trial.backbones)
    stepper = TrainStep(trial.network, trial.task, config, trial.seed, trial.device, trial.dtype, config.accumulate)
    trial.network.train()
    rows = min(trial.budget.rows_per_step, len(trial.train))
    order = torch.randperm(len(trial.train), generator=generator(trial.seed, "preflight, steps")).numpy()
    middling = float(trial.train.lengths.mean()) * rows
    seconds: list[float] = []
    activations: list[Activations] = []
    began = clock()
    for step in range(TIMED_STEPS):
        positions = np.resize(np.roll(order, -step * rows), rows)
        start = clock()
        units = _step(trial, stepper, optimizer, positions, step, activations)
        synchronize()
        elapsed = clock() - start
        seconds.append(elapsed * middling / max(1, units))
        if elapsed > LONG_STEP or (step and clock() - began > TIMED_SECONDS):
            break
    return min(seconds), activations[0]


def _step(
    trial: Trial, stepper: TrainStep, optimizer: Combined, positions: Rows, step: int, activations: list[Activations]
) -> int:
    """Take one step as the loop does, in parts where memory runs out; return the tokens, or rows, of its batch."""
    while True:
        optimizer.zero_grad()
        try:
            batches = [trial.train.batch(chosen) for chosen in stepper.cut(positions)]
            if not activations:
                activations.append(_activations(trial.network, stepper, batches[0]))
            units = stepper.gradients(positions, batches, step).tokens
            break
        except (RuntimeError, MemoryError) as error:
            stepper.smaller(error, positions, step)
            activations.clear()
    clip_grad_norm(trial.network.parameters(), trial.config.optim.clip_norm)
    optimizer.step()
    return units


def _activations(network: nn.Module, stepper: TrainStep, batch: Batch) -> Activations:
    """Return what a forward pass of a batch keeps."""
    with counted(network) as counts:
        stepper.loss(batch.to(stepper.device), 0)
    return Activations(sum(counts.values()), max(counts.values(), default=0), batch.num_tokens)


@contextmanager
def counted(network: nn.Module) -> Iterator[dict[int, int]]:
    """Count the bytes of what operations keep for their backward pass, by storage; parameters are no activations."""
    own = {tensor.untyped_storage().data_ptr() for tensor in network.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield found


def shown(size: int) -> str:
    """Return '1.4 GB', '180 MB'."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
