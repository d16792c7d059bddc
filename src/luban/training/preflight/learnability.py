"""Whether a network can learn at all: its loss before training, its gradients, and a few rows learned by heart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from luban.core.sentence import sentence
from luban.core.tensors import Batch
from luban.training.optim.combined import Combined, light_optimizers
from luban.training.preflight.gradients import Gradients
from luban.training.preflight.trial import Check, Rows, Status, Trial, of_rows, without_dropout

START = sentence("preflight.start.name", "the loss before training is that of chance")
BY_HEART = sentence("preflight.by_heart.name", "a few rows can be learned by heart")
EXTREMES = sentence("preflight.start.extremes", "Look for extreme numbers in the data")
SCALES = sentence("preflight.start.scales", "Scale the inputs, or start from smaller weights")
FAR_WORSE, WORSE, BETTER = 10.0, 3.0, 0.25  # times the loss by chance
FLOOR = 0.3  # of the loss by chance: where most targets are nearly the mean, small weights already predict worse
LEARNED = 0.3  # of its start: a loss that has fallen clearly
TOLD_APART = 0.6  # of the loss of one answer for all: two rows have been told apart
HARDLY_TOLD_APART = 0.9
NOTHING_TO_LEARN = 1e-3  # of the loss by chance
SMALL_NETWORK = 1_000_000  # trained parameters, up to which a step takes milliseconds
MORE_BATCHES = 4  # looked at for gradients that the first few rows do not give


@dataclass(frozen=True)
class Attempt:
    """How rows are learned by heart: Adam's rate, and the steps at most."""

    learning_rate: float
    steps: int


# Ordered by how often one is enough. A pretrained network learns in few steps, and each takes long.
SMALL_ATTEMPTS = (Attempt(1e-2, 60), Attempt(1e-1, 60), Attempt(3e-2, 100), Attempt(1e-3, 60))
LARGE_ATTEMPTS = (Attempt(3e-4, 40), Attempt(2e-3, 25))
PRETRAINED_ATTEMPTS = (Attempt(3e-4, 15), Attempt(1e-3, 15))
WARMUP = 4  # steps: Adam's first ones are as long for a gradient that is all noise


def check_learning(trial: Trial) -> list[Check]:
    """Check the loss before training, the gradients, and that a few rows can be learned, in one sequence of steps.

    Trains the network of the trial: give it a copy.
    """
    rows = trial.batch(trial.small)
    sampled = trial.chance(trial.trained, trial.targets(np.arange(len(trial.sample))))
    with without_dropout(trial.network):
        with torch.no_grad():
            losses = trial.losses(trial.trained, trial.outputs(trial.network, rows.inputs), rows)
        start = _check_start(trial, losses, trial.chance(trial.trained, rows), sampled)
        if not bool(losses.isfinite().all()):
            return [start]
        gradients = Gradients(trial.network, scale=0.1 * float(sampled.mean()))
        by_heart = _check_by_heart(trial, rows, gradients)
        for places in np.array_split(np.arange(len(trial.sample)), MORE_BATCHES) if gradients.missing else []:
            if len(places):
                _backward(trial, trial.batch(places), gradients)
    return [start, gradients.check(_idle(trial)), by_heart]


def _check_start(trial: Trial, losses: Tensor, chances: Tensor, sampled: Tensor) -> Check:
    """losses, chances: (B,) of the few rows; sampled: (S,) the loss by chance of the whole sample."""
    loss = float(losses.mean())
    of_others = float(losses.sort().values[: max(1, len(losses) - 1)].mean())  # one wild row stops no run
    chance, usual = float(chances.mean()), max(float(chances.mean()), float(sampled.mean()), FLOOR)
    found = f"{loss:.3g}"
    goal = (
        f"at most {chance:.3g}, the loss by chance" if trial.fitted_head else f"about {chance:.3g}, the loss by chance"
    )
    if not math.isfinite(loss):
        return Check(START, "failed", "a finite loss", found, EXTREMES)
    if of_others > FAR_WORSE * usual:
        return Check(START, "failed", goal, found, SCALES)
    # Rows whose own targets are nearly all the mean are learned before the first step.
    if loss < BETTER * chance and chance > BETTER * usual and not trial.fitted_head:
        action = sentence("preflight.start.targets", "Look for what leaves targets out of the loss, or gives them away")
        return Check(START, "failed", goal, found, action)
    if loss > WORSE * usual:
        return Check(START, "warning", goal, found, SCALES)
    return Check(START, "passed", goal, found)


