from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from luban.training.loader import epoch_batches, num_batches
from luban.training.optim import OPTIMIZERS, SCHEDULES, is_decayed, l1_penalty, parameter_groups, schedule_factor


def updated(name: str, steps: int = 3) -> tuple[list[float], list[float]]:
    """Weights and gradients of a scalar problem, step by step."""
    weight = nn.Parameter(torch.tensor([1.0, -0.5]).double())
    optimizer = OPTIMIZERS[name]([{"params": [weight], "lr": 0.1, "weight_decay": 0.0}], 0.1, 0.9)
    weights, gradients = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        (weight**4).sum().backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        gradients.append(float(weight.grad[0]))
        optimizer.step()
        weights.append(float(weight.detach()[0]))
    return weights, gradients


def formula(name: str, gradients: list[float]) -> list[float]:
    """The textbook updates, with learning rate 0.1, from weight 1."""
    weight, velocity, square, found = 1.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, 1):
        if name == "sgd":
            weight -= 0.1 * g
        elif name in ("momentum", "nesterov"):
            velocity = 0.9 * velocity + g
            weight -= 0.1 * (velocity if name == "momentum" else g + 0.9 * velocity)
        elif name == "rmsprop":
            square = 0.99 * square + 0.01 * g * g
            weight -= 0.1 * g / (math.sqrt(square) + 1e-8)
        else:
            velocity, square = 0.9 * velocity + 0.1 * g, 0.999 * square + 0.001 * g * g
            weight -= 0.1 * (velocity / (1 - 0.9**t)) / (math.sqrt(square / (1 - 0.999**t)) + 1e-8)
        found.append(weight)
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_follows_its_formula(name: str) -> None:
    weights, gradients = updated(name)
    assert weights == pytest.approx(formula(name, gradients), abs=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_warms_up_to_its_peak_and_stays_within_it(name: str) -> None:
    factors = [schedule_factor(name, step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert (factors[-1] == 1.0) == (name == "constant")


def test_shapes_of_the_schedules() -> None:
    assert schedule_factor("linear", 50, 100, 0.0) == pytest.approx(0.5)
    assert schedule_factor("cosine", 25, 100, 0.0) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert schedule_factor("trapezoidal", 59, 100, 0.0) == 1.0
    assert schedule_factor("trapezoidal", 80, 100, 0.0) == pytest.approx(0.5)


def test_groups_by_learning_rate_and_decay() -> None:
    network = nn.ModuleDict({"encoders": nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), "head": nn.Linear(2, 1)})
    groups = parameter_groups(network, 1e-3, 1e-5, 0.1, ["encoders.0."])
    found = {(group["lr"], group["weight_decay"], len(group["params"])) for group in groups}
    assert found == {(1e-5, 0.1, 1), (1e-5, 0.0, 1), (1e-3, 0.0, 3), (1e-3, 0.1, 1)}
    assert all(group["peak"] == group["lr"] for group in groups)


def test_decay_and_l1_spare_biases_norms_and_embeddings() -> None:
    assert is_decayed("head.weight", nn.Parameter(torch.zeros(2, 2)))
    assert not is_decayed("head.bias", nn.Parameter(torch.zeros(2)))
    assert not is_decayed("embeddings.word_embedding.weight", nn.Parameter(torch.zeros(2, 2)))
    layer = nn.Linear(2, 2)
    assert float(l1_penalty(layer).detach()) == pytest.approx(float(layer.weight.detach().abs().sum()))


@pytest.mark.parametrize("group", [True, False])
def test_every_row_is_in_an_epoch_once_and_epochs_differ(group: bool) -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 1001)
    epochs = [epoch_batches(lengths, 16, seed=1, epoch=epoch, group=group) for epoch in (1, 2)]
    for batches in epochs:
        assert sorted(np.concatenate(batches).tolist()) == list(range(1001))
        assert sorted({len(batch) for batch in batches}) == [9, 16]
    again = epoch_batches(lengths, 16, seed=1, epoch=1, group=group)
    assert all(np.array_equal(a, b) for a, b in zip(epochs[0], again, strict=True))
    assert not np.array_equal(np.concatenate(epochs[0]), np.concatenate(epochs[1]))


def test_grouped_batches_hold_rows_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 2000)
    spread = {
        group: np.mean([np.ptp(lengths[batch]) for batch in epoch_batches(lengths, 16, 0, 1, group=group)])
        for group in (True, False)
    }
    assert spread[True] < spread[False] / 5


def test_no_batch_is_left_with_a_single_row() -> None:
    lengths = np.ones(81, np.int64)
    batches = epoch_batches(lengths, 8, 0, 1, group=False)
    assert sorted(map(len, batches)) == [8] * 9 + [9]
    assert len(batches) == num_batches(81, 8)
    assert [num_batches(rows, 8) for rows in (1, 7, 8, 9, 10, 16, 17)] == [1, 1, 1, 1, 2, 2, 2]
