"""Networks that get their weights from a file: nothing stays on the meta device, tied stays tied, buffers are there."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from luban import predictor
from luban.core import weights as stored_weights
from luban.core.artifact import WEIGHTS, RunDirectory, write_weights
from luban.core.errors import ArtifactError
from luban.core.tensors import TensorKind
from luban.data.table import Table
from luban.features import schema
from luban.features.base import FitContext
from luban.features.schema import FeaturesConfig
from luban.models import network as networks
from luban.models.building import fill, materialize, no_weights, not_stored
from luban.models.choice import NetworkConfig, complete
from luban.models.heads.row import RowHead
from luban.models.network import Network, NetworkSpec
from luban.predictor import Predictor
from luban.tasks.classification import Binary

WIDTH, WORDS = 8, 11


class LanguageModel(nn.Module):
    """Token table and head are one; angles are computed, and not stored; what was seen is a stored buffer."""

    seen: Tensor
    angles: Tensor

    def __init__(self, *, tied: bool = True) -> None:
        super().__init__()
        self.tokens = nn.Embedding(WORDS, WIDTH)
        self.rnn = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        if tied:
            self.head.weight = self.tokens.weight
        self.scale = nn.Parameter(torch.ones(WIDTH))
        self.register_buffer("angles", 10_000.0 ** (-torch.arange(WIDTH) / WIDTH), persistent=False)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, ids_BT: Tensor) -> Tensor:
        x_BTD = self.tokens(ids_BT)
        turned = x_BTD * torch.cos(torch.arange(ids_BT.shape[1])[:, None] * self.angles)
        hidden, _ = self.rnn(turned)
        normed = self.norm(hidden[:, -1] * self.scale)
        logits: Tensor = self.head(normed)
        return logits


IDS = torch.arange(12).reshape(3, 4) % WORDS


def trained() -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        F.cross_entropy(model(IDS), torch.tensor([1, 2, 3])).backward()
        optimizer.step()
        model.seen += 1
    return model.eval()


def test_a_model_comes_back_whole_from_a_run_directory(tmp_path: Path) -> None:
    model = trained()
    run = RunDirectory.create(tmp_path, "run")
    write_weights(run / WEIGHTS, model.state_dict())
    run.seal({})
    with no_weights():
        found = LanguageModel()
    assert all(parameter.is_meta for parameter in found.parameters())
    assert not_stored(found) == ["angles"]
    fill(found, run.weights(), "weights")
    assert not any(tensor.is_meta for tensor in [*found.parameters(), *found.buffers()])
    assert torch.equal(found.angles, model.angles)
    assert found.seen == 3
    assert found.head.weight is found.tokens.weight
    assert torch.equal(found.eval()(IDS), model(IDS))
    before = found.head.weight.detach().clone()
    F.cross_entropy(found(IDS), torch.tensor([1, 2, 3])).backward()
    torch.optim.SGD(found.parameters(), 0.1).step()
    assert not torch.equal(found.tokens.weight, before)
    assert torch.equal(found.head.weight, found.tokens.weight)


def test_two_stored_copies_of_a_tied_parameter_are_one_or_refused() -> None:
    weights = {name: tensor.clone() for name, tensor in trained().state_dict().items()}
    with no_weights():
        found, other = LanguageModel(), LanguageModel()
    fill(found, weights, "weights")
    assert found.head.weight is found.tokens.weight
    weights["head.weight"][0, 0] += 1
    with pytest.raises(ArtifactError, match="expected one tensor, since the network ties them, found two that differ"):
        fill(other, weights, "weights")


def test_a_shared_module_stays_one(tmp_path: Path) -> None:
    def build() -> nn.Sequential:
        layer = nn.Linear(3, 3)
        return nn.Sequential(layer, nn.ReLU(), layer)

    model = build()
    write_weights(tmp_path / "w", model.state_dict())
    with no_weights():
        found = build()
    fill(found, stored_weights.load(tmp_path / "w"), "w")
    assert found[0] is found[2]
    x = torch.ones(2, 3)
    assert torch.equal(found(x), model(x))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("scale", None, r"w, 'scale': expected \(8,\) float32, found none"),
        ("scale", torch.zeros(7), r"expected \(8,\) float32, found \(7,\) float32"),
        ("scale", torch.zeros(8, dtype=torch.float64), r"expected \(8,\) float32, found \(8,\) float64"),
        ("more", torch.zeros(1), r"w, 'more': expected none, found \(1,\) float32"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(name: str, tensor: Tensor | None, message: str) -> None:
    weights = dict(trained().state_dict())
    weights.pop(name, None)
    if tensor is not None:
        weights[name] = tensor
    with no_weights():
        found = LanguageModel()
    with pytest.raises(ArtifactError, match=message):
        fill(found, weights, "w")


def test_memory_is_given_without_untying_or_losing_buffers() -> None:
    with no_weights():
        model = LanguageModel()
    model.scale.requires_grad_(requires_grad=False)
    materialize(model)
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    assert model.head.weight is model.tokens.weight
    assert not model.scale.requires_grad
    assert torch.equal(model.angles, LanguageModel().angles)
    model.load_state_dict(expected := trained().state_dict())
    assert torch.equal(model.eval()(IDS), trained()(IDS))
    assert expected["scale"].shape == (WIDTH,)


def test_only_what_is_built_inside_and_by_this_thread_is_without_weights() -> None:
    found: list[bool] = []
    with no_weights():
        thread = threading.Thread(target=lambda: found.append(nn.Linear(2, 2).weight.is_meta))
        thread.start()
        thread.join()
        found.append(nn.Linear(2, 2).weight.is_meta)
    found.append(nn.Linear(2, 2).weight.is_meta)
    assert found == [False, True, False]


class TiedNetwork(Network):
    """A network whose head is tied to a second layer, and which computes angles that no file holds."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        head = self.heads[0]
        assert isinstance(head, RowHead)
        self.second = nn.Linear(head.linear.in_features, head.linear.out_features)
        self.second.weight = head.linear.weight
        self.register_buffer("angles", torch.cos(torch.arange(4.0)), persistent=False)


def test_a_predictor_comes_back_with_what_is_tied_and_what_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame({"x": [i / 7 for i in range(20)], "y": ["yes", "no"] * 10})
    rows = Table(frame, "rows.csv", None, np.arange(1, 21))
    fitted = schema.fit(schema.plan(rows, target="y", overrides={}), rows, FeaturesConfig(), FitContext())
    task = Binary.fit(frame["y"])
    config, _ = complete(NetworkConfig(), {TensorKind.DENSE}, chinese=False)
    spec = networks.specify(config, fitted.specs(), task.heads())
    saved = Predictor(fitted, task, spec, TiedNetwork(spec), torch.device("cpu"))
    run = RunDirectory.create(tmp_path, "run")
    saved.save(run)
    run.seal({})
    assert "second.weight" not in load_file(run / WEIGHTS)
    monkeypatch.setattr(predictor, "Network", TiedNetwork)
    found = Predictor.load(run.path, "cpu")
    assert isinstance(found.network, TiedNetwork)
    assert found.network.second.weight is found.network.heads[0].linear.weight
    assert torch.equal(found.network.get_buffer("angles"), torch.cos(torch.arange(4.0)))
    assert found.predict(rows).outputs.tolist() == saved.predict(rows).outputs.tolist()
