from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from one_target import outputs_of
from torch import nn

from luban.core.errors import ConfigError
from luban.core.tensors import InputSpec, TensorKind
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.training import recipe
from luban.training.loader import epoch_batches, num_batches
from luban.training.optim.combined import build_optimizer
from luban.training.optim.lion import Lion
from luban.training.optim.muon import Muon, orthogonalised
from luban.training.optim.optimizers import (
    MOMENTUM,
    OPTIMIZERS,
    SCHEDULES,
    OptimConfig,
    decayed_names,
    l1_penalty,
    momentum_of,
    schedule_factor,
)
from luban.training.optim.parameter_groups import layer_factors, parameter_groups
from luban.training.recipe import TrainConfig


def updated(name: str, steps: int = 3) -> tuple[list[float], list[float]]:
    """Weights and gradients of a scalar problem, step by step."""
    weight = nn.Parameter(torch.tensor([[1.0, -0.5]]).double())
    optimizer = OPTIMIZERS[name]([{"params": [weight], "lr": 0.1, "weight_decay": 0.0}], 0.1, 0.9)
    weights, gradients = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        (weight**4).sum().backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        gradients.append(float(weight.grad[0, 0]))
        optimizer.step()
        weights.append(float(weight.detach()[0, 0]))
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
        elif name == "lion":
            weight -= 0.1 * math.copysign(1.0, 0.9 * velocity + 0.1 * g)
            velocity = 0.99 * velocity + 0.01 * g
        else:
            velocity, square = 0.9 * velocity + 0.1 * g, 0.999 * square + 0.001 * g * g
            weight -= 0.1 * (velocity / (1 - 0.9**t)) / (math.sqrt(square / (1 - 0.999**t)) + 1e-8)
        found.append(weight)
    return found


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "muon"])
def test_optimizer_follows_its_formula(name: str) -> None:
    weights, gradients = updated(name)
    assert weights == pytest.approx(formula(name, gradients), abs=1e-9)


def twins(shapes: list[tuple[int, ...]]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    draw = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=draw) for shape in shapes]
    return [nn.Parameter(v.clone()) for v in values], [nn.Parameter(v.clone()) for v in values]


def set_gradients(steps: int, *lists: list[nn.Parameter]) -> None:
    draw = torch.Generator().manual_seed(steps)
    for parameters in zip(*lists, strict=True):
        gradient = torch.randn(parameters[0].shape, generator=draw)
        for parameter in parameters:
            parameter.grad = gradient.clone()


