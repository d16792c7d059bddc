"""Every kind of column can be explained: its view has parts, a path and deletions that the network takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_features import fitted, frame_of  # type: ignore[import-not-found]

from luban.core.sentence import Sentence
from luban.core.tensors import OutputKind, OutputSpec, Ragged, only
from luban.explain.attributions import ATTRIBUTIONS
from luban.explain.view import RowInput, View
from luban.features import FEATURES
from luban.features.base import Feature
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.report.language.sentences import forms
from luban.report.language.words import words

MODEL = {
    "tokens": {"architecture": "transformer", "layers": 1, "width": 16, "heads": 2, "dropout": 0.0},
    "grid": {"architecture": "flatten"},
    "frames": {"architecture": "gru", "dim": 8, "hidden": 8},
    "hidden": [],
    "dropout": 0.0,
}


def test_every_kind_has_an_attribution() -> None:
    assert sorted(ATTRIBUTIONS) == sorted(feature.kind for feature in FEATURES)


def network_and_view(kind: type[Feature], position: int) -> tuple[Network, View, dict[str, torch.Tensor | Ragged]]:
    feature, frame = fitted(kind), frame_of(kind)
    config = NetworkConfig.model_validate(MODEL)
    torch.manual_seed(0)
    network = Network(networks.specify(config, [feature.spec()], (OutputSpec("y", OutputKind.ROW, 2),))).eval()
    stored = feature.encode(frame).column.take(np.array([position]))
    value = feature.prepare(stored)
    row = RowInput(feature, network.encoder("input"), frame[position].select("column"), stored, value)
    return network, ATTRIBUTIONS[kind.kind](row), {"input": value}


@pytest.mark.parametrize("kind", FEATURES, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("position", [5, 3], ids=["present", "missing"])
def test_a_view_begins_at_the_row_and_deletes_its_parts(kind: type[Feature], position: int) -> None:
    network, view, inputs = network_and_view(kind, position)
    count = len(view.parts)
    assert count or position == 3
    assert (view.groups < max(count, 1)).all()
    logits = only(network(inputs))
    torch.testing.assert_close(only(network(view.lift(view.point))), logits, atol=1e-5, rtol=1e-4)
    keep = torch.ones(count + 1, count, dtype=torch.bool)
    keep[range(count), range(count)] = False
    found = only(network(view.masked(keep)))
    assert found.shape == (count + 1, 2)
    torch.testing.assert_close(found[-1:], logits, atol=1e-5, rtol=1e-4)
    for part in view.parts:
        assert isinstance(part.label, Sentence) == (part.form == "bin" or position == 3)
        if isinstance(part.label, Sentence):
            assert forms(words("zh")).of(part.label.parts)
    path = only(network(view.lift(torch.cat([view.baseline, view.point]))))
    assert path.isfinite().all()
    if view.draw is not None:
        pictures = view.draw(torch.randn(view.point.shape))
        assert pictures.heat.startswith(b"\x89PNG")
        assert pictures.picture.startswith(b"\x89PNG")
