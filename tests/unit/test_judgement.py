"""The parts of a judgement against brute force, scikit-learn, SciPy and planted defects."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control, hypergeom
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, precision_score, recall_score

from luban.evaluation import conformal
from luban.evaluation.answers import answer_of
from luban.evaluation.calibration import calibrate, fit_temperature, reliability
from luban.evaluation.compare import mcnemar
from luban.evaluation.fairness import compare_groups
from luban.evaluation.mistakes import find_confusions
from luban.evaluation.quality import Quality
from luban.evaluation.scores.bootstrap import sums_of_resamples
from luban.evaluation.slices import find_slices
from luban.evaluation.threshold import choose, score_threshold
from luban.tasks.base import SetMethod
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.goal import parse_goal
from luban.tasks.validated import SetScores

BINARY = Binary.fit(pl.Series("y", ["no", "yes"]))
CLASSES = Multiclass.fit(pl.Series("y", ["a", "b", "c"]))


def overconfident(rows: int, factor: float, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Logits `factor` times as large as the ones that the classes are drawn by."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(rows, 3)) * 1.5)
    chance = logits.softmax(dim=1).numpy()
    return logits * factor, (chance.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)


def test_reliability_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(2000)
    came_true = rng.random(2000) < confidence**2
    bins = reliability(confidence, came_true)
    accuracy, mean = calibration_curve(came_true, confidence, n_bins=10)
    np.testing.assert_allclose([bin_.accuracy for bin_ in bins], accuracy)
    np.testing.assert_allclose([bin_.confidence for bin_ in bins], mean)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_temperature_of_a_misjudging_model_is_recovered(factor: float) -> None:
    logits, targets = overconfident(4000, factor)
    temperature = fit_temperature(CLASSES, logits, targets)
    assert temperature == pytest.approx(factor, rel=0.1)
    more, truth = overconfident(4000, factor, seed=1)
    outputs = CLASSES.outputs(more / temperature).numpy()
    found = calibrate(CLASSES, truth, outputs, temperature, 4000)
    assert found is not None
    assert found.ece.value < 0.03 < found.ece_uncalibrated.value
    assert found.ece.low <= found.ece.value <= found.ece.high
    np.testing.assert_allclose(
        answer_of(CLASSES).at_temperature(outputs, 1 / temperature), CLASSES.outputs(more).numpy(), atol=1e-5
    )


def test_a_calibrated_model_keeps_its_temperature() -> None:
    kept = [fit_temperature(CLASSES, *overconfident(500, 1.0, seed)) == 1 for seed in range(40)]
    assert sum(kept) >= 34
    assert fit_temperature(CLASSES, *overconfident(40, 3.0)) == 1


def test_sums_of_resamples_have_the_law_of_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    flags = rng.random((3000, 2)) < 0.2
    for columns in (flags, flags.astype(float), np.tile(flags.astype(float), (5, 1))):
        sums = sums_of_resamples(columns, 2000)
        np.testing.assert_allclose(sums.mean(axis=0), columns.sum(axis=0), rtol=0.01)
        np.testing.assert_allclose(sums.var(axis=0), columns.var(axis=0) * len(columns), rtol=0.15)


@pytest.mark.parametrize("text", ["f1", "balanced_accuracy", "recall>=0.95", "precision>=0.9", "cost:FP=1,FN=5"])
def test_no_other_threshold_serves_the_goal_better(text: str) -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random(300) < 0.3).astype(np.int64)
    positive = np.clip(rng.normal(0.3 + 0.3 * targets, 0.2), 0.01, 0.99).round(2)
    outputs, goal = np.stack([1 - positive, positive], axis=1), parse_goal(text)
    choice = choose(BINARY, targets, outputs, goal)
    assert choice is not None
    assert choice.met

    def value(threshold: float) -> float:
        predicted = positive >= threshold
        recall, precision = recall_score(targets, predicted), precision_score(targets, predicted, zero_division=0)
        values = {
            "f1": f1_score(targets, predicted),
            "balanced_accuracy": (recall + recall_score(1 - targets, ~predicted)) / 2,
            "recall": precision if recall >= 0.95 else -1,
            "precision": recall if precision >= 0.9 else -1,
            "cost": -float((predicted & (targets == 0)).sum() + 5 * (~predicted & (targets == 1)).sum()),
        }
        return float(values[goal.kind])

    assert value(choice.threshold) == pytest.approx(max(value(at) for at in np.unique(positive)))
    scored = score_threshold(BINARY, targets, outputs, choice)
    assert scored.scores["f1"].value == pytest.approx(f1_score(targets, positive >= choice.threshold))


@pytest.mark.parametrize("text", ["speed", "recall>=2", "precision>=0", "cost:FP=0,FN=0", "recall>0.5"])
def test_other_goals_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="balanced_accuracy"):
        parse_goal(text)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["lac", "aps", "residual"]), st.sampled_from([0.8, 0.9]))
def test_sets_of_exchangeable_rows_hold_the_truth(seed: int, method: SetMethod, level: float) -> None:
    logits, targets = overconfident(3000, 2.0, seed)
    outputs = CLASSES.outputs(logits).numpy() if method != "residual" else logits[:, 0].numpy()
    if method == "residual":
        targets = outputs + np.random.default_rng(seed).standard_t(3, 3000)
    scores = conformal.fit_scores(method, targets[:1000], outputs[:1000])
    found = conformal.check_coverage(scores, level, targets[1000:], outputs[1000:])
    assert found is not None
    assert found.coverage.value > level - 0.05


def test_a_broken_promise_is_told_and_too_few_rows_promise_nothing() -> None:
    scores = conformal.fit_scores("residual", np.zeros(500), np.linspace(-1, 1, 500))
    found = conformal.check_coverage(scores, 0.9, np.zeros(500), np.linspace(-3, 3, 500))
    assert found is not None
    assert not found.holds
    assert "does not hold" in found.sentence
    numbers = [SetScores(method="residual", scores=tuple(map(float, range(count)))) for count in (8, 9)]
    assert [conformal.limit_of(found, 0.9) for found in numbers] == [math.inf, 8]
    assert conformal.rows_needed(0.9) == 9


def sliced(rows: int, seed: int, is_planted: bool) -> tuple[Quality, pl.DataFrame]:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "city": rng.choice(["Paris", "Rome", "Oslo"], rows),
            "kind": rng.choice(["x", "y"], rows),
            "n": rng.random(rows),
        }
    )
    planted = ((frame["city"] == "Rome") & (frame["kind"] == "x")).to_numpy()
    right = rng.random(rows) < np.where(planted & is_planted, 0.5, 0.9)
    return Quality("accuracy", right.astype(float), True, True), frame


KINDS = {"city": "category", "kind": "category", "n": "number"}


def test_a_planted_slice_is_found_and_noise_has_none() -> None:
    found = find_slices(*sliced(3000, 0, True), KINDS)
    assert found is not None
    assert (found.found[0].column, found.found[0].value) == ("city and kind", "'Rome' and 'x'")
    assert found.found[0].worse
    noise = [find_slices(*sliced(3000, seed, False), KINDS) for seed in range(20)]
    assert sum(any(item.worse for item in looked.found) for looked in noise if looked) <= 2


def test_the_parts_of_a_slice_are_told_apart_whatever_the_columns_are_called() -> None:
    quality, frame = sliced(3000, 0, True)
    frame = frame.rename({"city": "bread and butter"})
    found = find_slices(quality, frame, {"bread and butter": "category", "kind": "category"})
    assert found is not None
    pair = found.to_json()["found"][0]
    assert (pair["column"], pair["value"]) == ("bread and butter and kind", "'Rome' and 'x'")
    assert pair["parts"] == [{"column": "bread and butter", "value": "'Rome'"}, {"column": "kind", "value": "'x'"}]
    assert [len(single["parts"]) for single in found.to_json()["by_column"]] == [1] * 5


def test_p_values_are_corrected_by_benjamini_and_hochberg() -> None:
    quality, frame = sliced(2000, 3, True)
    found = find_slices(quality, frame, {"city": "category"})
    assert found is not None
    p_values = []
    for city in ("Oslo", "Paris", "Rome"):
        inside = (frame["city"] == city).to_numpy()
        right, total = int(quality.values[inside].sum()), int(quality.values.sum())
        law = hypergeom(len(frame), total, int(inside.sum()))
        p_values.append(min(1, 2 * min(law.cdf(right), law.sf(right - 1))))
    by_name = {item.value: item.p_adjusted for item in found.by_column}
    np.testing.assert_allclose(
        [by_name[f"'{city}'"] for city in ("Oslo", "Paris", "Rome")], false_discovery_control(p_values)
    )
    ranked = sorted(p_values)
    steps = [min(1.0, *(3 * p / (k + 1) for k, p in enumerate(ranked) if k >= place)) for place in range(3)]
    np.testing.assert_allclose(sorted(false_discovery_control(p_values)), steps)


def test_planted_unfairness_is_found() -> None:
    rng = np.random.default_rng(0)
    group, targets = rng.choice(["a", "b"], 2000), rng.integers(0, 2, 2000)
    chosen = (targets == 1) & ~((group == "b") & (rng.random(2000) < 0.4))
    found = compare_groups(BINARY, targets, np.eye(2)[chosen.astype(int)], pl.Series("group", group))
    gaps = {gap.rate: gap for gap in found.gaps}
    assert gaps["tpr"].gap.low <= 0.4 <= gaps["tpr"].gap.high
    assert gaps["tpr"].between == ("'a'", "'b'")
    assert gaps["fpr"].gap.value == 0
    assert compare_groups(BINARY, targets, np.eye(2)[targets], pl.Series("group", ["a"] * 2000)) is None


def test_mcnemar_is_the_binomial_test() -> None:
    assert mcnemar(10, 2) == pytest.approx(binomtest(10, 12, 0.5).pvalue)
    assert mcnemar(0, 0) == 1


def test_confusions_are_counted_the_commonest_first() -> None:
    targets, answers = np.array([0, 0, 0, 1, 2, 2]), np.array([1, 1, 0, 1, 0, 2])
    found = find_confusions(CLASSES, targets, np.eye(3)[answers])
    assert found[0] == {"actual": "a", "predicted": "b", "rows": 2, "share": 2 / 3}
    assert len(found) == 2
