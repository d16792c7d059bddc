"""The training loop: a generator of events that can be stopped at any moment and goes on where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from luban.core.errors import StoppedError
from luban.core.events import (
    CheckpointDue,
    CheckpointSaved,
    Diverged,
    Event,
    MemoryRanOut,
    Noted,
    Resumed,
    StepDone,
    Stopped,
    TrainingEnded,
    TrainingStarted,
    Validated,
)
from luban.core.machine.heap import Heap
from luban.core.sentence import Sentence, sentence
from luban.core.tensors import Batch
from luban.features.dataset import Dataset
from luban.forward import gathered
from luban.models.network import Network
from luban.tasks.base import Metric, Task
from luban.tasks.deciding import deciding_metric
from luban.training.budget import Budget
from luban.training.checkpoint import Checkpoint, Checkpoints, Tensors
from luban.training.interrupt import Interrupt
from luban.training.loader import auto_workers, prefetched
from luban.training.optim.averaging import WeightAverage
from luban.training.optim.clipping import clip_grad_norm
from luban.training.optim.combined import build_optimizer
from luban.training.optim.optimizers import schedule_factor
from luban.training.recipe import TrainConfig
from luban.training.recovery import Diverging, LossWatch
from luban.training.state import Progress, capture, restore, trained_weights
from luban.training.step import Positions, TrainStep

MAX_CHECKPOINT_SHARE = 0.05  # of the time that may go into writing checkpoints
UNDEFINED = -1e300  # the rank of a score that is not defined; JSON has no infinity


@dataclass
class Loop:
    """One training: state that changes from step to step.

    config: completed by the recipe. backbones: name prefixes of pretrained parameters. folder: for checkpoints, None to
    keep them in memory. validate_first: whether the network can be good before its first step. chance: the loss of
    guessing, 0 where it is not known. lengths: (rows,) that batches are made by, None for those of `train`.
    row_numbers: of the training table, for messages. resume: go on from the newest checkpoint. facts: what a resumed
    run must have in common with the run that was interrupted; surroundings: what it is told of where it differs.
    """

    network: Network
    task: Task
    train: Dataset
    validation: Dataset
    config: TrainConfig
    seed: int
    device: torch.device
    dtype: torch.dtype
    backbones: list[str]
    folder: Path | None = None
    validate_first: bool = False
    chance: float = 0.0
    lengths: Positions | None = None
    row_numbers: Positions | None = None
    resume: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    surroundings: dict[str, str] = field(default_factory=dict)
    interrupt: Interrupt = field(default_factory=Interrupt)

    def run(self) -> Iterator[Event]:
        """Train, yielding an event for each step and validation; afterwards the network holds the best weights, or
        the last where there are no validation rows.

        Raises TrainingError where the loss stays astray, StoppedError after a signal, ArtifactError on a full disk.
        """
        self.begin()
        yield self.started()
        for note in self.budget.notes():
            yield Noted("train", note)
        if self.resume:
            yield from self.resumed()
        if not self.progress.step:
            # On the disk it would hold up the first step, for a state that a killed run makes anew as fast.
            self.checkpoints.hold(*self.state(), self.best)
        while not self.progress.ended:
            try:
                yield from self.epoch()
            except Diverging as found:
                yield self.recovered(found)
        if self.best:
            self.network.load_state_dict(self.best, strict=False)
        elif self.average and self.average.count:
            self.network.load_state_dict(self.average.averages, strict=False)
        best_step = self.progress.best_step if self.config.validate_every else None
        yield TrainingEnded(self.progress.ended, self.progress.best_epoch, self.seconds(), best_step)

    def can_resume(self) -> bool:
        """Whether a whole checkpoint is there to go on from."""
        return self.resume and self.stored().newest() is not None

    def stored(self) -> Checkpoints:
        """Return the checkpoints that this training writes and can go on from."""
        return Checkpoints(self.folder, self.facts, self.require_fit, self.surroundings)

    def require_fit(self, found: Checkpoint) -> None:
        """Raise ValueError where a checkpoint's counters are none that this training can have."""
        progress, budget = Progress.from_json(found.state), self.budget
        is_beyond = progress.epoch > budget.epochs + 1 or progress.step > budget.steps
        if is_beyond or progress.batch > budget.steps_per_epoch:
            raise ValueError(sentence("resume.beyond", "its counters are beyond the training's end"))

    @cached_property
    def budget(self) -> Budget:
        """How long the training is, and the rows of each step."""
        return Budget(self.train.lengths if self.lengths is None else self.lengths, self.config, self.seed)

    def begin(self) -> None:
        """Set up everything that a checkpoint may overwrite."""
        config = self.config
        self.total = self.budget.steps
        self.workers = auto_workers(self.train, self.device) if config.workers is None else config.workers
        self.decider = deciding_metric(self.task, config.metric)
        self.optimizer = build_optimizer(self.network, config.optim, self.backbones)
        self.average = WeightAverage(self.network, config.ema) if config.ema or config.swa else None
        self.average_from = 0 if config.swa is None else min(round((1 - config.swa) * self.total), self.total - 1)
        self.checkpoints = self.stored()
        self.progress = Progress(
            epoch=0 if self.validate_first else 1, parts=config.accumulate, watch=LossWatch(self.chance)
        )
        self.parameters = list(self.network.parameters())  # walking through the modules takes as long as a small layer
        self.statistics = [b for b in self.network.buffers() if b.is_floating_point() or b.ndim == 0]  # of batches
        self.best: Tensors = {}
        self.start, self.saved_at, self.save_seconds = time.monotonic(), time.monotonic(), 0.0
        self.heap = Heap()
        self.stepper = TrainStep(self.network, self.task, config, self.seed, self.device, self.dtype, config.accumulate)
        if config.compile is True:
            rows = np.arange(min(self.budget.rows_per_step, len(self.train)))
            self.stepper.warm_up(self.train.batch(self.stepper.cut(rows)[0]))

    def resumed(self) -> Iterator[Event]:
        """Go on from the newest whole checkpoint, or from the start where there is none yet."""
        found = self.checkpoints.newest()
        yield from self.told()
        if found is None:
            self.checkpoints.clear()  # whatever is left of this run is damaged
            yield Resumed(0, self.progress.epoch, "no checkpoint was written yet: starts from the beginning")
            return
        self.checkpoints.forget_after(found.state)  # what is newer is damaged
        if found.state["epoch"] == 1 and found.state["batch"]:
            self.checkpoints.hold(*self.state(), {})  # the start, to go back to: it was never on the disk
        restore(found, self.network, self.optimizer, self.average)
        self.progress, self.best = Progress.from_json(found.state), found.best
        self.stepper.parts = self.progress.parts
        yield Resumed(self.progress.step, self.progress.epoch, f"goes on after step {self.progress.step}")

    def epoch(self) -> Iterator[Event]:
        """Train what is left of the epoch under way, then validate; epoch 0 is a validation alone."""
        progress = self.progress
        batches = self.batches(progress.epoch)[progress.batch :]
        last = progress.step + len(batches)
        self.network.train()

        def prepared(i: int) -> list[Batch]:
            parts = [self.train.batch(chosen) for chosen in self.stepper.cut(batches[i])]
            return [part.pinned() for part in parts] if self.device.type == "cuda" else parts

        with closing(prefetched(prepared, len(batches), self.workers)) as source:
            for positions, parts in zip(batches, source, strict=True):
                if progress.step not in progress.recovery.skipped:
                    yield from self.step(positions, parts)
                    self.heap.after_step()
                progress.step, progress.batch = progress.step + 1, progress.batch + 1
                if progress.step < last and self.budget.is_validation_due(progress.step):
                    yield from self.validated()
                    self.network.train()
                if self.interrupt.number or self.is_checkpoint_due():
                    yield from self.saved()
                    yield from self.obeyed()
                if progress.ended:
                    return
        yield from self.validated()
        if progress.step == self.total:
            progress.ended = _all_done(self.budget)
        if not len(self.validation):
            progress.best_epoch = progress.epoch
        progress.epoch, progress.batch = progress.epoch + 1, 0
        yield from self.saved()
        yield from self.obeyed()

    def batches(self, epoch: int) -> list[Positions]:
        """Return the rows of each step of an epoch; the one before the first has none, and the last may be cut."""
        if not epoch:
            return []
        return self.budget.batches(epoch)[: self.total - (epoch - 1) * self.budget.steps_per_epoch]

    def step(self, positions: Positions, parts: list[Batch]) -> Iterator[Event]:
        """One optimizer step over the given rows. Raises Diverging, before any weight is changed."""
        start, progress = time.perf_counter(), self.progress
        rate = self.set_rates()
        if len(parts) != len(cut := self.stepper.cut(positions)):  # made ahead, before memory ran out
            parts = [self.train.batch(chosen) for chosen in cut]
        before = [buffer.clone() for buffer in self.statistics]
        while True:
            self.optimizer.zero_grad()
            try:
                found = self.stepper.gradients(positions, parts, progress.step)
                break
            except (RuntimeError, MemoryError) as error:
                self.stepper.smaller(error, positions, progress.step)
                for buffer, value in zip(self.statistics, before, strict=True):
                    buffer.copy_(value)
            progress.parts = self.stepper.parts
            yield MemoryRanOut(progress.step, progress.parts)
            parts = [self.train.batch(chosen) for chosen in self.stepper.cut(positions)]
        norm = float(clip_grad_norm(self.parameters, self.config.optim.clip_norm))
        if diverging := progress.watch.check(found.loss, norm):
            diverging.rows = self.numbers(found.bad_rows or positions.tolist())
            raise diverging
        self.optimizer.step()
        if self.average and progress.step >= self.average_from:
            self.average.update()
        seconds = time.perf_counter() - start
        yield StepDone(progress.step, progress.epoch, found.loss, rate, norm, len(positions), found.tokens, seconds)

    def set_rates(self) -> float:
        """Set the learning rates of the step under way; return the highest."""
        optim, progress = self.config.optim, self.progress
        factor = schedule_factor(str(optim.schedule), progress.step, self.total, optim.warmup or 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor * progress.recovery.rate_scale
        return float(max(group["lr"] for group in self.optimizer.param_groups))

    def validated(self) -> Iterator[Event]:
        """Score the validation rows, and keep the weights if they are the best so far."""
        progress = self.progress
        self.optimizer.flush()
        if not len(self.validation):
            return
        with self.average.applied() if self.average else nullcontext():
            scores = self.validate()
            score = ranked(scores, self.decider, next((each for each in self.task.metrics if each.breaks_ties), None))
            is_best = progress.best_score is None or score > progress.best_score
            if is_best:
                progress.best_score, progress.best_epoch, progress.best_step = score, progress.epoch, progress.step
                self.best = trained_weights(self.network)
                self.checkpoints.keep_best(progress.step, self.best)
            progress.stale = 0 if is_best else progress.stale + 1
        yield Validated(progress.epoch, progress.step, scores, self.decider.name, is_best)
        patience = self.config.patience
        if patience and progress.stale >= patience and progress.step < self.total:
            progress.ended = _gave_up(self.decider.name, patience, between=bool(self.config.validate_every))

    def validate(self) -> dict[str, float]:
        """Return every metric of the task on the validation rows."""
        task, network = self.task, self.network
        kept = gathered(
            network, self.validation, self.device, self.dtype, lambda batch: task.keep(network(batch.inputs), batch)
        )
        outputs, targets = task.answers(kept), task.truth(self.validation)
        weights = np.ones((1, len(targets)))
        return {metric.name: float(metric.compute(targets, outputs, weights)[0]) for metric in self.task.metrics}

    def recovered(self, found: Diverging) -> Event:
        """Go back to a checkpoint and leave the batch out, or lower the learning rate. Raises TrainingError."""
        progress = self.progress
        rate = float(max(group["lr"] for group in self.optimizer.param_groups))
        recovery = progress.recovery
        action = recovery.decide(found, progress.step, progress.epoch, rate)
        event = Diverged(progress.step, progress.epoch, found.loss, rate, found.rows, action)
        good = self.checkpoints.newest(lambda state: not recovery.from_epoch_start or state["batch"] == 0)
        assert good is not None, "a checkpoint is written before the first step"
        self.checkpoints.forget_after(good.state)
        restore(good, self.network, self.optimizer, self.average)
        self.progress = replace(
            Progress.from_json(good.state), recovery=recovery, seconds=progress.seconds, parts=progress.parts
        )
        self.best = good.best
        return event

    def is_checkpoint_due(self) -> bool:
        since = time.monotonic() - self.saved_at
        return since >= max(self.config.checkpoint_seconds, self.save_seconds / MAX_CHECKPOINT_SHARE)

    def saved(self) -> Iterator[Event]:
        """Write a checkpoint of this moment."""
        yield CheckpointDue()
        saved = self.checkpoints.save(*self.state(), self.best)
        yield from self.told()
        self.saved_at, self.save_seconds = time.monotonic(), saved.seconds
        yield CheckpointSaved(self.progress.step, saved.path, saved.seconds, saved.size)

    def told(self) -> Iterator[Event]:
        """Tell what was unusual about the checkpoints since this was asked last."""
        notes, self.checkpoints.notes = self.checkpoints.notes, []
        for note in notes:
            yield Noted("resume", note, is_warning=True)

    def state(self) -> tuple[dict[str, Any], Tensors]:
        """Return the counters and the tensors of this moment."""
        counters = {**self.progress.to_json(), "seconds": self.seconds()}
        return counters, capture(self.network, self.optimizer, self.average)

    def obeyed(self) -> Iterator[Event]:
        """Stop where a signal has come; a checkpoint was just written. Raises StoppedError."""
        if self.interrupt.number:
            assert self.folder is not None, "only a run with a folder is interrupted"
            name, step = self.interrupt.name, self.progress.step
            yield Stopped(step, name)
            raise StoppedError(str(self.folder.parent), name, self.interrupt.number, step)

    def seconds(self) -> float:
        """The training's time so far, that before an interruption included."""
        return self.progress.seconds + time.monotonic() - self.start

    def numbers(self, positions: list[int]) -> list[int]:
        """Return the numbers of training rows in their source."""
        return self.train.source_rows(np.array(positions, np.int64), self.row_numbers)

    def started(self) -> TrainingStarted:
        parameters = list(self.network.parameters())
        return TrainingStarted(
            epochs=self.budget.epochs,
            steps=self.total,
            rows=len(self.train),
            parameters=sum(p.numel() for p in parameters),
            trained_parameters=sum(p.numel() for p in parameters if p.requires_grad),
            precision=str(self.dtype).removeprefix("torch."),
            device=str(self.device),
            settings=self.config.model_dump(mode="json"),
        )


def _all_done(budget: Budget) -> Sentence:
    if budget.config.steps:
        return sentence("ended.steps", "{steps:count step} done", steps=budget.steps)
    if budget.epochs == 1:
        return sentence("ended.one", "the one epoch done")
    return sentence("ended.all", "all {epochs} epochs done", epochs=budget.epochs)


def _gave_up(metric: str, patience: int, *, between: bool) -> Sentence:
    """between: whether there are validations between the ends of epochs, too."""
    if between:
        return sentence(
            "ended.stale", "no better {metric} in {validations:count validation}", metric=metric, validations=patience
        )
    return sentence("ended.patience", "no better {metric} for {epochs:count epoch}", metric=metric, epochs=patience)


def ranked(scores: dict[str, float], decider: Metric, second: Metric | None = None) -> tuple[float, float]:
    """Return what epochs are ranked by: the deciding score, then a second one, if there is one; a score that is not
    defined ranks last."""

    def of(metric: Metric) -> float:
        return scores[metric.name] if metric.higher_is_better else -scores[metric.name]

    return _rank(round(of(decider), 6)), UNDEFINED if second is None else _rank(of(second))


def _rank(value: float) -> float:
    return UNDEFINED if math.isnan(value) else max(value, UNDEFINED)
