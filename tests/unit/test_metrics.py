"""Every score against scikit-learn, under weights, ties and absent classes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from luban.tasks import metrics
from luban.tasks.base import Array, Floats, Metric

Score = Callable[..., Any]


def named(table: tuple[Metric, ...], name: str) -> Metric:
    return {metric.name: metric for metric in table}[name]


def probabilities(rng: np.random.Generator, rows: int, classes: int, *, ties: bool) -> Floats:
    outputs = rng.dirichlet(np.ones(classes), rows)
    if ties:
        outputs = np.round(outputs * 4) + 1e-3
        outputs /= outputs.sum(axis=1, keepdims=True)
    return outputs


def predicted(score: Score, **settings: Any) -> Score:
    return lambda y, outputs, w: score(y, outputs.argmax(1), sample_weight=w, **settings)


CLASS_SCORES: dict[str, Score] = {
    "accuracy": predicted(reference.accuracy_score),
    "balanced_accuracy": predicted(reference.balanced_accuracy_score),
    "macro_f1": predicted(reference.f1_score, average="macro"),
    "weighted_f1": predicted(reference.f1_score, average="weighted"),
    "log_loss": lambda y, outputs, w: reference.log_loss(y, outputs, sample_weight=w),
    "roc_auc": lambda y, outputs, w: reference.roc_auc_score(y, outputs, multi_class="ovr", sample_weight=w),
}
BINARY_SCORES = CLASS_SCORES | {
    "f1": predicted(reference.f1_score),
    "roc_auc": lambda y, outputs, w: reference.roc_auc_score(y, outputs[:, 1], sample_weight=w),
}
LABEL_SCORES: dict[str, Score] = {
    "micro_f1": lambda y, outputs, w: reference.f1_score(y, outputs >= 0.5, average="micro", sample_weight=w),
    "macro_f1": lambda y, outputs, w: reference.f1_score(y, outputs >= 0.5, average="macro", sample_weight=w),
    "mAP": lambda y, outputs, w: reference.average_precision_score(y, outputs, sample_weight=w),
}
NUMBER_SCORES: dict[str, Score] = {
    "mse": lambda y, outputs, w: reference.mean_squared_error(y, outputs, sample_weight=w),
    "rmse": lambda y, outputs, w: reference.root_mean_squared_error(y, outputs, sample_weight=w),
    "mae": lambda y, outputs, w: reference.mean_absolute_error(y, outputs, sample_weight=w),
    "r2": lambda y, outputs, w: reference.r2_score(y, outputs, sample_weight=w),
}


def weightings(rng: np.random.Generator, rows: int) -> Floats:
    """Equal weights, any positive weights, whole ones."""
    return np.stack([np.ones(rows), rng.uniform(0.1, 3, rows), rng.integers(1, 5, rows).astype(float)])


def check_all(
    table: tuple[Metric, ...], scores: dict[str, Score], targets: Array, outputs: Floats, weights: Floats
) -> None:
    for metric in table:
        expected = [scores[metric.name](targets, outputs, row) for row in weights]
        np.testing.assert_allclose(metric.compute(targets, outputs, weights), expected, atol=1e-10, err_msg=metric.name)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [3, 7])
def test_multiclass_scores_are_scikit_learns(classes: int, ties: bool) -> None:
    rng = np.random.default_rng(classes)
    targets = rng.integers(0, classes, 200)
    check_all(
        metrics.MULTICLASS,
        CLASS_SCORES,
        targets,
        probabilities(rng, 200, classes, ties=ties),
        weightings(rng, 200),
    )


@pytest.mark.parametrize("ties", [False, True])
def test_binary_scores_are_scikit_learns(ties: bool) -> None:
    rng = np.random.default_rng(2)
    check_all(
        metrics.BINARY,
        BINARY_SCORES,
        rng.integers(0, 2, 150),
        probabilities(rng, 150, 2, ties=ties),
        weightings(rng, 150),
    )


@pytest.mark.parametrize("ties", [False, True])
def test_multi_label_scores_are_scikit_learns(ties: bool) -> None:
    rng = np.random.default_rng(3)
    targets = (rng.random((160, 5)) < 0.3).astype(np.uint8)
    outputs = rng.random((160, 5))
    outputs = np.round(outputs * 3) / 3 if ties else outputs
    check_all(metrics.MULTI_LABEL, LABEL_SCORES, targets, outputs, weightings(rng, 160))


def test_regression_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    targets = rng.normal(1e6, 3, 150)
    check_all(metrics.REGRESSION, NUMBER_SCORES, targets, targets + rng.normal(0, 2, 150), weightings(rng, 150))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(8, 40), classes=st.integers(2, 4))
def test_whole_weights_score_as_repeated_rows(seed: int, rows: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    targets, outputs = rng.integers(0, classes, rows), probabilities(rng, rows, classes, ties=True)
    weights = rng.multinomial(rows, np.full(rows, 1 / rows)).astype(float)
    repeated = np.repeat(np.arange(rows), weights.astype(int))
    for metric in metrics.BINARY if classes == 2 else metrics.MULTICLASS:
        of_weights = metric.compute(targets, outputs, weights[None])
        of_rows = metric.compute(targets[repeated], outputs[repeated], np.ones((1, rows)))
        np.testing.assert_allclose(of_weights, of_rows, atol=1e-10, err_msg=metric.name)


def test_a_class_absent_from_a_resample_takes_no_part() -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 3, 120)
    outputs = probabilities(rng, 120, 3, ties=False)
    outputs[:, 2] = np.where(targets == 2, outputs[:, 2], 0)
    outputs /= outputs.sum(1, keepdims=True)
    weights = (targets != 2).astype(float)[None]
    kept = targets != 2
    of_two = [
        reference.roc_auc_score(targets[kept] == label, outputs[kept, label], sample_weight=weights[0, kept])
        for label in (0, 1)
    ]
    np.testing.assert_allclose(metrics.roc_auc(targets, outputs, weights), np.mean(of_two))
    np.testing.assert_allclose(
        metrics.balanced_accuracy(targets, outputs, weights),
        reference.balanced_accuracy_score(targets[kept], outputs[kept].argmax(1)),
    )


def test_a_score_that_is_not_defined_is_nan() -> None:
    outputs, ones = np.tile([0.4, 0.6], (10, 1)), np.ones((2, 10))
    assert np.isnan(metrics.roc_auc(np.ones(10, np.int64), outputs, ones)).all()
    assert np.isnan(metrics.f1(np.zeros(10, np.int64), 1 - outputs, ones)).all()
    assert np.isnan(metrics.r2(np.full(10, 7.1), np.arange(10.0), ones)).all()
    assert np.isnan(metrics.mean_average_precision(np.zeros((10, 2)), outputs, ones)).all()
    assert np.isnan(metrics.accuracy(np.ones(10, np.int64), outputs, np.zeros((1, 10)))).all()


@pytest.mark.parametrize(("rows", "classes"), [(10_000, 10), (3_080, 77)])
def test_a_thousand_resamples_are_fast(rows: int, classes: int) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, classes, rows)
    outputs = rng.dirichlet(np.ones(classes), rows).astype(np.float32)
    weights = rng.multinomial(rows, np.full(rows, 1 / rows), size=100).astype(float)
    start = time.process_time()
    for metric in metrics.MULTICLASS:
        metric.compute(targets, outputs, weights)
    assert time.process_time() - start < 0.5  # a tenth of the resamples