def _check_by_heart(trial: Trial, rows: Batch, gradients: Gradients) -> Check:
    """Two rows are enough where more cannot be told apart, as by a linear model."""
    goal = f"a loss that falls below {LEARNED:.0%} of its start"
    if len(rows) < 2:
        found = sentence("preflight.by_heart.alike", "no two rows that differ in their inputs")
        return Check(BY_HEART, "warning", goal, found, sentence("preflight.by_heart.look", "Look at the data"))
    start, lowest = _learn(trial, rows, gradients)
    share = lowest / start
    fallen = sentence("preflight.by_heart.found", "{share:.0%} of it on {rows} rows", share=share, rows=len(rows))
    if lowest <= LEARNED * start:
        return Check(BY_HEART, "passed", goal, fallen)
    of_many = _told_apart(trial, rows, start, lowest)
    two = trial.batch(_most_different(trial))
    start, lowest = _learn(trial, two, gradients, TOLD_APART * _constant_loss(trial, two))
    fallen = sentence(
        "preflight.by_heart.found_two",
        "{share:.0%} of it on {rows} rows, {of_two:.0%} on two",
        share=share,
        rows=len(rows),
        of_two=lowest / start,
    )
    of_two = _told_apart(trial, two, start, lowest)
    if of_two <= TOLD_APART:
        return Check(BY_HEART, "passed", goal, fallen)
    status: Status = "warning" if min(of_two, of_many) <= HARDLY_TOLD_APART else "failed"
    action = sentence("preflight.by_heart.action", "Choose another model, seed or activation, or scale the inputs")
    return Check(BY_HEART, status, goal, fallen, action)


def _told_apart(trial: Trial, rows: Batch, start: float, lowest: float) -> float:
    """Return the lowest loss as a share of that of one answer for all rows: a loss that falls because their mean is
    learned says nothing of their inputs."""
    one_answer = _constant_loss(trial, rows)
    return lowest / min(start, one_answer) if one_answer > 0 else 0.0


def _learn(trial: Trial, rows: Batch, gradients: Gradients, enough: float = math.inf) -> tuple[float, float]:
    """Return the first loss on the rows, and the lowest, or one that is LEARNED of the first and `enough`.

    Every attempt starts from the same weights.
    """
    network = trial.network
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    changing = [*trained, *network.buffers()]
    initial = [tensor.detach().clone() for tensor in changing]
    first, lowest = math.nan, math.inf
    for attempt in _attempts(trial, sum(parameter.numel() for parameter in trained)):
        with light_optimizers():
            optimizer = Combined([torch.optim.Adam(trained, lr=attempt.learning_rate, fused=True)])
        for step in range(attempt.steps + 1):
            loss = _backward(trial, rows, gradients)
            first = loss if step == 0 else first
            if first <= NOTHING_TO_LEARN * gradients.scale:
                return NOTHING_TO_LEARN, 0.0
            if not math.isfinite(loss):
                break
            lowest = min(lowest, loss)
            if lowest <= min(LEARNED * first, enough):
                return first, lowest
            optimizer.param_groups[0]["lr"] = attempt.learning_rate * min(1.0, (step + 1) / WARMUP)
            optimizer.step()
        with torch.no_grad():
            for tensor, value in zip(changing, initial, strict=True):
                tensor.copy_(value)
    return first, lowest


def _constant_loss(trial: Trial, rows: Batch) -> float:
    """Return the lowest loss on the rows of logits that are the same for each of them."""
    batch = rows.to(torch.device("cpu"))
    logits = torch.zeros(1, sum(spec.size for spec in trial.task.heads()), requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = trial.losses(trial.plain, trial.plain.constant(logits, batch), batch).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(closure().detach())


def _backward(trial: Trial, rows: Batch, gradients: Gradients) -> float:
    """Return the plain loss of the rows; its gradients are in the network."""
    trial.network.zero_grad(set_to_none=True)
    loss = trial.losses(trial.plain, trial.outputs(trial.network, rows.inputs), rows).mean()
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    found = float(loss.detach())
    gradients.look(found)
    return found


def _attempts(trial: Trial, num_trained: int) -> tuple[Attempt, ...]:
    names = [name for name, parameter in trial.network.named_parameters() if parameter.requires_grad]
    if trial.backbones and any(name.startswith(tuple(trial.backbones)) for name in names):
        return PRETRAINED_ATTEMPTS
    return SMALL_ATTEMPTS if num_trained <= SMALL_NETWORK else LARGE_ATTEMPTS


def _most_different(trial: Trial) -> Rows:
    """Return the places (2,) of the two rows that lie farthest apart, in the outputs as they are and in the targets."""
    places = np.arange(len(trial.sample)) if trial.is_flat else trial.small
    with torch.no_grad():
        outputs = trial.outputs(trial.network, trial.batch(places).inputs)
    apart = _distances(of_rows(outputs, len(places))) * _distances(of_rows(trial.targets(places).targets, len(places)))
    two: Rows = places[list(divmod(int(apart.argmax()), len(places)))]
    return two


def _distances(rows: list[Tensor]) -> Tensor:
    """(B, B): how far rows are apart; rows of different lengths as if the shorter one went on with zeros."""
    values = pad_sequence([row.double().cpu() for row in rows], batch_first=True)
    return torch.cdist(values, values)


def _idle(trial: Trial) -> list[str]:
    """The prefixes of the encoders whose input is the same in every row of the sample."""
    return [
        trial.network.encoder_prefix(name)
        for name in trial.network.names
        if name in trial.cells and len(np.unique(trial.cells[name])) == 1
    ]
