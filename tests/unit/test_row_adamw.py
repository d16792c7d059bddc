"""Row-sparse AdamW against AdamW over the whole table."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from luban.core.errors import ConfigError
from luban.training.optim.clipping import clip_grad_norm
from luban.training.optim.row_adamw import RowAdamW
from luban.training.optim.skipped_steps import SkippedSteps, gauss_nodes

PEAK = 1e-3
WIDTH = 4
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "warm-up and cosine": lambda progress: min(progress / 0.1, 0.5 * (1 + math.cos(math.pi * progress))),
    "switched off and on": lambda progress: float(int(10 * progress) % 2),
}


def sparse(rows: list[int], values_UD: Tensor, size: torch.Size) -> Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor(rows, dtype=torch.int64)[None], values_UD, tuple(size), check_invariants=True
    )


class Pair:
    """The same table under both optimizers, in two precisions."""

    def __init__(self, num_rows: int, decay: float, dtype: torch.dtype = torch.float64) -> None:
        self.draw = torch.Generator().manual_seed(num_rows)
        start = torch.randn(num_rows, WIDTH, generator=self.draw, dtype=torch.float64).to(dtype)
        self.dense, self.rows = nn.Parameter(start.clone()), nn.Parameter(start.clone())
        self.dense_optimizer = torch.optim.AdamW([self.dense], lr=PEAK, weight_decay=decay, fused=True)
        self.row_optimizer = RowAdamW([self.rows], lr=PEAK, weight_decay=decay)

    def step(self, used: list[int], rate: float, scale: float) -> None:
        for optimizer in (self.dense_optimizer, self.row_optimizer):
            optimizer.param_groups[0]["lr"] = rate
        size = (len(used), WIDTH)
        values = torch.rand(size, generator=self.draw, dtype=torch.float64) * 0.5 + 0.5
        values *= scale * torch.randn(size, generator=self.draw, dtype=torch.float64).sign()
        values = values.to(self.dense.dtype)
        self.dense.grad = torch.zeros_like(self.dense).index_copy_(0, torch.tensor(used, dtype=torch.int64), values)
        self.rows.grad = sparse(used, values, self.rows.shape)
        self.dense_optimizer.step()
        self.row_optimizer.step()

    def run(self, gaps: list[int], schedule: Callable[[float], float], scale: float) -> None:
        """Use row i every gaps[i] steps, three times."""
        total = 3 * max(gaps) + 1
        for step in range(total):
            used = [row for row, gap in enumerate(gaps) if step % gap == 0 and step // gap < 3]
            self.step(used, PEAK * schedule(step / total), scale)
        self.row_optimizer.flush()

    def distance(self) -> float:
        """The largest difference, in learning rates."""
        return float((self.dense - self.rows).detach().abs().max()) / PEAK


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_it_equals_dense_adamw(schedule: str, decay: float, scale: float) -> None:
    pair = Pair(7, decay)
    pair.run([1, 2, 3, 7, 20, 100, 250], SCHEDULES[schedule], scale)
    assert pair.distance() < 1e-6
    assert float(pair.dense_optimizer.state[pair.dense]["exp_avg_sq"].max()) > 0
    for name in ("exp_avg", "exp_avg_sq"):
        dense, rows = pair.dense_optimizer.state[pair.dense][name], pair.row_optimizer.state[pair.rows][name]
        torch.testing.assert_close(rows, dense, rtol=1e-9, atol=1e-30)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_it_equals_dense_adamw_over_thousands_of_skipped_steps(decay: float) -> None:
    pair = Pair(3, decay)
    for step in range(2600):
        used = {0: [0, 1, 2], 700: [1]}.get(step, [0])
        pair.step(used, PEAK * SCHEDULES["warm-up and cosine"](step / 2600), 1.0)
    pair.row_optimizer.flush()
    assert pair.distance() < 1e-6


@pytest.mark.parametrize("scale", [1e-7, 1e-8, 1e-9, 1e-11])
def test_gradients_about_epsilon_are_off_by_a_thousandth_of_a_step_at_most(scale: float) -> None:
    pair = Pair(7, 0.0)
    pair.run([1, 2, 3, 7, 20, 100, 250], SCHEDULES["constant"], scale)
    assert pair.distance() < 1e-3


def test_late_in_a_training_gradients_about_epsilon_are_exact_too() -> None:
    pair = Pair(2, 0.0)
    for _ in range(1500):
        pair.step([1], PEAK, 1e-8)
    pair.step([0, 1], PEAK, 1e-8)
    for _ in range(300):
        pair.step([1], PEAK, 1e-8)
    pair.row_optimizer.flush()
    assert pair.distance() < 1e-6


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    uses=st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=60),
    rates=st.lists(st.floats(0, 1), min_size=1, max_size=7),
    decay=st.sampled_from([0.0, 0.1, 10.0]),
    scale=st.sampled_from([1e3, 1.0, 1e-3, 1e-6]),
)
def test_whatever_is_used_when_it_equals_dense_adamw(
    uses: list[set[int]], rates: list[float], decay: float, scale: float
) -> None:
    pair = Pair(5, decay)
    for step, used in enumerate(uses):
        pair.step(sorted(used), PEAK * rates[step % len(rates)], scale)
    pair.row_optimizer.flush()
    assert pair.distance() < 1e-6


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_in_float32_it_rounds_no_worse_than_dense_adamw(decay: float) -> None:
    exact, rounded = Pair(6, decay), Pair(6, decay, torch.float32)
    for pair in (exact, rounded):
        pair.run([1, 2, 3, 20, 100, 250], SCHEDULES["linear"], 0.1)
    errors = [(found.detach() - exact.dense.detach()).abs() for found in (rounded.dense, rounded.rows)]
    assert float(errors[1].max()) <= 1.2 * float(errors[0].max())
    assert float(errors[1].mean()) < float(errors[0].mean())


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_prepared_rows_read_as_those_of_dense_adamw_and_no_others_are_touched(decay: float) -> None:
    pair = Pair(5, decay)
    for used in ([0, 1, 2], [1], [1, 3], [1], [1]):
        pair.step(used, PEAK, 1.0)
    behind = pair.rows.detach().clone()
    pair.row_optimizer.prepare(pair.rows, torch.tensor([[2, 4], [2, 2]]))
    torch.testing.assert_close(pair.rows[[2, 4]], pair.dense[[2, 4]], rtol=0, atol=1e-9 * PEAK)
    assert torch.equal(pair.rows[[0, 3]], behind[[0, 3]])
    assert not torch.equal(pair.rows[2], behind[2])
    ahead = pair.rows.detach().clone()
    pair.row_optimizer.prepare(pair.rows, torch.tensor([2, 4]))
    assert torch.equal(pair.rows, ahead)


def test_rows_that_occur_twice_in_uncoalesced_gradients_are_summed() -> None:
    pair = Pair(3, 0.0)
    values = torch.ones(3, WIDTH, dtype=torch.float64)
    pair.dense.grad = torch.zeros_like(pair.dense).index_add_(0, torch.tensor([0, 2, 0]), values)
    pair.rows.grad = sparse([0, 2, 0], values, pair.rows.shape)
    pair.dense_optimizer.step()
    pair.row_optimizer.step()
    assert torch.equal(pair.rows[0], pair.dense[0])
    assert pair.distance() < 1e-9


def test_a_table_without_a_gradient_takes_no_step() -> None:
    pair = Pair(3, 0.1)
    before = pair.rows.detach().clone()
    pair.row_optimizer.step()
    pair.row_optimizer.flush()
    pair.row_optimizer.prepare(pair.rows, torch.tensor([0]))
    assert torch.equal(pair.rows, before)
    assert not pair.row_optimizer.state


def test_flushing_forgets_the_rates() -> None:
    pair = Pair(3, 0.0)
    for _ in range(600):
        pair.step([1], PEAK, 1.0)
    assert len(pair.row_optimizer.state[pair.rows]["rates"]) == 600
    pair.row_optimizer.flush()
    assert len(pair.row_optimizer.state[pair.rows]["rates"]) == 0
    pair.step([0, 2], PEAK, 1.0)
    pair.row_optimizer.flush()
    assert pair.distance() < 1e-6


def test_a_decay_that_turns_weights_around_is_refused() -> None:
    with pytest.raises(ConfigError, match="train.optim.weight_decay: expected a decay below 1 / learning rate"):
        SkippedSteps(0.9, 0.999, 1e-8, weight_decay=100).append(0.01)


def test_torch_state_is_refused_since_it_would_lose_digits() -> None:
    optimizer = Pair(2, 0.0).row_optimizer
    with pytest.raises(NotImplementedError, match="load_state_tensors"):
        optimizer.load_state_dict(optimizer.state_dict())


def test_gauss_nodes_have_the_moments_of_the_points() -> None:
    draw = torch.Generator().manual_seed(0)
    weights = torch.rand(3, 50, generator=draw, dtype=torch.float64).numpy()
    points = torch.rand(3, 50, generator=draw, dtype=torch.float64).numpy() + 0.5
    weights[1, 1:] = 0.0  # one point
    weights[2] = 0.0  # none
    node_weights, places = gauss_nodes(weights, points, 4)
    for power in range(8):
        expected = (weights * points**power).sum(1)
        assert (node_weights * places**power).sum(1) == pytest.approx(expected, rel=1e-9)


def test_clipping_dense_and_sparse_gradients_equals_clipping_dense_ones() -> None:
    ids = torch.tensor([3, 1, 3])
    for limit in (0.5, 100.0, None):
        tables = [nn.Embedding(5, 3, sparse=is_sparse, _weight=torch.ones(5, 3)) for is_sparse in (False, True)]
        linears = [nn.Linear(3, 2) for _ in tables]
        linears[1].load_state_dict(linears[0].state_dict())
        for table, linear in zip(tables, linears, strict=True):
            for _ in range(2):  # accumulated
                linear(table(ids)).square().sum().backward()
        expected = nn.utils.clip_grad_norm_(
            [*tables[0].parameters(), *linears[0].parameters()], math.inf if limit is None else limit
        )
        norm = clip_grad_norm([*tables[1].parameters(), *linears[1].parameters(), nn.Parameter(torch.ones(1))], limit)
        torch.testing.assert_close(norm, expected)
        assert tables[1].weight.grad is not None
        assert tables[1].weight.grad.is_coalesced()
        torch.testing.assert_close(tables[1].weight.grad.to_dense(), tables[0].weight.grad)
        torch.testing.assert_close(linears[1].weight.grad, linears[0].weight.grad)


def test_the_norm_of_no_gradients_is_zero() -> None:
    assert float(clip_grad_norm([nn.Parameter(torch.ones(1))], 1.0)) == 0.0
