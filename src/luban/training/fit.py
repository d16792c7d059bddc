"""One training from a built network to its best weights: what is settled by measurement, then the loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from luban.core.errors import ConfigError, LubanError
from luban.core.events import Event, Noted
from luban.core.machine.resources import available_memory, device_memory, resident_memory
from luban.core.runtime import faster_dtype, is_out_of_memory
from luban.core.tensors import Batch
from luban.features.dataset import Dataset
from luban.models.network import Network, NetworkSpec
from luban.tasks.base import Task
from luban.training.budget import Budget
from luban.training.checkpoint import Checkpoints
from luban.training.compilation import LONG_SECONDS, Trial, has_compiler, require_compiler, try_compiling
from luban.training.interrupt import Interrupt
from luban.training.loop import Loop
from luban.training.optim.clipping import clip_grad_norm
from luban.training.optim.combined import TAKE_SPARSE, build_optimizer
from luban.training.preflight import probe
from luban.training.preflight import trial as preflight_trial
from luban.training.preflight.batch_size import BatchSize, choose_batch_size, timed
from luban.training.preflight.lr_finder import STEPS, RateCurve, find_rate
from luban.training.preflight.preflight import preflight
from luban.training.recipe import TrainConfig
from luban.training.step import Positions, TrainStep
from luban.training.vectors import with_vectors
from luban.training.vocabulary import used_vocabulary

# From either on the faster precision is measured. Each row multiplies each weight of a dense layer once; below so many
# products bfloat16 was measured to gain less than it must, whatever the shape of the layers.
MEASURED_PARAMETERS, MEASURED_PRODUCTS = 250_000, 20_000_000
UPDATED_PARAMETERS = 2_000_000  # at most, for the update to be part of the measured step
SMALLEST_PART = 2  # rows
MEMORY_SHARE = 0.8  # of what is free, that a batch may take
CHANCE_ROWS = 10_000
Tell = Callable[[Event], None]


@dataclass
class Job:
    """What a training is made of.

    config: completed by the recipe. folder: for checkpoints. row_numbers: of the training
    rows. resume: go on from the newest checkpoint. facts: what a resumed run must have in common with the first;
    surroundings: what it is told of where it differs.
    cache: a folder for vectors of frozen encoders.
    """

    network: Network
    spec: NetworkSpec
    task: Task
    train: Dataset
    validation: Dataset
    config: TrainConfig
    seed: int
    device: torch.device
    folder: Path
    row_numbers: Positions
    resume: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    surroundings: dict[str, str] = field(default_factory=dict)
    interrupt: Interrupt = field(default_factory=Interrupt)
    cache: Path | None = None

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32

    @property
    def budget(self) -> Budget:
        """How long the training is, and the rows of each step; by the rows as they are before frozen encoders."""
        return Budget(self.train.lengths, self.config, self.seed)

    @property
    def rows_per_part(self) -> int:
        """Rows of one forward pass, of which there are never more than there are to train on."""
        return -(-min(self.budget.rows_per_step, len(self.train)) // self.config.accumulate)

    def settle(self, **settings: object) -> None:
        """Replace settings."""
        self.config = self.config.model_copy(update=settings)

    def first_batch(self, size: int) -> Batch:
        """Return the first rows, as many as asked for, from the beginning again where there are too few."""
        return self.train.batch(np.arange(size) % len(self.train))

    def check_facts(self) -> None:
        """Raise ArtifactError where this run cannot go on with the checkpoints that are there."""
        Checkpoints(self.folder, self.facts).check_facts()

    def strangers(self) -> list[str]:
        """Say what will stay beside the checkpoints, since this run did not write it."""
        return Checkpoints(self.folder, self.facts).strangers()

    def clear_checkpoints(self) -> None:
        """Remove the checkpoints of a finished run."""
        Checkpoints(self.folder, self.facts).clear()


def settle(job: Job, asked: TrainConfig, tell: Tell) -> None:
    """Replace each `auto` of the settings by what is measured to be best: the written settings repeat the run.

    Raises ConfigError where validations are asked for and there are no rows for them.
    """
    if asked.validate_every and not len(job.validation):
        raise ConfigError(
            "train.validate_every",
            expected="validation rows",
            found="none",
            action="Leave it out, or set data.split.validation above 0",
        )
    job.network.to(job.device)
    step_seconds = None
    if job.config.precision == "auto":
        dtype, step_seconds = choose_precision(job)
        job.settle(precision=str(dtype).removeprefix("torch."))
    if asked.batch_size == "auto":
        chosen = batch_size_for(job)
        tell(Noted("train", f"{chosen.reason} (train.batch_size)"))
        job.settle(batch_size=chosen.size)
    if asked.compile == "auto":
        try:
            trial = trial_of_compiling(job, None if asked.batch_size == "auto" else step_seconds)
        except LubanError:
            raise
        except Exception as error:  # noqa: BLE001 - torch.compile raises whatever it stumbles over
            trial = None
            why = (str(error) or type(error).__name__).splitlines()[0][:200]
            tell(Noted("train", f"torch.compile fails here and is not used: {why}"))
        if trial is not None:
            pays = trial.pays(job.budget.steps)
            tell(Noted("train", f"{trial}: {'used' if pays else 'not used'} (train.compile)"))
        job.settle(compile=trial is not None and trial.pays(job.budget.steps))
    elif asked.compile:
        require_compiler(job.device)


def fit(job: Job, tell: Tell) -> None:
    """Train the network in place, telling every event. Raises TrainingError where preflight or the training fails."""
    network, spec, config = job.network, job.spec, job.config
    train, validation = job.train, job.validation
    if spec.frozen and spec.of_rows:
        kept = partial(with_vectors, network, names=spec.frozen, device=job.device, dtype=job.dtype, cache=job.cache)
        train, validation = (kept(part, note=lambda text: tell(Noted("train", text))) for part in (train, validation))
    is_one = spec.of_rows and len(spec.outputs) == 1
    fits_head = config.probe and is_one and spec.is_linear and len(spec.backbones) == len(spec.inputs)
    loop = Loop(
        network=network,
        task=job.task,
        train=train,
        validation=validation,
        config=config,
        seed=job.seed,
        device=job.device,
        dtype=job.dtype,
        backbones=[network.encoder_prefix(name) for name in spec.backbones],
        folder=job.folder,
        validate_first=bool(fits_head),
        chance=loss_by_chance(job.task, train, config),
        lengths=job.train.lengths if config.batch_tokens else None,
        row_numbers=job.row_numbers,
        resume=job.resume,
        facts=job.facts,
        surroundings=job.surroundings,
        interrupt=job.interrupt,
    )
    goes_on = loop.can_resume()
    if fits_head and not goes_on:
        probe.fit_head(network, job.task, train, config.loss, job.seed, job.device, job.dtype)
    if config.preflight and not goes_on:
        check(loop, tell)
    with used_vocabulary(network, [train, validation], sparse=takes_sparse(config)):
        for event in loop.run():
            tell(event)


def check(loop: Loop, tell: Tell) -> None:
    """Check the run before time is spent on it. Raises TrainingError."""
    trial = trial_of(loop)
    with used_vocabulary(loop.network, [loop.train, loop.validation]):
        found = preflight(trial)
    tell(found.event())
    found.raise_failures()


def trial_of(loop: Loop) -> preflight_trial.Trial:
    """Return what preflight tries a training on."""
    return preflight_trial.Trial(
        network=loop.network,
        task=loop.task,
        train=loop.train,
        lengths=loop.lengths,
        config=loop.config,
        seed=loop.seed,
        device=loop.device,
        dtype=loop.dtype,
        backbones=loop.backbones,
        fitted_head=loop.validate_first,
        folder=None if loop.folder is None else loop.folder.parent,
        validation_rows=len(loop.validation),
        row_numbers=loop.row_numbers,
    )


def loss_by_chance(task: Task, train: Dataset, config: TrainConfig) -> float:
    """Return the mean loss of a network that knows nothing, over at most CHANCE_ROWS rows."""
    positions = np.arange(min(len(train), CHANCE_ROWS))
    batch = Batch({}, train.targets_of(positions), positions)
    losses, units = task.configured(config.loss).chance_loss(batch), task.num_units(batch)
    return float(losses.sum() / units.sum())


def range_test(job: Job) -> RateCurve:
    """Train a copy of the network at rising learning rates, one for all its parts, and propose one."""
    network, config = copy.deepcopy(job.network), job.config
    train = with_vectors(network, job.train, job.spec.frozen, job.device, job.dtype, job.cache)
    budget = Budget(job.train.lengths, config, job.seed)
    epochs = range(1, 2 + STEPS // budget.steps_per_epoch)
    batches = [rows for epoch in epochs for rows in budget.batches(epoch, group=False)]
    optimizer = build_optimizer(
        network, config.optim.model_copy(update={"learning_rate": 1.0, "backbone_learning_rate": None})
    )
    stepper = TrainStep(network, job.task, config, job.seed, job.device, job.dtype, config.accumulate)
    network.train()

    def step(rate: float, index: int) -> float:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        optimizer.zero_grad()
        parts = [train.batch(rows) for rows in stepper.cut(batches[index])]
        found = stepper.gradients(batches[index], parts, index)
        clip_grad_norm(network.parameters(), config.optim.clip_norm)
        optimizer.step()
        return found.loss

    with used_vocabulary(network, [train]):
        return find_rate(step)


def takes_sparse(config: TrainConfig) -> bool:
    """Whether token tables may have sparse gradients: their rows are not up to date at every step, which an average of
    the weights needs."""
    return config.optim.optimizer in TAKE_SPARSE and not config.ema and not config.swa


def choose_precision(job: Job) -> tuple[torch.dtype, float | None]:
    """Return the precision whose step is measured to be faster, and the seconds of one where they were measured; small
    networks gain too little to be measured."""
    parameters, size = sum(parameter.numel() for parameter in job.network.parameters()), job.rows_per_part
    if not precision_matters(parameters, size):
        return torch.float32, None
    trial = copy.deepcopy(job.network)  # batch statistics of the network itself stay as they are
    while True:
        try:
            dtype, seconds = faster_dtype(step_by_dtype(job, trial, job.first_batch(size)), job.device)
            return dtype, seconds if size == job.rows_per_part else None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or size <= SMALLEST_PART:
                raise
        size //= 2  # the training itself will go in parts


def precision_matters(parameters: int, rows: int) -> bool:
    """Tell whether a step of so many rows has enough arithmetic for bfloat16 to be faster."""
    return parameters >= MEASURED_PARAMETERS or parameters * rows >= MEASURED_PRODUCTS


def step_by_dtype(job: Job, network: Network, batch: Batch) -> Callable[[torch.dtype], None]:
    """Return what computes the gradients of a batch in a given precision; in small networks it updates the weights,
    too, which takes a share of a step there that depends on which core holds the gradients."""
    if sum(parameter.numel() for parameter in network.parameters()) > UPDATED_PARAMETERS:
        return lambda dtype: step_of(job, network, dtype)(batch)
    backbones = [network.encoder_prefix(name) for name in job.spec.backbones]
    optimizer = build_optimizer(network, job.config.optim, backbones)

    def step(dtype: torch.dtype) -> None:
        optimizer.zero_grad()
        step_of(job, network, dtype)(batch)
        optimizer.step()

    return step


def batch_size_for(job: Job) -> BatchSize:
    """Return the batch size that is measured to train most rows a second within the memory there is."""
    trial = copy.deepcopy(job.network)
    step = step_of(job, trial, job.dtype)
    budget = available_memory(job.device)
    used = resident_memory if job.device.type == "cpu" else device_memory
    before = used() or 0
    return choose_batch_size(
        timed(lambda size: step(job.first_batch(size))),
        job.config.rows_per_step,
        len(job.train),
        used,
        None if budget is None else before + int(MEMORY_SHARE * budget),
    )


def trial_of_compiling(job: Job, step_seconds: float | None) -> Trial | None:
    """Measure what torch.compile would save, where there is a compiler and the training is long.

    step_seconds: of a part, where they are known already.
    """
    if not has_compiler(job.device) or job.spec.frozen:
        return None
    if step_seconds is not None and step_seconds * job.budget.steps * job.config.accumulate < LONG_SECONDS:
        return None
    batch = job.first_batch(job.rows_per_part)
    network = copy.deepcopy(job.network)
    stepper = TrainStep(network, job.task, job.config, job.seed, job.device, job.dtype)

    def step() -> None:
        stepper.loss(batch.to(job.device), 0).mean().backward()  # type: ignore[no-untyped-call]

    with used_vocabulary(network, [job.train], sparse=takes_sparse(job.config)):  # as in the training
        return try_compiling(step, lambda: stepper.warm_up(batch), job.budget.steps)


def step_of(job: Job, network: Network, dtype: torch.dtype) -> Callable[[Batch], None]:
    """Return what computes the gradients of a batch, for measuring."""
    stepper = TrainStep(network, job.task, job.config, job.seed, job.device, dtype)

    def step(batch: Batch) -> None:
        stepper.loss(batch.to(job.device), 0).mean().backward()  # type: ignore[no-untyped-call]

    return step
