"""Prediction sets of several labels a row: how many of a row's labels they hold, and how their limit is found."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from luban.evaluation.conformal import check_coverage, fit_scores, limit_of, rows_needed, sets_of
from luban.evaluation.mistakes import find_confusions
from luban.evaluation.prediction_sets import PredictionSets
from luban.tasks.multi_label import MultiLabel

TASK = MultiLabel.fit(pl.Series("y", ["a;b", "b;c", "a;d", "c"] * 5))


def drawn(rows: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Four labels of different frequency, and probabilities that are too high by `shift` in log odds; some rows have no
    label."""
    rng = np.random.default_rng(seed)
    logits = rng.normal([-2, -1, 0, 1], 2, (rows, 4))
    targets = (rng.random((rows, 4)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    return targets, (1 / (1 + np.exp(-logits - shift))).astype(np.float32)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_sets_hold_as_many_of_the_labels_as_promised(level: float) -> None:
    held, kept = [], 0
    for seed in range(30):
        targets, outputs = drawn(1500, seed, shift=1.0)
        found = check_coverage(fit_scores("risk", targets[:500], outputs[:500]), level, targets[500:], outputs[500:])
        assert found is not None
        assert found.coverage.low <= found.coverage.value <= found.coverage.high
        assert sum((found.sizes or {}).values()) == 1000
        held.append(found.coverage.value)
        kept += found.holds
    assert level - 0.01 < np.mean(held) < level + 0.02
    assert kept >= 27


def test_rows_unlike_the_validation_rows_break_the_promise() -> None:
    targets, outputs = drawn(2000, 0)
    found = check_coverage(fit_scores("risk", targets[:1000], outputs[:1000]), 0.9, targets[1000:], outputs[1000:] / 3)
    assert found is not None
    assert not found.holds
    assert "does not hold" in found.sentence
    assert "of a test row's labels" in found.sentence


def test_the_limit_is_the_smallest_whose_risk_with_one_more_missed_row_is_allowed() -> None:
    for seed in range(20):
        targets, outputs = drawn(60, seed)
        scores, level = fit_scores("risk", targets, outputs), 0.8
        limit = limit_of(scores, level)

        def risk(at: float, targets: np.ndarray = targets, outputs: np.ndarray = outputs) -> float:
            members = sets_of("risk", outputs, at)
            shares = [1 - members[row][truth > 0].mean() if truth.any() else 0 for row, truth in enumerate(targets)]
            return (sum(shares) + 1) / (len(targets) + 1)

        assert risk(limit) <= 1 - level + 1e-9
        below = [score for score in scores.scores if score < limit]
        assert not below or risk(below[-1]) > 1 - level


def test_too_few_rows_promise_nothing() -> None:
    targets, outputs = drawn(9, 0)
    assert limit_of(fit_scores("risk", targets[:8], outputs[:8]), 0.9) == math.inf
    assert limit_of(fit_scores("risk", targets, outputs), 0.9) < math.inf
    assert rows_needed(0.9) == 9
    assert check_coverage(fit_scores("risk", targets[:8], outputs[:8]), 0.9, targets, outputs) is None


def test_stored_scores_are_bounded_and_read_back() -> None:
    targets, outputs = drawn(20_000, 0)
    scores = fit_scores("risk", targets, outputs)
    assert 4000 < len(scores.scores) < 6000
    assert type(scores).model_validate_json(scores.model_dump_json(), strict=True) == scores
    assert abs(limit_of(scores, 0.9) - limit_of(fit_scores("risk", targets[:4000], outputs[:4000]), 0.9)) < 0.05


def test_a_set_is_a_list_of_labels_and_may_be_empty() -> None:
    outputs = np.array([[0.9, 0.2, 0.8, 0.1], [0.1, 0.1, 0.1, 0.1]])
    found = PredictionSets("risk", 0.3).columns(TASK, outputs)
    assert found["set_y"].to_list() == [["a", "c"], []]


def test_labels_missed_and_falsely_said_are_counted() -> None:
    targets = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]])
    outputs = np.array([[0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]], float)
    assert find_confusions(TASK, targets, outputs) == [
        {"actual": None, "predicted": "c", "rows": 3, "share": 3 / 4},
        {"actual": "a", "predicted": None, "rows": 2, "share": 2 / 3},
        {"actual": "d", "predicted": None, "rows": 1, "share": 1.0},
    ]
    assert find_confusions(TASK, targets, targets.astype(float)) == []
