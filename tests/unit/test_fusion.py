"""The ways in which the vectors of inputs become one: their formulas, their names, and what each can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from one_target import outputs_of
from pydantic import ValidationError
from torch import Tensor, nn

from luban.core.errors import ConfigError
from luban.core.runtime import autocast, seeded
from luban.core.tensors import InputSpec, TensorKind, only
from luban.explain.trace.trace import trace_network
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.fusion import FUSIONS, HEADS, PLAIN, AttentionFusion, GatedFusion, common_width
from luban.models.network import Network
from luban.training import recipe
from luban.training.recipe import TrainConfig

CPU = torch.device("cpu")
SPECS = [
    InputSpec("colour", TensorKind.IDS, 5),
    InputSpec("left", TensorKind.DENSE, 2),
    InputSpec("right", TensorKind.DENSE, 3),
]
WAYS = [PLAIN, *FUSIONS]


def built(fusion: str, specs: list[InputSpec] = SPECS, outputs: int = 2, **model: Any) -> Network:
    config = NetworkConfig.model_validate({"hidden": [], "dropout": 0.0, **model, "fusion": fusion})
    with seeded(0, "test"):
        return Network(networks.specify(config, specs, outputs_of(outputs)))


def inputs(rows: int = 4) -> dict[str, Tensor]:
    with seeded(1, "test"):
        return {"colour": torch.arange(rows) % 5, "left": torch.randn(rows, 2), "right": torch.randn(rows, 3)}


def test_gates_are_those_of_the_formula() -> None:
    fusion, joined = GatedFusion([2, 3]), torch.randn(4, 5)
    hidden = [torch.tanh(layer(part)) for layer, part in zip(fusion.projections, joined.split([2, 3], 1), strict=True)]
    gates = torch.sigmoid(fusion.gate(joined)).split(fusion.output_dim, 1)
    expected = gates[0] * hidden[0] + gates[1] * hidden[1]
    torch.testing.assert_close(fusion(joined), expected)
    assert fusion(joined).shape == (4, 32)


def test_attention_weighs_values_by_the_softmax_of_query_and_keys() -> None:
    fusion, joined = AttentionFusion([2, 3]), torch.randn(4, 5)
    both = [layer(part) for layer, part in zip(fusion.projections, joined.split([2, 3], 1), strict=True)]
    expected = []
    for head in range(HEADS):
        part = slice(8 * head, 8 * head + 8)
        scores = torch.stack([each[:, :32][:, part] @ fusion.query[part] / 8**0.5 for each in both], 1)
        values = torch.stack([each[:, 32:][:, part] for each in both], 1)
        expected.append((scores.softmax(1)[..., None] * values).sum(1))
    torch.testing.assert_close(fusion(joined), torch.cat(expected, 1))


@pytest.mark.parametrize(("widths", "width"), [([1, 2], 32), ([384, 10], 384), ([100, 7], 128), ([4096], 512)])
def test_the_common_width_is_that_of_the_widest_vector_within_bounds(widths: list[int], width: int) -> None:
    assert common_width(widths) == width


@pytest.mark.parametrize("way", WAYS)
def test_joined_vectors_decide_the_outputs_in_the_order_of_their_parts(way: str) -> None:
    network = built(way, hidden=[6]).eval()
    joined = network.join(inputs())
    assert list(network.joined_widths) == ["left", "right", "colour"]
    assert joined.shape[1] == sum(network.joined_widths.values())
    assert torch.equal(joined[:, :2], inputs()["left"])
    torch.testing.assert_close(only(network.from_joined(joined)), only(network(inputs())))


def test_side_by_side_takes_no_module_and_the_names_of_before() -> None:
    names = set(built(PLAIN, hidden=[6]).state_dict())
    assert names == {
        "encoders.0.embedding.weight",
        *("fusion.layers.0.weight", "fusion.layers.0.bias", "heads.0.linear.weight", "heads.0.linear.bias"),
    }
    assert NetworkConfig().fusion == PLAIN


@pytest.mark.parametrize("way", FUSIONS)
def test_bfloat16_comes_out_as_float32_and_near(way: str) -> None:
    network = built(way).eval()
    with torch.no_grad():
        expected = network.fused(network.join(inputs()))
        with autocast(CPU, torch.bfloat16):
            found = network.fused(network.join(inputs()))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.03)


def one_of_two(rows: int, said_by: str) -> tuple[dict[str, Tensor], Tensor]:
    """Return rows whose label is the sign of one of two inputs: which of them is right a third one says, or, on the
    side of itself, each of the two."""
    draw = np.random.default_rng(0)
    a, b, c = draw.choice([-1.0, 1.0], (3, rows)).astype(np.float32)
    columns = {"a": a[:, None], "b": b[:, None], "c": c[:, None]}
    if said_by == "itself":
        columns = {"a": np.stack([a * (c > 0), c], 1), "b": np.stack([b * (c < 0), -c], 1), "c": np.zeros((rows, 1))}
    found = {name: torch.from_numpy(column.astype(np.float32)) for name, column in columns.items()}
    return found, torch.from_numpy((np.where(c > 0, a, b) > 0).astype(np.int64))


def learned(fusion: str, said_by: str, hidden: list[int]) -> float:
    """Return the share of rows that are right after a short training."""
    columns, targets = one_of_two(256, said_by)
    specs = [InputSpec(name, TensorKind.DENSE, column.shape[1]) for name, column in columns.items()]
    network = built(fusion, specs, hidden=hidden)
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(only(network(columns)), targets).backward()
        optimizer.step()
    with torch.no_grad():
        return float((only(network(columns)).argmax(1) == targets).float().mean())


def test_gates_learn_which_input_is_right_where_a_third_one_says_so() -> None:
    assert learned("gated", "another", []) == 1.0
    assert learned(PLAIN, "another", []) < 0.9  # no line divides the rows


def test_attention_learns_it_with_hidden_layers_behind() -> None:
    assert learned("attention", "another", [16]) == 1.0


@pytest.mark.parametrize("way", FUSIONS)
def test_an_input_that_says_so_itself_is_found_without_hidden_layers(way: str) -> None:
    assert learned(way, "itself", []) == 1.0


@pytest.mark.parametrize("way", FUSIONS)
def test_every_parameter_has_a_gradient(way: str) -> None:
    network = built(way)
    only(network(inputs())).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in network.parameters())


@pytest.mark.parametrize("way", WAYS)
def test_a_step_can_be_traced_and_units_are_written_out_of_chains_alone(way: str) -> None:
    network = built(way, [InputSpec("a", TensorKind.DENSE, 1), InputSpec("b", TensorKind.DENSE, 1)], hidden=[2])
    row = {"a": torch.tensor([[0.5]]), "b": torch.tensor([[-1.5]])}
    found = trace_network(network, row, torch.tensor([1]), "cross_entropy")
    assert found.check_passed
    assert bool(found.units) == (way == PLAIN)


def test_one_input_alone_cannot_be_weighed() -> None:
    message = r"model.fusion: expected several inputs that 'gated' can weigh, found 1 \('left'\). Leave it out"
    with pytest.raises(ConfigError, match=message):
        built("gated", SPECS[1:2])
    with pytest.raises(ValidationError, match="'concat', 'gated' or 'attention'"):
        NetworkConfig.model_validate({"fusion": "gate"})


def test_the_head_is_not_fitted_in_advance_where_it_does_not_read_the_joined_vectors() -> None:
    spec = networks.specify(NetworkConfig.model_validate({"hidden": [], "fusion": "gated"}), SPECS, outputs_of(2))
    assert not spec.is_linear
    with pytest.raises(ConfigError, match=r"train\.probe"):
        recipe.complete(TrainConfig(probe=True), spec, 100, None)
