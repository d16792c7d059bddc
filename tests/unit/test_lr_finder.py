"""The range test: on curves whose good rates are known, on a real network, and where there is nothing to find."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from luban.core.errors import TrainingError
from luban.training.preflight.lr_finder import LIMIT, RateCurve, find_rate, smooth


def quadratic(curvature: float, noise: float = 0.0, dim: int = 1, seed: int = 0) -> RateCurve:
    """Gradient descent on 0.5 * curvature * |w|^2, whose best rate is 1 / curvature and whose limit twice that."""
    draw = np.random.default_rng(seed)
    curvatures = np.geomspace(curvature / (100 if dim > 1 else 1), curvature, dim)
    weights = np.ones(dim)
    floor = 0.05 * float(curvatures.mean())

    def step(rate: float, index: int) -> float:
        nonlocal weights
        loss = 0.5 * float((curvatures * weights**2).mean()) + floor
        weights = weights - rate * curvatures * (weights + noise * draw.normal(size=dim))
        return loss * (1 + noise * float(draw.normal()))

    return find_rate(step)


@pytest.mark.parametrize("curvature", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize(("noise", "dim"), [(0.0, 1), (0.05, 1), (0.05, 50)])
def test_on_a_quadratic_the_proposal_is_within_five_times_of_the_best_rate(
    curvature: float, noise: float, dim: int
) -> None:
    curve = quadratic(curvature, noise, dim)
    assert curve.proposed is not None
    assert 1 / 5 <= curve.proposed * curvature <= 1.5, curve.reason
    assert curve.reason.startswith("the loss falls fastest at ")


@pytest.mark.parametrize("seed", range(5))
def test_noise_moves_the_proposal_little(seed: int) -> None:
    curve = quadratic(30.0, 0.1, seed=seed)
    assert curve.proposed is not None
    assert 1 / 5 <= curve.proposed * 30.0 <= 1.5


def test_it_stops_where_the_loss_exceeds_four_times_the_best() -> None:
    curve = quadratic(30.0)
    assert len(curve.rates) < 100
    assert curve.smoothed[-1] > LIMIT * min(curve.smoothed)
    assert curve.smoothed[-2] <= LIMIT * min(curve.smoothed)
    assert curve.rates == pytest.approx(np.geomspace(1e-7, 10.0, 100)[: len(curve.rates)])


@pytest.mark.parametrize("end", [math.nan, math.inf, None])
def test_it_stops_where_the_loss_is_no_longer_finite(end: float | None) -> None:
    def step(rate: float, index: int) -> float:
        if index == 60 and end is None:
            raise TrainingError("training", expected="a finite loss", found="nan", action="Lower the rate")
        return float(end) if index == 60 and end is not None else 1.0 - min(0.9, 1000 * rate)

    curve = find_rate(step)
    assert len(curve.losses) == 60
    assert curve.proposed is not None


@pytest.mark.parametrize("seed", range(5))
def test_where_the_loss_never_falls_nothing_is_proposed(seed: int) -> None:
    draw = np.random.default_rng(seed)
    curve = find_rate(lambda rate, index: 0.7 + 0.1 * float(draw.normal()) + 10 * rate)
    assert curve.proposed is None
    assert curve.reason.startswith("the loss never fell: it starts at 0.")


def test_a_loss_that_only_rises_or_ends_at_once_proposes_nothing() -> None:
    assert find_rate(lambda rate, index: 1.0 + index).proposed is None
    curve = find_rate(lambda rate, index: math.nan if index == 5 else 1.0)
    assert curve.proposed is None
    assert curve.reason == "the loss was not finite after 5 steps, before anything could be learned"
    assert find_rate(lambda rate, index: math.nan).rates == []


def test_smoothing_is_corrected_for_its_start() -> None:
    assert smooth([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smooth([1.0, 2.0])[1] == pytest.approx((0.85 * 0.15 * 1.0 + 0.15 * 2.0) / (1 - 0.85**2))


def test_on_real_census_data_the_proposal_is_within_five_times_of_a_good_rate(shared_data: Path) -> None:
    """AdamW on a perceptron: after 60 steps, rates from 0.01 to 0.1 end at a loss within 2 % of each other."""
    from luban.data import sources

    frame = sources.read(str(shared_data / "adult" / "adult.csv")).frame.head(6000)
    numbers = (
        frame.select("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
        .cast(pl.Float64)
        .to_numpy()
    )
    inputs = torch.from_numpy(((numbers - numbers.mean(0)) / numbers.std(0)).astype(np.float32))
    targets = torch.from_numpy((frame["income"] == frame["income"].max()).to_numpy().astype(np.float32))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(network.parameters())
    order = torch.randperm(len(inputs))

    def step(rate: float, index: int) -> float:
        rows = order[(256 * index) % 5_120 :][:256]
        optimizer.param_groups[0]["lr"] = rate
        loss = F.binary_cross_entropy_with_logits(network(inputs[rows]).squeeze(1), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    curve = find_rate(step)
    assert curve.proposed is not None
    assert 0.01 / 5 <= curve.proposed <= 0.01 * 5
