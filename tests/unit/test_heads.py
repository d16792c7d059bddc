"""Heads read what their kind says, and an encoder's vector is that of its places, reduced."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luban.core.errors import ConfigError
from luban.core.tensors import Columns, InputSpec, OutputKind, OutputSpec, Ragged, TensorKind
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network

TEXT = InputSpec("text", TensorKind.TOKENS, 20, max_length=8)
PHOTO = InputSpec("photo", TensorKind.GRID, 3, height=8, width=8)
OFFSETS = torch.tensor([0, 3, 3, 8])  # the second row has no tokens
MODEL: dict[str, Any] = {
    "tokens": {"architecture": "lstm", "dim": 4, "hidden": 4},
    "grid": {"architecture": "resnet", "stem": 4, "channels": [8], "blocks": [0]},
    "hidden": [],
    "dropout": 0.0,
}
TOKEN_MODELS: list[dict[str, Any]] = [
    {"architecture": "lstm", "dim": 4, "hidden": 4, "pooling": "last"},
    {"architecture": "gru", "dim": 4, "hidden": 4, "pooling": "mean"},
    {"architecture": "lstm", "dim": 4, "hidden": 4, "pooling": "max"},
    {"architecture": "textcnn", "dim": 4, "channels": 3},
    {"architecture": "transformer", "layers": 1, "width": 8, "heads": 2},
]


def built(outputs: tuple[OutputSpec, ...], inputs: list[InputSpec], **settings: Any) -> Network:
    torch.manual_seed(0)
    config = NetworkConfig.model_validate({**MODEL, **settings})
    return Network(networks.specify(config, inputs, outputs)).eval()


def columns() -> Columns:
    torch.manual_seed(1)
    return {"text": Ragged(torch.randint(20, (8,)), OFFSETS), "photo": torch.randn(3, 3, 8, 8)}


def test_each_head_reads_what_its_kind_says() -> None:
    outputs = (
        OutputSpec("class", OutputKind.ROW, 2),
        OutputSpec("vector", OutputKind.VECTOR, 5, "text"),
        OutputSpec("tags", OutputKind.PLACE, 4, "text"),
        OutputSpec("cells", OutputKind.PLACE, 6, "photo"),
    )
    network, inputs = built(outputs, [TEXT, PHOTO]), columns()
    found = network(inputs)
    assert {name: tuple(value.shape) for name, value in found.items() if isinstance(value, torch.Tensor)} == {
        "class": (3, 2),
        "vector": (3, 5),
        "cells": (3, 6, 4, 4),
    }
    tags = found["tags"]
    assert isinstance(tags, Ragged)
    assert (tuple(tags.values.shape), tags.offsets.tolist()) == ((8, 4), OFFSETS.tolist())
    other = network({**inputs, "photo": torch.randn(3, 3, 8, 8)})
    assert torch.equal(found["vector"], other["vector"])  # type: ignore[arg-type]
    assert not torch.equal(found["class"], other["class"])  # type: ignore[arg-type]


def test_outputs_of_rows_do_not_depend_on_the_heads_beside_them() -> None:
    row = OutputSpec("class", OutputKind.ROW, 2)
    alone, inputs = built((row,), [TEXT, PHOTO]), columns()
    beside = built((row, OutputSpec("tags", OutputKind.PLACE, 4, "text")), [TEXT, PHOTO])
    beside.load_state_dict(alone.state_dict(), strict=False)
    torch.testing.assert_close(beside(inputs)["class"], alone(inputs)["class"])


def test_nothing_is_built_or_computed_that_no_head_reads() -> None:
    tags = (OutputSpec("tags", OutputKind.PLACE, 4, "text"),)
    network = built(tags, [TEXT], tokens={"architecture": "lstm", "dim": 4, "hidden": 4})
    network.encoder("text").pool = None  # type: ignore[assignment]
    found = network(columns())["tags"]
    assert isinstance(found, Ragged)
    found.values.sum().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in network.parameters())
    with pytest.raises(ConfigError, match=r"model.hidden: expected none, .* found \[8, 4\]. Leave it out"):
        built(tags, [TEXT], hidden=[8, 4])


def test_a_constant_has_a_row_for_each_row_of_places() -> None:
    for of, given in (("text", TEXT), ("photo", PHOTO)):
        outputs = (OutputSpec("tags", OutputKind.PLACE, 4, of), OutputSpec("scale", OutputKind.CONSTANT, 2))
        scale = built(outputs, [given])(columns())["scale"]
        assert isinstance(scale, torch.Tensor)
        assert tuple(scale.shape) == (3, 2)


@pytest.mark.parametrize("settings", TOKEN_MODELS, ids=lambda item: item.get("pooling", item["architecture"]))
def test_the_vector_of_an_encoder_is_that_of_its_places(settings: dict[str, Any]) -> None:
    encoder = built((OutputSpec("class", OutputKind.ROW, 2),), [TEXT], tokens=settings).encoder("text")
    text = columns()["text"]
    places = encoder.places(text)
    assert isinstance(places, Ragged)
    assert tuple(places.values.shape) == (8, encoder.places_dim)
    torch.testing.assert_close(encoder.pool(places), encoder(text))
