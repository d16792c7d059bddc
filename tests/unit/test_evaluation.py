"""Intervals, paired comparisons and verdicts in plain words."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError

import numpy as np
import polars as pl
import pytest

from luban.core.errors import DataError
from luban.evaluation.evaluate import evaluate
from luban.evaluation.scores import bootstrap as bootstrap_module
from luban.evaluation.scores.bootstrap import weights_of_resamples
from luban.evaluation.scores.intervals import Score, shown
from luban.evaluation.scores.scoring import score_rows
from luban.tasks.base import Array, Floats
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression

BINARY = Binary.fit(pl.Series("y", ["no", "yes"]))


def answers(targets: Array, num_wrong: int) -> Floats:
    """Sure answers, of which the first few are wrong."""
    given = targets.astype(np.int64).copy()
    given[:num_wrong] = 1 - given[:num_wrong]
    return np.eye(2)[given] * 0.8 + 0.1


def test_resamples_draw_as_many_rows_as_there_are() -> None:
    weights = np.concatenate(list(weights_of_resamples(50, 200, seed=1)))
    assert weights.shape == (200, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.1)


def test_resamples_depend_on_the_seed_and_not_on_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(weights_of_resamples(30, 20, seed=3)))
    monkeypatch.setattr(bootstrap_module, "CELLS_AT_ONCE", 100)
    pieces = list(weights_of_resamples(30, 20, seed=3))
    assert len(pieces) == 7
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert (np.concatenate(list(weights_of_resamples(30, 20, seed=4))) != whole).any()


def test_the_interval_of_accuracy_is_the_binomials() -> None:
    targets = np.arange(400) % 2
    score = score_rows(BINARY.metrics, targets, answers(targets, 80))["accuracy"]
    assert score.value == pytest.approx(0.8)
    spread = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert score.low == pytest.approx(0.8 - spread, abs=0.006)
    assert score.high == pytest.approx(0.8 + spread, abs=0.006)


def test_every_score_of_every_task_has_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    labels = MultiLabel.fit(pl.Series("y", ["a;b", "c"]))
    classes = Multiclass.fit(pl.Series("y", ["a", "b", "c"]))
    cases = [
        (BINARY, rng.integers(0, 2, 90), rng.dirichlet([1, 1], 90)),
        (classes, rng.integers(0, 3, 90), rng.dirichlet([1, 1, 1], 90)),
        (labels, rng.integers(0, 2, (90, 3)), rng.random((90, 3))),
        (Regression("y", 0.0, 1.0), rng.normal(size=90), rng.normal(size=90)),
    ]
    for task, targets, outputs in cases:
        scores = score_rows(task.metrics, targets, outputs, resamples=100)
        assert list(scores) == [metric.name for metric in task.metrics]
        for score in scores.values():
            assert score.low < score.value < score.high


def test_a_score_that_is_not_defined_is_null_in_json() -> None:
    ones = np.ones(20, np.int64)
    score = score_rows(BINARY.metrics, ones, answers(ones, 2), resamples=10)["roc_auc"]
    assert math.isnan(score.value)
    assert score.to_json() == {"value": None, "low": None, "high": None}


def test_a_better_model_beats_its_baseline() -> None:
    targets = np.arange(500) % 2
    found = evaluate(BINARY, targets, answers(targets, 30), {"linear": answers(targets, 60)})
    assert found.verdict.startswith(
        "The model beats the linear baseline (accuracy 0.940 against 0.880; better by 0.060,"
    )
    assert found.comparisons[0].beats
    assert found.comparisons[0].difference.low > 0


def test_a_worse_model_does_not() -> None:
    targets = np.arange(1000) % 2
    found = evaluate(BINARY, targets, answers(targets, 113), {"linear": answers(targets, 99)})
    assert found.verdict == "The model does not beat the linear baseline (accuracy 0.887 against 0.901)."
    assert not found.comparisons[0].beats


def test_a_small_gain_is_called_chance() -> None:
    targets = np.arange(200) % 2
    found = evaluate(BINARY, targets, answers(targets, 20), {"linear": np.roll(answers(targets, 21), 40, axis=0)})
    assert "does not clearly beat the linear baseline (accuracy 0.900 against 0.895" in found.verdict
    assert "the difference may be chance" in found.verdict


def test_paired_resamples_see_what_unpaired_intervals_hide() -> None:
    targets = np.arange(400) % 2
    found = evaluate(BINARY, targets, answers(targets, 100), {"linear": answers(targets, 110)})
    mine, theirs = found.scores["accuracy"], found.baselines["linear"]["accuracy"]
    assert mine.low < theirs.high  # the intervals overlap
    assert found.comparisons[0].beats  # yet each error of the model is one of the baseline's


def test_the_verdict_is_about_the_strongest_baseline() -> None:
    targets = np.arange(300) % 2
    baselines = {"majority": answers(targets, 150), "linear": answers(targets, 40)}
    found = evaluate(BINARY, targets, answers(targets, 10), baselines)
    assert [comparison.baseline for comparison in found.comparisons] == ["linear", "majority"]
    assert "linear" in found.verdict
    assert list(found.baselines) == ["majority", "linear"]


def test_lower_is_better_where_the_metric_says_so() -> None:
    targets = np.random.default_rng(0).normal(size=300)
    found = evaluate(Regression("y", 0.0, 1.0), targets, targets * 0.9, {"mean": np.zeros(300)})
    assert found.decider == "mse"
    assert found.verdict.startswith("The model beats the mean baseline (mse 0.0")
    assert found.confusion is None
    by_r2 = evaluate(Regression("y", 0.0, 1.0), targets, targets * 0.9, {"mean": np.zeros(300)}, decider="r2")
    assert "r2 0.990 against" in by_r2.verdict


def test_without_baselines_the_verdict_says_so() -> None:
    targets = np.arange(20) % 2
    found = evaluate(BINARY, targets, answers(targets, 2), {})
    assert found.verdict == "There is no baseline to compare the model with."
    assert not found.beats_baselines


def test_what_cannot_be_compared_is_said() -> None:
    ones = np.ones(20, np.int64)
    found = evaluate(BINARY, ones, answers(ones, 2), {"linear": answers(ones, 3)}, decider="roc_auc", resamples=10)
    assert found.verdict == "The model cannot be compared with the linear baseline: roc auc is not defined here."


def test_confusion_counts_rows_of_each_class_by_what_they_are_taken_for() -> None:
    targets = np.array([0, 0, 0, 1, 1])
    found = evaluate(BINARY, targets, answers(targets, 1), {}, resamples=10)
    assert found.labels == ("no", "yes")
    assert found.confusion == ((2, 1), (0, 2))


def test_an_evaluation_is_json_and_frozen() -> None:
    targets = np.arange(40) % 2
    found = evaluate(BINARY, targets, answers(targets, 4), {"linear": answers(targets, 9)}, resamples=50)
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["rows"] == 40
    assert content["task"] == "binary"
    assert content["scores"]["accuracy"]["value"] == pytest.approx(0.9)
    assert content["baselines"]["linear"]["f1"]["low"] < 1
    assert content["comparisons"][0]["beats"] is True
    assert content["verdict"] == {"text": found.verdict, "beats_baselines": True}
    assert content["confusion"] == [[18, 2], [2, 18]]
    with pytest.raises(FrozenInstanceError):
        found.rows = 0  # type: ignore[misc]


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match=r"evaluation: expected rows to score, found none. Give a table with targets."):
        evaluate(BINARY, np.zeros(0, np.int64), np.zeros((0, 2)), {})


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.8871, "0.887"),
        (0.0, "0.000"),
        (-0.25, "-0.250"),
        (34.8149, "34.81"),
        (123456.7, "123,457"),
        (0.00123, "0.0012"),
    ],
)
def test_scores_are_shown_with_the_digits_that_matter(number: float, text: str) -> None:
    assert shown(number) == text


def test_a_score_of_no_samples_has_no_interval() -> None:
    assert math.isnan(Score.of(0.5, np.array([np.nan])).low)


def test_the_interval_of_many_rows_is_that_of_their_law() -> None:
    rng = np.random.default_rng(0)
    rows = 100_000
    targets = rng.integers(0, 2, rows)
    positive = np.clip(rng.normal(0.4 + 0.2 * targets, 0.2), 0.01, 0.99)
    outputs = np.stack([1 - positive, positive], axis=1)
    right = (outputs.argmax(axis=1) == targets).mean()
    half = 1.96 * np.sqrt(right * (1 - right) / rows)
    found = score_rows(BINARY.metrics[:2], targets, outputs, 200, seed=1)
    for name, tolerance in (("accuracy", 0.005), ("balanced_accuracy", 0.2)):
        assert found[name].high - found[name].value == pytest.approx(half, rel=tolerance)
        assert found[name].value - found[name].low == pytest.approx(half, rel=tolerance)
    assert found == score_rows(BINARY.metrics[:2], targets, outputs, 200, seed=1)
