"""Intervals against formulas, SciPy and what is known at their ends; their coverage in small, by simulation."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from luban.evaluation.scores.intervals import Score, independent_difference, mean_share, proportion, wilson
from luban.evaluation.scores.scoring import compare_rows, mean_of, score_rows
from luban.evaluation.threshold import f1_of
from luban.tasks import TASKS
from luban.tasks.base import Array, Floats, Task
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage.py"
BINARY = Binary.fit(pl.Series("y", ["no", "yes"]))


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """The benchmark, under a name that no library has: there is a package called `coverage`."""
    spec = importlib.util.spec_from_file_location("benchmark_of_intervals", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their types
    spec.loader.exec_module(module)
    return module


def perfect(rows: int, task: Task) -> tuple[Array, Floats]:
    """Targets and outputs that are right in every row, sure and unsure in turn."""
    draw = np.random.default_rng(0)
    if isinstance(task, MultiLabel):
        targets = (draw.random((rows, len(task.labels))) < 0.5).astype(np.uint8)
        return targets, np.where(targets == 1, 0.6 + 0.3 * draw.random(targets.shape), 0.3 * draw.random(targets.shape))
    classes = len(getattr(task, "labels", ()))
    targets = np.arange(rows) % classes
    sure = 0.8 + 0.15 * draw.random(rows)
    outputs = np.tile(((1 - sure) / (classes - 1))[:, None], classes)
    outputs[np.arange(rows), targets] = sure
    return targets, outputs


CLASSES: list[Task] = [
    BINARY,
    Multiclass.fit(pl.Series("y", list("abc"))),
    MultiLabel.fit(pl.Series("y", ["a;b", "c", "b"])),
]


@settings(deadline=None)
@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(rows: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, rows))
    found = proportion(successes, rows)
    theirs = binomtest(successes, rows).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert found.low <= found.value <= found.high
    assert (found.low == 0) == (successes == 0)
    assert (found.high == 1) == (successes == rows)


def test_no_rows_have_no_share() -> None:
    assert math.isnan(proportion(0, 0).value)
    assert math.isnan(mean_share(np.zeros(0)).low)
    assert math.isnan(wilson(math.nan, 10).low)


def test_the_mean_of_zeros_and_ones_is_nearly_their_share() -> None:
    values = np.repeat([1.0, 0.0], [37, 3])
    found, share = mean_share(values), proportion(37, 40)
    assert (found.low, found.high) == pytest.approx((share.low, share.high), abs=0.01)
    alike = mean_share(np.full(40, 0.5))  # rows that vary less than shares are worth more
    assert 0.4 < alike.low < 0.5 < alike.high < 0.6
    assert mean_share(np.ones(89)).low == pytest.approx(proportion(89, 89).low, abs=0.01)


def test_the_difference_of_two_shares_is_newcombes() -> None:
    # Newcombe 1998 (Statistics in Medicine 17, 873-890), table II: 56/70 less 48/80, and 10/10 less 0/20
    found = independent_difference(proportion(56, 70), proportion(48, 80))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    found = independent_difference(proportion(10, 10), proportion(0, 20))
    assert (found.low, found.high) == pytest.approx((0.6791, 1.0), abs=5e-5)


def test_f1_is_ascending_in_the_share_of_rows_found() -> None:
    found = f1_of(proportion(8, 10))
    assert found.value == pytest.approx(2 * 8 / (2 * 8 + 2))
    assert found.low < found.value < found.high < 1


@pytest.mark.parametrize("task", CLASSES, ids=lambda task: task.name)
@pytest.mark.parametrize("rows", [20, 89])
def test_a_perfect_score_has_an_interval(task: Task, rows: int) -> None:
    targets, outputs = perfect(rows, task)
    found = score_rows(task.metrics, targets, outputs, 400)
    for metric in task.metrics:
        score = found[metric.name]
        if metric.interval == "means":
            assert 0 < score.low < score.value < score.high
        else:
            assert (score.value, score.high) == (1.0, 1.0)
            assert 1 - 12 / rows < score.low < 1 - 1 / rows  # with a mistake in 1.2 to 12 rows of as many


def test_the_accuracy_of_89_right_rows_is_wilsons() -> None:
    found = score_rows(BINARY.metrics, *perfect(89, BINARY), 50)["accuracy"]
    assert found == Score(1.0, pytest.approx(binomtest(89, 89).proportion_ci(method="wilson").low), 1.0)


@pytest.mark.parametrize("task", CLASSES[:2], ids=lambda task: task.name)
def test_a_score_of_zero_has_an_interval(task: Task) -> None:
    targets, outputs = perfect(40, task)
    found = score_rows(task.metrics, targets, np.roll(outputs, 1, axis=1), 400)
    for name in ("accuracy", "balanced_accuracy"):
        assert (found[name].value, found[name].low) == (0.0, 0.0)
        assert 0.03 < found[name].high < 0.3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rows", [6, 12, 60])
def test_one_row_that_outweighs_all_others_does_not_stretch_intervals_without_end(rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    targets = np.arange(rows) % 2
    wrong = 10.0 ** draw.uniform(-12, -7, rows)
    outputs = np.where(np.eye(2)[targets] == 1, 1 - wrong[:, None], wrong[:, None])
    loss = score_rows(BINARY.metrics, targets, outputs, 200)["log_loss"]
    assert 0 <= loss.low <= loss.value <= 1e-7
    assert 0.01 < loss.high < proportion(0, rows).high * 28  # nats, what a wrong row would cost at most
    numbers = np.arange(float(rows))
    errors = np.r_[1.0, 10.0 ** draw.uniform(-12, -7, rows - 1)]
    found = score_rows(Regression.metrics, numbers, numbers + errors, 200)
    assert found["mae"].value == pytest.approx(1 / rows, rel=1e-4)
    assert 0 <= found["mae"].low < 1 / rows < found["mae"].high <= 1
    assert found["mse"].high <= 1
    assert -1 < found["r2"].low < found["r2"].value < found["r2"].high <= 1


def test_exact_numbers_have_nothing_to_resample() -> None:
    values = np.arange(30.0)
    found = score_rows(Regression.metrics, values, values, 50)
    assert found["mse"] == Score(0.0, 0.0, 0.0)
    assert found["r2"] == Score(1.0, 1.0, 1.0)


def test_the_intervals_of_means_are_the_normal_ones_for_many_rows() -> None:
    draw = np.random.default_rng(0)
    targets, outputs = draw.normal(size=(2, 1000))
    errors = np.abs(targets - outputs)
    half = 1.96 * errors.std() / math.sqrt(1000)
    for found in (score_rows(Regression.metrics, targets, outputs)["mae"], mean_of(errors)):
        assert found.value == pytest.approx(errors.mean())
        assert (found.low, found.high) == pytest.approx((errors.mean() - half, errors.mean() + half), rel=6e-3)
    scores = score_rows(Regression.metrics, targets, outputs)
    assert scores["rmse"].low == pytest.approx(math.sqrt(scores["mse"].low), rel=1e-3)
    assert scores["rmse"].high == pytest.approx(math.sqrt(scores["mse"].high), rel=1e-3)
    assert scores["r2"].high < 1


@pytest.mark.parametrize("count", [100, 3_000])
def test_the_paired_interval_of_accuracies_is_bonett_and_prices(count: int) -> None:
    targets = np.arange(count) % 2
    one, other = (np.eye(2)[targets] * 0.8 + 0.1 for _ in range(2))
    one[: count // 10] = one[: count // 10, ::-1]
    other[count // 10 : count // 10 + count // 20] = other[count // 10 : count // 10 + count // 20, ::-1]
    found = compare_rows((BINARY.metrics[:1],) * 2, targets, (one, other))["accuracy"]
    alone, theirs = (count // 10 + 1) / (count + 2), (count // 20 + 1) / (count + 2)
    half = 1.96 * math.sqrt((alone + theirs - (alone - theirs) ** 2) / (count + 2))
    assert found.value == pytest.approx(0.05)
    assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=0.1)


def test_two_models_of_like_answers_are_not_called_different() -> None:
    for task in CLASSES:
        targets, outputs = perfect(30, task)
        for difference in compare_rows((task.metrics, task.metrics), targets, (outputs, outputs), 200).values():
            assert difference.value == 0
            assert difference.low <= 0 <= difference.high


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_metric_says_what_its_interval_rests_on(task: type[Task]) -> None:
    for metric in task.metrics:
        assert (metric.interval == "means") == (metric.parts is not None)
        assert (metric.interval == "share") == (metric.counts is not None)
        assert (metric.interval == "bounded") == (metric.formula is None)


def test_shares_are_those_of_the_answers_that_are_scored() -> None:
    draw = np.random.default_rng(0)
    targets, probability = draw.integers(0, 2, 60), draw.random(60)
    outputs = np.stack([1 - probability, probability], axis=1)
    for task in (BINARY, BINARY.deciding_at([0.8])):
        found, said = score_rows(task.metrics, targets, outputs, 20), task.decide(outputs) == 1
        right = proportion(int((said == targets).sum()), 60)
        assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx((right.low, right.high))
        hits = proportion(int((said & (targets == 1)).sum()), int((said | (targets == 1)).sum()))
        assert (found["f1"].value, found["f1"].low) == pytest.approx((f1_of(hits).value, f1_of(hits).low))


def test_functions_of_means_are_the_scores() -> None:
    draw = np.random.default_rng(0)
    numbers, probabilities = draw.normal(3, 1, size=(2, 50)), draw.dirichlet([1, 1, 1], 50)
    cases = [(metric, numbers[0], numbers[1]) for metric in Regression.metrics]
    cases.append((Multiclass.metrics[-1], draw.integers(0, 3, 50), probabilities))
    for metric, targets, outputs in cases:
        assert metric.parts is not None
        assert metric.formula is not None
        means = metric.parts(targets, outputs).mean(axis=0, keepdims=True)
        whole = metric.compute(targets, outputs, np.ones((1, 50)))
        np.testing.assert_allclose(metric.formula(means), whole)


def test_scores_that_only_one_class_has_are_undefined_without_an_error() -> None:
    ones = np.ones(30, np.int64)
    outputs = np.tile([0.2, 0.8], (30, 1))
    found = score_rows(BINARY.metrics, ones, outputs, 50)
    assert found["accuracy"].low == pytest.approx(proportion(30, 30).low)
    assert found["balanced_accuracy"].low < 1
    assert math.isnan(found["roc_auc"].low)


@pytest.mark.parametrize("name", ["two classes", "numbers, normal errors"])
def test_intervals_hold_the_truth_as_often_as_they_say(
    name: str, simulation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "KNOWN_ROWS", 20_000)
    monkeypatch.setattr(simulation, "STRENGTHS", 3)
    (found,) = simulation.measure([name], [30], 60, 100)[name].values()
    for metric, cell in found.items():
        assert cell["covered"] >= 86, (metric, cell)  # 95 less three standard errors of 60 trials
        assert cell["false_differences"] <= 13, (metric, cell)
    assert min(cell["covered"] for cell in found.values()) < 100  # the widest intervals hold it, too, and say nothing
