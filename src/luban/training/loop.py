"""The training loop: a generator of events."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from luban.core.errors import ConfigError, TrainingError, listed, nearest
from luban.core.events import Event, StepDone, TrainingEnded, TrainingStarted, Validated
from luban.core.runtime import autocast, generator, seeded
from luban.core.tensors import Batch, Ragged
from luban.features.dataset import Dataset
from luban.models.network import Network
from luban.predictor import forward_all
from luban.tasks.base import Metric, Task
from luban.training.augment import AugmentConfig, augment
from luban.training.checkpoint import BestWeights
from luban.training.clipping import clip_grad_norm
from luban.training.combined import Combined, build_optimizer
from luban.training.loader import epoch_batches, num_batches
from luban.training.optim import l1_penalty, schedule_factor
from luban.training.recipe import TrainConfig


@dataclass
class Loop:
    """One training: state that changes from step to step.

    config: completed by the recipe. backbones: name prefixes of pretrained parameters. folder: for checkpoints.
    validate_first: whether the network can be good before its first step.
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

    def run(self) -> Iterator[Event]:
        """Train, yielding an event for each step and validation; afterwards the network holds the best weights, or
        the last where there are no validation rows.

        Raises TrainingError where the loss is no longer finite.
        """
        config, start = self.config, time.monotonic()
        epochs, batch_size = config.epochs, config.batch_size
        assert epochs
        assert batch_size
        optimizer = build_optimizer(self.network, config.optim, self.backbones)
        total = epochs * num_batches(len(self.train), batch_size)
        decider = deciding_metric(self.task, config.metric)
        best, best_epoch, step = BestWeights(self.network, self.folder), 0, 0
        best_score = (-math.inf, -math.inf)
        reason = "the one epoch done" if epochs == 1 else f"all {epochs} epochs done"
        yield self.started(epochs, total)
        lengths = self.train.lengths
        group = config.group_by_length and int(np.ptp(lengths)) > 0
        for epoch in range(0 if self.validate_first else 1, epochs + 1):
            batches = epoch_batches(lengths, batch_size, self.seed, epoch, group=group) if epoch else []
            self.network.train()
            for positions in batches:
                factor = schedule_factor(str(config.optim.schedule), step, total, config.optim.warmup or 0.0)
                for parameters in optimizer.param_groups:
                    parameters["lr"] = parameters["peak"] * factor
                yield self.step(optimizer, positions, step, epoch)
                step += 1
            optimizer.flush()
            if not len(self.validation):
                continue
            scores = self.validate()
            score = ranked(scores, decider)
            is_best = score > best_score or not best.weights
            if is_best:
                best_score, best_epoch = score, epoch
                best.keep()
            yield Validated(epoch, step, scores, decider.name, is_best)
            if config.patience and epoch - best_epoch >= config.patience and epoch < epochs:
                reason = f"no better {decider.name} for {config.patience} epochs"
                break
        if best.weights:
            best.restore()
            best.clear()
        else:
            best_epoch = epochs
        yield TrainingEnded(reason, best_epoch, time.monotonic() - start)

    def started(self, epochs: int, total: int) -> TrainingStarted:
        parameters = list(self.network.parameters())
        return TrainingStarted(
            epochs=epochs,
            steps=total,
            rows=len(self.train),
            parameters=sum(p.numel() for p in parameters),
            trained_parameters=sum(p.numel() for p in parameters if p.requires_grad),
            precision=str(self.dtype).removeprefix("torch."),
            device=str(self.device),
            settings=self.config.model_dump(mode="json"),
        )

    def step(
        self, optimizer: Combined, positions: np.ndarray[tuple[int], np.dtype[np.int64]], step: int, epoch: int
    ) -> StepDone:
        """One optimizer step over the given rows, in `accumulate` forward passes whose rows all weigh the same."""
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss, tokens = 0.0, 0
        for part, chosen in enumerate(
            np.array_split(positions, min(self.config.accumulate, max(1, len(positions) // 2)))
        ):
            if len(chosen) == 0:
                continue
            batch = self.train.batch(chosen).to(self.device)
            tokens += batch.num_tokens
            share = self.loss(self.network, batch, step * self.config.accumulate + part).sum() / len(positions)
            if self.config.optim.l1:
                share = share + self.config.optim.l1 * l1_penalty(self.network) * (len(chosen) / len(positions))
            share.backward()  # type: ignore[no-untyped-call]
            loss += float(share.detach())
        if not math.isfinite(loss):
            raise TrainingError(
                f"training, epoch {epoch}, step {step}",
                expected="a finite loss",
                found=f"{loss} at learning rate {optimizer.param_groups[0]['lr']:.2g}",
                action="Lower train.optim.learning_rate, or look for extreme numbers in the data",
            )
        norm = clip_grad_norm(self.network.parameters(), self.config.optim.clip_norm)
        optimizer.step()
        rate = max(group["lr"] for group in optimizer.param_groups)
        seconds = time.perf_counter() - start
        return StepDone(step, epoch, loss, rate, float(norm), len(positions), tokens, seconds)

    def loss(self, network: Network, batch: Batch, counter: int) -> Tensor:
        """Return the loss of each row (B,); dropout and augmentation are drawn for this counter alone."""
        inputs = self.augmented(batch.inputs, counter)
        with seeded(self.seed, "dropout", counter), autocast(self.device, self.dtype):
            logits = network(inputs)
        assert batch.targets is not None
        return self.task.loss(logits.float(), batch.targets, self.config.loss)

    def augmented(self, inputs: dict[str, Tensor | Ragged], counter: int) -> dict[str, Tensor | Ragged]:
        config = self.config.augment
        if not isinstance(config, AugmentConfig):
            return inputs
        draw = generator(self.seed, "augment", counter)
        return {
            name: augment(value, config, draw) if isinstance(value, Tensor) and value.ndim == 4 else value
            for name, value in inputs.items()
        }

    def validate(self) -> dict[str, float]:
        """Return every metric of the task on the validation rows."""
        logits = forward_all(self.network, self.validation, self.device, self.dtype)
        outputs = self.task.outputs(logits).numpy()
        targets = self.validation.targets
        assert targets is not None
        weights = np.ones((1, len(targets)))
        return {metric.name: float(metric.compute(targets, outputs, weights)[0]) for metric in self.task.metrics}


def ranked(scores: dict[str, float], decider: Metric) -> tuple[float, float]:
    """Return what epochs are ranked by: the deciding score, then the loss; a score that is not defined ranks last."""
    score = scores[decider.name] if decider.higher_is_better else -scores[decider.name]
    loss = scores.get("log_loss", math.inf)
    return (-math.inf if math.isnan(score) else round(score, 6)), -loss


def deciding_metric(task: Task, name: str | None) -> Metric:
    """Return the metric that chooses the best weights: the named one, or the task's first."""
    by_name = {metric.name: metric for metric in task.metrics}
    if name is not None and name not in by_name:
        raise ConfigError(
            "train.metric",
            expected=f"a metric of {task.name}: {listed(by_name)}",
            found=f"'{name}'",
            action=f"{nearest(name, by_name)}Choose one of these",
        )
    return by_name[name] if name else task.metrics[0]
