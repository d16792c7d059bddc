"""Methods of attribution where the right answer is known, and the check of explanations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from luban.core.tensors import InputSpec, TensorKind
from luban.explain import captum
from luban.explain.check import check
from luban.models import network as networks
from luban.models.network import Network, NetworkConfig, vector_name

pytest.importorskip("matplotlib", reason="captum imports it: pip install 'luban[explain]'")

STRENGTHS = torch.tensor([3.0, -1.0, 0.5, 0.0, 2.0])


def linear(keep: torch.Tensor) -> torch.Tensor:
    return keep.float() @ STRENGTHS


def test_integrated_gradients_add_up_to_the_difference() -> None:
    def score(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.tanh(left.sum(1) * right[:, 0]) + (right**2).sum(1)

    torch.manual_seed(0)
    points = (torch.randn(1, 3), torch.randn(1, 2))
    baselines = (torch.zeros(1, 3), torch.ones(1, 2))
    found = captum.integrated_gradients(score, points, baselines)
    total = sum(float(weights.sum()) for weights in found)
    assert total == pytest.approx(float(score(*points) - score(*baselines)), abs=1e-3)


def test_occlusion_and_shapley_values_of_a_linear_score_are_its_strengths() -> None:
    torch.testing.assert_close(captum.occlusion(linear, 5), STRENGTHS)
    torch.testing.assert_close(captum.kernel_shap(linear, 5, 200, seed=0), STRENGTHS, atol=1e-3, rtol=0)
    assert captum.lime(linear, 5, 200, seed=0).argmax() == 0
    before = torch.get_rng_state()
    assert torch.equal(captum.lime(linear, 5, 64, seed=1), captum.lime(linear, 5, 64, seed=1))
    assert torch.equal(torch.get_rng_state(), before)


def planted() -> Any:
    """A row of which the first two parts alone decide."""

    def level(keep: torch.Tensor) -> torch.Tensor:
        return 0.1 + 0.4 * keep[:, :2].float().sum(1)

    return SimpleNamespace(level=level, flops=1, answer=SimpleNamespace(position=0))


def test_a_true_explanation_passes_and_a_random_or_unstable_one_says_so() -> None:
    weights = np.array([2.0, 1.0] + [0.0] * 18)
    found = check(planted(), weights, None, 0)
    assert found.passes
    assert found.deletion > 2 * found.random
    assert found.sentence.startswith("It holds")
    blind = check(planted(), np.random.default_rng(5).normal(size=20), None, 0)
    assert not blind.passes
    assert "do not rely on it" in blind.sentence
    unstable = check(planted(), weights, np.linspace(0, 1, 20), 0)
    assert not unstable.passes
    assert "another seed" in unstable.sentence
    assert "only one part" in check(planted(), np.ones(1), None, 0).sentence


def test_vectors_of_categories_join_in_their_place() -> None:
    specs = [
        InputSpec(name="colour", kind=TensorKind.IDS, size=5),
        InputSpec(name="x", kind=TensorKind.DENSE, size=2),
        InputSpec(name="shape", kind=TensorKind.IDS, size=4),
    ]
    network = Network(networks.specify(NetworkConfig.model_validate({"hidden": []}), specs, 2)).eval()
    inputs: Any = {"colour": torch.tensor([3, 1]), "x": torch.randn(2, 2), "shape": torch.tensor([2, 3])}
    vectors = {vector_name(name): network.encoder(name)(value) for name, value in inputs.items()}
    assert torch.equal(network.join(vectors), network.join(inputs))
