"""What runs many layers or tables in one step of autograd: the numbers and gradients of the layers one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from one_target import outputs_of
from torch import Tensor

from luban.core.runtime import seeded
from luban.core.tensors import InputSpec, TensorKind
from luban.models.choice import NetworkConfig
from luban.models.dense_stack import can_run_together
from luban.models.lookup import LARGEST_TOTAL, can_look_up_together, look_up
from luban.models.mlp import MLP
from luban.models.network import Network, specify

SHAPES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=2, max_size=6)


def gradients(output: Tensor, parameters: list[Tensor], weights: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad((output * weights).sum(), parameters))


@settings(max_examples=50, deadline=None)
@given(shapes=SHAPES, rows=st.integers(1, 20), seed=st.integers(0, 1000), is_short=st.booleans())
def test_looking_up_together_equals_each_lookup(
    shapes: list[tuple[int, int]], rows: int, seed: int, is_short: bool
) -> None:
    draw = torch.Generator().manual_seed(seed)
    tables: list[Tensor] = [torch.randn(shape, generator=draw).requires_grad_() for shape in shapes]
    dtype = torch.int32 if is_short else torch.int64
    ids = [torch.randint(0, size, (rows,), generator=draw).to(dtype) for size, _ in shapes]
    together = look_up(ids, tables)
    apart = torch.cat([F.embedding(column, table) for column, table in zip(ids, tables, strict=True)], dim=1)
    assert torch.equal(together, apart)
    weights = torch.randn(apart.shape, generator=draw)
    pairs = zip(gradients(together, tables, weights), gradients(apart, tables, weights), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected)


def test_only_small_tables_on_a_cpu_are_looked_up_together() -> None:
    ids = [torch.zeros(2, dtype=torch.int64)] * 2
    small = [torch.zeros(3, 2)] * 2
    assert can_look_up_together(ids, small)
    assert not can_look_up_together(ids[:1], small[:1])
    assert not can_look_up_together(ids, [small[0], torch.zeros(LARGEST_TOTAL, 1)])
    assert not can_look_up_together(ids, [table.bfloat16() for table in small])
    assert not can_look_up_together([column.to("meta") for column in ids], small)


@settings(max_examples=30, deadline=None)
@given(
    hidden=st.lists(st.integers(1, 24), min_size=1, max_size=4),
    rows=st.integers(1, 20),
    rate=st.sampled_from([0.0, 0.1, 0.5]),
    needs_input=st.booleans(),
)
def test_layers_together_equal_the_layers_one_by_one(
    hidden: list[int], rows: int, rate: float, needs_input: bool
) -> None:
    with seeded(3, "test"):
        network = MLP(7, hidden, dropout=rate)
        x_BD = torch.randn(rows, 7, requires_grad=needs_input)
    weights = torch.linspace(-1, 1, rows * hidden[-1]).view(rows, -1)
    leaves: list[Tensor] = [*network.parameters(), *([x_BD] if needs_input else [])]
    with seeded(4, "dropout"):
        together = network(x_BD)
    with seeded(4, "dropout"):
        apart = network.layers(x_BD)
    assert "DenseStack" in together.grad_fn.name()
    assert torch.equal(together, apart)
    pairs = zip(gradients(together, leaves, weights), gradients(apart, leaves, weights), strict=True)
    for found, expected in pairs:
        if 1 in (rows, *hidden):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        else:
            assert torch.equal(found, expected)


@pytest.mark.parametrize("case", ["no_grad", "autocast", "hook", "double", "other layer"])
def test_layers_run_one_by_one_where_someone_needs_them(case: str) -> None:
    layers = [torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)]
    x_BD = torch.ones(2, 3)
    assert can_run_together(layers, x_BD)
    if case == "no_grad":
        with torch.no_grad():
            assert not can_run_together(layers, x_BD)
    elif case == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            assert not can_run_together(layers, x_BD)
    elif case == "hook":
        layers[1].register_forward_hook(lambda module, inputs, output: None)
        assert not can_run_together(layers, x_BD)
    elif case == "double":
        assert not can_run_together([layer.double() for layer in layers], x_BD)
    else:
        assert not can_run_together([torch.nn.Linear(3, 4, bias=False)], x_BD)


def test_a_network_joins_categories_alike_in_training_and_in_prediction() -> None:
    specs = [
        InputSpec("city", TensorKind.IDS, 5),
        InputSpec("age", TensorKind.DENSE, 2),
        InputSpec("job", TensorKind.IDS, 9),
    ]
    network = Network(specify(NetworkConfig(hidden=(4,)), specs, outputs_of(1)))
    inputs = {"city": torch.tensor([0, 4]), "age": torch.ones(2, 2), "job": torch.tensor([8, 1])}
    joined = network.train().join(inputs)
    heard: list[str] = []
    for name in ("city", "job"):
        network.encoder(name).register_forward_hook(lambda *_, name=name: heard.append(name))
    assert torch.equal(joined, network.eval().join(inputs))
    assert torch.equal(joined[:, :2], inputs["age"])
    assert heard == ["city", "job"], "whoever traces or explains a prediction listens to the modules"
