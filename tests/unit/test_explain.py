"""Methods of attribution where the right answer is known, and the check of explanations."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from one_target import outputs_of
from scipy.stats import spearmanr

from luban.core.tensors import InputSpec, TensorKind
from luban.data.table import Table
from luban.explain import captum
from luban.explain.answers import Answer
from luban.explain.check import check
from luban.explain.edit import smallest_edit
from luban.explain.effort import THOROUGH
from luban.explain.examples import BUDGET, affordable
from luban.explain.question import Question, counted
from luban.explain.result import Sampling
from luban.explain.segments import cut, segmented
from luban.explain.stability import expected_correlation
from luban.explain.view import Part, View
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network, vector_name
from luban.models.packed import PackedLinear, can_pack
from luban.tasks.classification import Binary

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
    torch.testing.assert_close(captum.kernel_shap(linear, 5, 200, 0, seed=0).weights, STRENGTHS, atol=1e-3, rtol=0)
    assert captum.lime(linear, 5, 200, 0, seed=0).weights.argmax() == 0
    before = torch.get_rng_state()
    assert torch.equal(captum.lime(linear, 5, 64, 20, seed=1).weights, captum.lime(linear, 5, 64, 20, seed=1).weights)
    assert torch.equal(torch.get_rng_state(), before)


def test_shapley_values_do_not_suffer_from_what_is_even_in_the_score() -> None:
    def score(keep: torch.Tensor) -> torch.Tensor:
        return linear(keep) + 5 * (keep.float().mean(1) - 0.5) ** 2

    found = captum.kernel_shap(score, 5, 64, 20, seed=0)
    torch.testing.assert_close(found.weights, STRENGTHS, atol=1e-2, rtol=0)
    for without in found.without:
        torch.testing.assert_close(without, STRENGTHS, atol=1e-2, rtol=0)


def test_stability_is_the_rank_correlation_that_another_seed_has() -> None:
    draw = np.random.default_rng(0)
    for noise in (0.1, 0.5, 1.0, 3.0):
        true = draw.normal(size=40)
        seeds = []
        for _ in range(20):
            samples = true + noise * np.sqrt(64) * draw.normal(size=(64, 40))
            without = np.stack([np.delete(samples, slice(g, None, 8), axis=0).mean(axis=0) for g in range(8)])
            seeds.append((samples.mean(axis=0), expected_correlation(samples.mean(axis=0), without)))
        real = np.mean([spearmanr(left, right).statistic for (left, _), (right, _) in pairwise(seeds)])
        assert np.mean([expected for _, expected in seeds]) == pytest.approx(real, abs=0.08), noise
    assert expected_correlation(np.arange(5.0), np.stack([np.arange(5.0)] * 8)) == 1.0
    assert abs(expected_correlation(np.zeros(30), draw.normal(size=(8, 30)))) < 0.1


def test_words_are_put_together_with_what_stands_between_them() -> None:
    words = ["I", "don", "'", "t", "know", ".", "Do", "you", "?"]
    gaps = ["", " ", "", "", " ", "", " ", " ", ""]
    parts = [Part("text", "text", word, gap) for word, gap in zip(words, gaps, strict=True)]
    assert [len(run) for run in cut(parts, 2)] == [6, 3]
    groups = torch.tensor([-1, *range(9), -1])
    view = View("text", tuple(parts), torch.zeros(1), torch.zeros(1), groups, lambda _: {}, lambda keep: {"x": keep})
    predictor: Any = None
    answer = Answer("yes", "yes", 1, 1.0, "nats")
    question, sizes = segmented(Question(predictor, answer, (view,), {}, torch.zeros(1, 1), 9), 2)
    assert question.flops == 9
    assert [part.label for part in question.parts] == ["I don't know.", "Do you?"]
    assert sizes == (6, 3)
    assert question.views[0].groups.tolist() == [-1, *[0] * 6, *[1] * 3, -1]
    assert question.masked(torch.tensor([[True, False]]))["x"].tolist() == [[True] * 6 + [False] * 3]  # type: ignore[union-attr]
    assert "2 segments" in Sampling(64, 9, 2).sentence
    assert Sampling(64, 9, 9).sentence == ""
    for count in range(1, 10):
        assert len([run for run in cut(parts, count) if run]) == count


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
    unstable = check(planted(), weights, 0.2, 0)
    assert not unstable.passes
    assert "another seed" in unstable.sentence
    assert "only one part" in check(planted(), np.ones(1), None, 0).sentence


def saturated() -> Question:
    """A row of a model that is surer than a probability in float32 can say; the first two parts decide."""
    strengths = torch.tensor([20.0, 20.0] + [0.0] * 18)

    def logits_of(inputs: Any) -> torch.Tensor:
        logits: torch.Tensor = (inputs["keep"].float() @ strengths)[:, None]
        return logits

    task = Binary("answer", ["no", "yes"], [1, 1])
    predictor: Any = SimpleNamespace(task=task, temperature=1.0, logits_of=logits_of, device=torch.device("cpu"))
    view: Any = SimpleNamespace(parts=[Part("text", "text", str(part)) for part in range(20)])
    view.masked = lambda keep: {"keep": keep}
    return Question(predictor, Answer("yes", "yes", 1, 1.0, "nats"), (view,), {}, torch.full((1, 1), 40.0), 1)


def test_a_model_that_is_sure_beyond_its_probability_is_still_checked() -> None:
    question = saturated()
    one_gone = torch.ones(2, 20, dtype=torch.bool)
    one_gone[1, 0] = False
    assert np.ptp(question.outputs(one_gone)[:, 1]) < 1e-6
    found = check(question, np.array([2.0, 1.0] + [0.0] * 18), None, 0)
    assert found.passes
    assert found.deletion > 15
    assert "nats of log odds" in found.sentence
    against = check(question, -np.array([2.0, 1.0] + [0.0] * 18), None, 0)
    assert not against.passes
    assert "20 of 20 random orders change it as much" in against.sentence


def test_the_smallest_edit_takes_out_no_word_that_need_not_go() -> None:
    question: Any = saturated()
    left = {(0,): 0.1, (1,): 0.5, (0, 1): 0.05, (1, 2): 0.2, (0, 2): 0.6, (0, 1, 2): -1.0}

    def logits_of(inputs: Any) -> torch.Tensor:
        gone = [tuple(place for place in range(20) if not row[place]) for row in inputs["keep"]]
        return torch.tensor([[left.get(places, 1.0)] for places in gone])

    question.predictor.logits_of = logits_of
    question.predictor.schema = SimpleNamespace(features=[], columns=[])
    cells, weights = pl.DataFrame({"text": ["a"]}), -torch.arange(20.0)
    rows = Table(cells, "texts", None, np.arange(1))
    for needed in (["0", "1", "2"], ["1", "2"], ["0"]):
        found = smallest_edit(replace(question), weights, cells, rows)  # which has predicted nothing yet
        assert found is not None
        assert [change.before for change in found.changes] == needed
        assert found.predicted == "no"
        left[0,] = -0.1 if needed == ["1", "2"] else 0.1
        left[1, 2] = -0.2


def test_effort_follows_from_what_one_prediction_computes() -> None:
    assert [THOROUGH.steps(flops, 21) for flops in (1, 2e9, 1e12)] == [5, 3, 1]
    assert [THOROUGH.edits(flops, 3) for flops in (1, 2e9, 1e12)] == [24, 13, 4]
    assert [THOROUGH.drawn(flops, 100) for flops in (1, 2e9, 1e12)] == [384, 248, 40]
    assert THOROUGH.drawn(1, 2) == 40
    assert [THOROUGH.told_apart(flops) for flops in (1, 2e9, 1e12)] == [64, 40, 8]
    assert [THOROUGH.deleted(flops) for flops in (2e9, 1e12)] == [75, 8]
    assert [THOROUGH.points(flops) for flops in (1, 4e9, 1e12)] == [16, 12, 5]


def test_operations_are_counted_as_they_are_done() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 4))
    assert counted(lambda: network(torch.ones(1, 8)))[1] == 2 * (8 * 16 + 16 * 4)
    words = torch.ones(1, 2, 5, 4)
    attention = torch.nn.functional.scaled_dot_product_attention
    assert counted(lambda: attention(words, words, words))[1] == 2 * 2 * 2 * 5 * 5 * 4
    if can_pack():
        packed = PackedLinear(torch.nn.Linear(8, 16))
        assert counted(lambda: packed(torch.ones(3, 8)))[1] == 2 * 3 * 8 * 16


def test_long_rows_are_passed_over_for_rows_within_the_budget() -> None:
    costs = np.array([BUDGET, BUDGET / 4, BUDGET / 3, BUDGET / 8, 1.0])
    assert affordable([0, 1, 2, 3, 4], costs) == [1, 3]
    assert affordable([0], costs) == []


def test_vectors_of_categories_join_in_their_place() -> None:
    specs = [
        InputSpec(name="colour", kind=TensorKind.IDS, size=5),
        InputSpec(name="x", kind=TensorKind.DENSE, size=2),
        InputSpec(name="shape", kind=TensorKind.IDS, size=4),
    ]
    network = Network(networks.specify(NetworkConfig.model_validate({"hidden": []}), specs, outputs_of(2))).eval()
    inputs: Any = {"colour": torch.tensor([3, 1]), "x": torch.randn(2, 2), "shape": torch.tensor([2, 3])}
    vectors = {vector_name(name): network.encoder(name)(value) for name, value in inputs.items()}
    assert torch.equal(network.join(vectors), network.join(inputs))
