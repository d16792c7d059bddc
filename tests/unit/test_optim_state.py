"""The state of every optimizer, saved and loaded between two steps."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from luban.core.artifact import write_weights
from luban.core.errors import ArtifactError
from luban.training.optim.combined import Combined, build_optimizer
from luban.training.optim.optimizers import OPTIMIZERS, OptimConfig
from luban.training.optim.state import PREFIX, load_state_tensors, state_tensors
from luban.training.vocabulary import TrainedRows

NUM_IDS = 12


class Small(nn.Module):
    """A table, a hidden matrix and a head; one layer that is never used."""

    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = TrainedRows(nn.Parameter(torch.randn(NUM_IDS, 4)), None, sparse=sparse)
        self.hidden, self.unused, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(torch.tanh(self.hidden(self.embedding(ids))))
        return out


def config(name: str) -> OptimConfig:
    return OptimConfig.model_validate({"optimizer": name, "learning_rate": 0.01, "weight_decay": 0.1})


def take_steps(network: Small, optimizer: Combined, first: int, last: int) -> None:
    for step in range(first, last):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] / (1 + step)
        draw = torch.Generator().manual_seed(step)
        optimizer.zero_grad()
        network(torch.randint(NUM_IDS, (3,), generator=draw)).square().sum().backward()
        optimizer.step()


CASES = [(name, False) for name in OPTIMIZERS] + [("adamw", True), ("muon", True)]


@pytest.mark.parametrize(("name", "sparse"), CASES)
@pytest.mark.parametrize("flush_at", [None, 3])
def test_a_resumed_optimizer_continues_to_the_same_bits(
    name: str, sparse: bool, flush_at: int | None, tmp_path: Path
) -> None:
    network = Small(sparse=sparse)
    optimizer = build_optimizer(network, config(name))
    take_steps(network, optimizer, 0, 3)
    if flush_at is not None:
        optimizer.flush()
    take_steps(network, optimizer, 3, 7)
    write_weights(tmp_path / "state.safetensors", {**state_tensors(optimizer, network), "weights/other": torch.ones(1)})
    resumed = Small(sparse=sparse)
    resumed.load_state_dict(copy.deepcopy(network.state_dict()))
    fresh = build_optimizer(resumed, config(name))
    load_state_tensors(fresh, resumed, safetensors.torch.load_file(tmp_path / "state.safetensors"))
    for each, its in ((network, optimizer), (resumed, fresh)):
        take_steps(each, its, 7, 12)
        its.flush()
    before, after = network.state_dict(), resumed.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    expected, found = state_tensors(optimizer, network), state_tensors(fresh, resumed)
    assert set(expected) == set(found)
    assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize(("name", "sparse"), CASES)
def test_the_state_is_named_by_parameter_and_leaves_out_what_was_never_used(name: str, sparse: bool) -> None:
    network = Small(sparse=sparse)
    optimizer = build_optimizer(network, config(name))
    assert not state_tensors(optimizer, network)
    take_steps(network, optimizer, 0, 2)
    names = {key.removeprefix(PREFIX).rpartition("/")[0] for key in state_tensors(optimizer, network)}
    expected = {"embedding.rows", "hidden.weight", "hidden.bias", "head.weight", "head.bias"}
    assert names == (set() if name == "sgd" else expected)


def test_the_history_of_rates_keeps_all_its_digits() -> None:
    network = Small(sparse=True)
    optimizer = build_optimizer(network, config("adamw"))
    take_steps(network, optimizer, 0, 4)
    rates = state_tensors(optimizer, network)["optimizer/embedding.rows/rates"]
    assert rates.dtype == torch.float64
    assert rates.tolist() == [0.01 / (1 + step) for step in range(4)]


def test_loading_replaces_what_was_there() -> None:
    network = Small(sparse=True)
    optimizer = build_optimizer(network, config("adamw"))
    take_steps(network, optimizer, 0, 4)
    load_state_tensors(optimizer, network, {})
    assert not state_tensors(optimizer, network)
    before = network.embedding.rows.detach().clone()
    optimizer.flush()
    assert torch.equal(network.embedding.rows, before)


def state_of(name: str) -> dict[str, Tensor]:
    network = Small(sparse=False)
    optimizer = build_optimizer(network, config(name))
    take_steps(network, optimizer, 0, 1)
    return state_tensors(optimizer, network)


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [
        ("adamw", {"optimizer/gone.weight/step": torch.ones(())}, "'gone.weight': expected one of the parameters"),
        ("adamw", state_of("nesterov"), "expected the state of AdamW: 'exp_avg', 'exp_avg_sq', 'step', found 'mom"),
        ("sgd", state_of("momentum"), "expected the state of SGD: no tensors, found 'momentum_buffer'"),
        (
            "lion",
            {"optimizer/head.weight/exp_avg": torch.ones(1, 5)},
            r"'head.weight/exp_avg': expected the shape \(1, 4\), found \(1, 5\). Resume with the settings",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    name: str, tensors: dict[str, Tensor], message: str
) -> None:
    network = Small(sparse=False)
    optimizer = build_optimizer(network, config(name))
    take_steps(network, optimizer, 0, 1)
    before = {key: value.clone() for key, value in state_tensors(optimizer, network).items()}
    with pytest.raises(ArtifactError, match=message):
        load_state_tensors(optimizer, network, tensors)
    after = state_tensors(optimizer, network)
    assert set(after) == set(before)
    assert all(torch.equal(before[key], after[key]) for key in before)