def test_lion_follows_the_paper_with_decay() -> None:
    parameters, expected = twins([(3, 2), (4,)])
    optimizer = Lion([{"params": parameters}], lr=0.01, weight_decay=0.5)
    means = [torch.zeros_like(parameter) for parameter in expected]
    for step in range(4):
        set_gradients(step, parameters, expected)
        optimizer.step()  # which uses its own gradients up
        for parameter, mean in zip(expected, means, strict=True):
            gradient = parameter.grad
            assert gradient is not None
            update = torch.sign(0.9 * mean + 0.1 * gradient) + 0.5 * parameter.detach()
            parameter.data -= 0.01 * update
            mean.mul_(0.99).add_(0.01 * gradient)
    for found, wanted in zip(parameters, expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_muon_equals_the_one_in_torch_but_for_its_bfloat16() -> None:
    parameters, expected = twins([(8, 24), (24, 8), (16, 16)])
    start = [parameter.detach().clone() for parameter in parameters]
    optimizer = Muon(parameters, lr=0.01, weight_decay=0.1)
    reference = torch.optim.Muon(expected, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        set_gradients(step, parameters, expected)
        optimizer.step()
        reference.step()
    for found, wanted, before in zip(parameters, expected, start, strict=True):
        assert float((found - wanted).detach().norm()) < 0.02 * float((wanted - before).detach().norm())


def test_the_updates_of_muon_are_nearly_orthogonal_and_of_the_size_of_those_of_adamw() -> None:
    matrix = torch.randn(32, 96, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert 0.6 < float(values.min()) < float(values.max()) < 1.3
    weight = nn.Parameter(torch.zeros(32, 96))
    weight.grad = matrix
    Muon([weight], lr=1.0).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.2)


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
    groups = parameter_groups(network.named_parameters(), decayed_names(network), 1e-3, 1e-5, 0.1, ["encoders.0."])
    found = {(group["lr"], group["weight_decay"], len(group["params"])) for group in groups}
    assert found == {(1e-5, 0.1, 1), (1e-5, 0.0, 1), (1e-3, 0.0, 3), (1e-3, 0.1, 1)}
    assert all(group["peak"] == group["lr"] for group in groups)


def text_network(**settings: object) -> Network:
    config = NetworkConfig.model_validate({"tokens": {"width": 8, "heads": 2, **settings}, "hidden": []})
    return Network(networks.specify(config, [InputSpec("text", TensorKind.TOKENS, 20, max_length=8)], outputs_of(2)))


def transformer() -> Network:
    return text_network(architecture="transformer", layers=3)


def completed(**settings: object) -> OptimConfig:
    return OptimConfig.model_validate({"optimizer": "adamw", "learning_rate": 1e-3, **settings})


def test_layer_decay_lowers_the_rate_layer_by_layer() -> None:
    network = transformer()
    optimizer = build_optimizer(network, completed(layer_decay=0.5, weight_decay=0.1))
    names = {parameter: name for name, parameter in network.named_parameters()}
    rates = {names[p]: group["peak"] for group in optimizer.param_groups for p in group["params"]}
    assert set(rates) == set(names.values())
    prefix = "encoders.0.backbone."
    assert rates["heads.0.linear.weight"] == rates[f"{prefix}norm.weight"] == 1e-3
    assert [rates[f"{prefix}layers.{i}.ffn.up.bias"] for i in range(3)] == [1.25e-4, 2.5e-4, 5e-4]
    assert rates[f"{prefix}embeddings.tokens.weight"] == rates[f"{prefix}embeddings.positions.weight"] == 6.25e-5


def test_layer_decay_counts_frozen_layers_and_needs_one_that_is_trained() -> None:
    network = transformer()
    encoder = network.encoder("text")
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_("layers.2" in name)
    assert set(layer_factors(network, 0.9).values()) == {0.9}
    encoder.requires_grad_(False)
    for untrained in (network, nn.Linear(2, 2)):
        with pytest.raises(ConfigError, match="train.optim.layer_decay: expected a transformer whose layers are tra"):
            build_optimizer(untrained, completed(layer_decay=0.9))


def test_muon_takes_the_hidden_matrices_and_adamw_the_rest() -> None:
    network = transformer()
    muon, adamw = build_optimizer(network, completed(optimizer="muon", weight_decay=0.1)).optimizers
    assert isinstance(muon, Muon)
    assert isinstance(adamw, torch.optim.AdamW)
    names = {parameter: name for name, parameter in network.named_parameters()}
    matrices = {names[p].split(".", 4)[-1] for group in muon.param_groups for p in group["params"]}
    assert matrices == {
        f"{i}.{part}.weight" for i in range(3) for part in ("attention.qkv", "attention.out", "ffn.up", "ffn.down")
    }
    rest = {names[p] for group in adamw.param_groups for p in group["params"]}
    assert {"heads.0.linear.weight", "encoders.0.backbone.embeddings.tokens.weight"} <= rest
    assert len(rest) + len(matrices) == len(names)
    assert {group["momentum"] for group in muon.param_groups} == {0.95}


def test_muon_is_refused_where_nothing_is_for_it() -> None:
    heads = nn.ModuleList([nn.Linear(2, 2)])
    network = nn.ModuleDict({"kernel": nn.Conv2d(1, 2, 3), "embedding": nn.Embedding(3, 2), "heads": heads})
    with pytest.raises(ConfigError, match="train.optim.optimizer: expected a network with weight matrices between"):
        build_optimizer(network, completed(optimizer="muon"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_momentum_is_used_or_refused(name: str) -> None:
    if name in MOMENTUM:
        assert momentum_of(name, None) == MOMENTUM[name]
        optimizer = build_optimizer(transformer(), completed(optimizer=name, momentum=0.8)).optimizers[0]
        assert {group["momentum"] for group in optimizer.param_groups} == {0.8}
        return
    assert momentum_of(name, None) is None
    with pytest.raises(ConfigError, match="train.optim.momentum: expected one of the optimizers that take it: 'mom"):
        build_optimizer(transformer(), completed(optimizer=name, momentum=0.8))


@pytest.mark.parametrize(
    ("name", "rate", "decay", "momentum"),
    [
        ("adamw", 1e-3, 0.05, None),
        ("muon", 1e-3, 0.05, 0.95),
        ("lion", 1e-4, 0.5, None),
        ("adam", 1e-3, 0.0, None),
        ("nesterov", 1e-3, 0.0, 0.9),
    ],
)
def test_the_recipe_suits_the_optimizer(name: str, rate: float, decay: float, momentum: float | None) -> None:
    config = NetworkConfig.model_validate({"tokens": {"architecture": "transformer"}, "hidden": []})
    spec = networks.specify(config, [InputSpec("text", TensorKind.TOKENS, 20, max_length=8)], outputs_of(2))
    found = recipe.complete(TrainConfig.model_validate({"optim": {"optimizer": name}}), spec, 1000, None).optim
    assert found.learning_rate == pytest.approx(rate)
    assert found.weight_decay == pytest.approx(decay)
    assert found.momentum == momentum
    given = {"optimizer": name, "learning_rate": 0.3, "weight_decay": 0.2}
    kept = recipe.complete(TrainConfig.model_validate({"optim": given}), spec, 1000, None).optim
    assert (kept.learning_rate, kept.weight_decay) == (0.3, 0.2)


def test_a_combined_optimizer_acts_as_one() -> None:
    network = transformer()
    optimizer = build_optimizer(network, completed(optimizer="muon"))
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    set_gradients(0, list(network.parameters()))
    for group in optimizer.param_groups:
        assert group["peak"] == group["lr"] == 1e-3
        group["lr"] = 0.0
    optimizer.step()
    assert all(torch.equal(parameter, before[name]) for name, parameter in network.named_parameters())
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    optimizer.step()
    assert not any(torch.equal(parameter, before[name]) for name, parameter in network.named_parameters())
    optimizer.flush()
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in network.parameters())


def test_decay_and_l1_spare_biases_norms_and_embeddings() -> None:
    network = nn.ModuleDict({"embedding": nn.Embedding(3, 2), "norm": nn.LayerNorm(2), "head": nn.Linear(2, 2)})
    assert decayed_names(network) == {"head.weight"}
    layer = nn.Linear(2, 2)
    assert float(l1_penalty(layer).detach()) == pytest.approx(float(layer.weight.detach().abs().sum()))


@pytest.mark.parametrize("architecture", ["lstm", "gru"])
def test_the_projection_of_frames_is_decayed_and_orthogonalised_as_other_matrices(architecture: str) -> None:
    config = NetworkConfig.model_validate(
        {"frames": {"architecture": architecture, "dim": 8, "hidden": 4}, "hidden": []}
    )
    network = Network(networks.specify(config, [InputSpec("clip", TensorKind.FRAMES, 5, max_length=8)], outputs_of(2)))
    projection = "encoders.0.embedding.weight"
    assert projection in decayed_names(network)
    optimizers = build_optimizer(network, OptimConfig(optimizer="muon", learning_rate=0.01)).optimizers
    muon = next(optimizer for optimizer in optimizers if isinstance(optimizer, Muon))
    weights = [parameter for group in muon.param_groups for parameter in group["params"]]
    assert any(parameter is dict(network.named_parameters())[projection] for parameter in weights)


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


def test_a_training_does_not_load_the_machinery_of_torch_compile() -> None:
    code = """
import sys
from luban.training.preflight.probe import fit_head
from small_loop import small_loop, weights_after
loop = small_loop()
fit_head(loop.network, loop.task, loop.train, loop.config.loss, 0, loop.device, loop.dtype)
weights_after(loop)
sys.exit("torch._dynamo" in sys.modules)
"""
    folder = str(Path(__file__).parent)
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0
