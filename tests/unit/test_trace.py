"""One training step opened up: a textbook's network by hand, torch's optimizers, finite differences."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from luban.core.errors import ConfigError
from luban.explain.trace.check import check_gradients
from luban.explain.trace.optimizers import FORMULAS
from luban.explain.trace.trace import trace_network
from luban.training.optim.optimizers import OPTIMIZERS


def textbook(activation: nn.Module) -> nn.Sequential:
    """2-3-1 without biases: weights 1 to 6 into the hidden units, 7 from each of them."""
    network = nn.Sequential(nn.Linear(2, 3, bias=False), activation, nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        network.get_parameter("0.weight").copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
        network.get_parameter("2.weight").fill_(7.0)
    return network


def test_textbook_network_by_hand() -> None:
    """x = (1, 2): z = (5, 11, 17), output 7 * 33 = 231; of target 230 the squared error is 1 and its slope 2."""
    found = trace_network(textbook(nn.ReLU()), torch.tensor([[1.0, 2.0]]), torch.tensor([[230.0]]), learning_rate=1e-4)
    assert found.logits.values == (231.0,)
    assert found.loss == 1.0
    hidden, output = found.units
    assert [unit.sum.value for unit in hidden.units] == [5, 11, 17]
    assert output.units[0].delta.value == 2
    assert [line.value for line in output.units[0].gradients] == [10, 22, 34]
    assert [unit.delta.value for unit in hidden.units] == [14, 14, 14]
    assert [[line.value for line in unit.gradients] for unit in hidden.units] == [[14, 28]] * 3
    assert found.gradients[0].gradient.values == (14, 28, 14, 28, 14, 28)
    assert found.steps[0].updates[1].lines[-1].filled == "2 − 0.0001·28"
    assert found.steps[0].updates[1].after == pytest.approx(1.9972)
    assert found.check_passed
    assert found.checked == 9
    assert found.loss_after < found.loss


def test_slope_of_a_sigmoid_is_a_times_one_less_a() -> None:
    """Where an article has h - sigma(h): z = (.05, .11, .17) at x = (.01, .02)."""
    network = textbook(nn.Sigmoid())
    found = trace_network(network, torch.tensor([[0.01, 0.02]]), torch.tensor([[0.0]]))
    h = [1 / (1 + math.exp(-z)) for z in (0.05, 0.11, 0.17)]
    delta = 2 * 7 * sum(h)
    assert [line.value for line in found.units[1].units[0].gradients] == pytest.approx([delta * a for a in h])
    expected = [delta * 7 * a * (1 - a) for a in h]
    assert [unit.delta.value for unit in found.units[0].units] == pytest.approx(expected)
    assert found.check_passed


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", FORMULAS)
def test_update_equals_torch_over_several_steps(name: str, decay: float) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    inputs, targets = torch.randn(5, 3, dtype=torch.float64), torch.randint(2, (5,))
    found = trace_network(
        network, inputs, targets, "cross_entropy", optimizer=name, learning_rate=0.1, weight_decay=decay, steps=3
    )
    group = [{"params": list(network.parameters()), "lr": 0.1, "weight_decay": decay}]
    optimizer = OPTIMIZERS[name](group, 0.1, 0.9)
    for step in found.steps:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), targets)
        assert step.loss == pytest.approx(float(loss.detach()), abs=1e-12)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for update in step.updates:
            theirs = float(network.get_parameter(update.parameter)[update.index].detach())
            assert update.after == pytest.approx(theirs, abs=1e-12)
            assert update.lines[-1].value == pytest.approx(theirs, abs=1e-12)
    assert len(found.steps[0].updates) == sum(p.numel() for p in network.parameters())


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2.001


class Wrong(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x):
        return self.last(WrongGradient.apply(self.first(x)))


@pytest.mark.parametrize("width", [2, 40])
def test_wrong_gradient_is_found(width: int) -> None:
    torch.manual_seed(0)
    found = trace_network(Wrong(width), torch.randn(1, width), torch.ones(1, 1))
    assert not found.check_passed
    assert found.check_error > 1e-4


def test_directions_find_a_wrong_gradient_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luban.explain.trace.check.MAX_PASSES", 4)
    torch.manual_seed(0)
    x = torch.randn(2, 40, dtype=torch.float64)
    right = nn.Sequential(nn.Linear(40, 40), nn.ReLU(inplace=True), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
    for network, passes in ((right.double(), True), (Wrong(40).double(), False)):
        _, checks = check_gradients(network, lambda copied: copied(x).square().mean(), 0)
        assert all(check.moves == 1 for check in checks)
        assert all(check.passed for check in checks) == passes


def test_corner_of_a_relu_is_told_apart() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network.get_parameter("0.bias").zero_()
    found = trace_network(network, torch.zeros(1, 2), torch.ones(1, 1))
    assert found.check_passed
    assert found.kinks > 0


def test_network_is_left_as_it_is_and_json_holds_everything() -> None:
    network = textbook(nn.ReLU())
    before = [parameter.clone() for parameter in network.parameters()]
    found = trace_network(network, torch.tensor([[1.0, math.nan]]), torch.tensor([[1.0]]))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in network.parameters())
    again = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert again["loss"] == "nan"
    assert again["check_passed"] is False


def test_unknown_names_are_refused() -> None:
    network, x = textbook(nn.ReLU()), torch.ones(1, 2)
    with pytest.raises(ConfigError, match="found 'adamm'. Did you mean 'adam'"):
        trace_network(network, x, torch.ones(1, 1), optimizer="adamm")
    with pytest.raises(ConfigError, match="found 'rmse'"):
        trace_network(network, x, torch.ones(1, 1), "rmse")
    with pytest.raises(ConfigError, match="weights to train, found none"):
        trace_network(network.requires_grad_(False), x, torch.ones(1, 1))
