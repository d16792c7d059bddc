"""The threshold of a stated goal decides what a model says, and its scores; without a goal nothing changes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score

from luban.evaluation.answers import answer_of
from luban.evaluation.config import EvaluateConfig
from luban.evaluation.evaluate import evaluate
from luban.evaluation.fairness import compare_groups
from luban.evaluation.mistakes import find_confusions
from luban.evaluation.threshold import between, choose, score_threshold
from luban.evaluation.validation import learn
from luban.tasks.classification import Binary
from luban.tasks.goal import parse_goal
from luban.tasks.multi_label import MultiLabel
from luban.tasks.validated import Choice, Validated

BINARY = Binary.fit(pl.Series("y", ["no", "yes"]))
LABELS = MultiLabel.fit(pl.Series("y", ["a;b", "b;c", "a", "c"] * 5))


def binary_rows(rows: int, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    """Targets, and logits that are right on the whole."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, rows)
    return (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int64), torch.from_numpy(logits)[:, None]


def label_rows(rows: int, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    """Three labels, of which each logit is off by a constant of its own."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.5, 2, (rows, 3))
    targets = (rng.random((rows, 3)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    return targets, torch.from_numpy(logits + np.array([1.5, 0, -1.5]))


def test_without_a_stated_goal_predictions_stay_at_one_half() -> None:
    targets, logits = binary_rows(500)
    validated = learn(BINARY, logits, targets, EvaluateConfig())
    assert validated.threshold is not None
    assert validated.decide(BINARY) is BINARY
    assert validated.sentence(BINARY) is None
    assert "predictions use 0.5" in validated.threshold.sentence(BINARY)


@pytest.mark.parametrize("goal", ["precision>=0.9", "recall>=0.9", "cost:FP=1,FN=5"])
def test_what_is_said_and_scored_is_that_of_the_threshold(goal: str) -> None:
    targets, logits = binary_rows(2000)
    validated = learn(BINARY, logits, targets, EvaluateConfig(goal=goal))
    assert validated.threshold is not None
    threshold, task = validated.threshold.threshold, validated.decide(BINARY)
    outputs = task.outputs(logits / validated.temperature).numpy()
    said = outputs[:, 1] >= np.float32(threshold)
    assert task.decode(outputs)["predicted_y"].to_list() == np.where(said, "yes", "no").tolist()
    found = evaluate(task, targets, outputs, {}, resamples=5)
    assert found.scores["accuracy"].value == pytest.approx(accuracy_score(targets, said))
    assert found.scores["f1"].value == pytest.approx(f1_score(targets, said))
    assert found.scores["log_loss"].value == pytest.approx(log_loss(targets, outputs[:, 1].astype(float)))
    assert found.confusion is not None
    assert found.confusion[1][1] == int((said & (targets == 1)).sum())
    assert answer_of(task).quality(task, targets, outputs).values.mean() == found.scores["accuracy"].value
    assert {item["rows"] for item in find_confusions(task, targets, outputs)} == {
        found.confusion[0][1],
        found.confusion[1][0],
    }
    groups = compare_groups(task, targets, outputs, pl.Series("g", ["x", "y"] * 1000))
    assert groups is not None
    rates = [group.rates["selection_rate"].value for group in groups.groups]
    assert np.mean(rates) == pytest.approx(said.mean())
    scored = score_threshold(task, targets, outputs, validated.threshold)
    assert scored.scores["precision"].value == pytest.approx(precision_score(targets, said))
    assert scored.default_scores["precision"].value == pytest.approx(precision_score(targets, outputs[:, 1] >= 0.5))
    assert goal in (validated.sentence(BINARY) or "")


def test_each_label_gets_a_threshold_of_its_own_for_a_stated_goal() -> None:
    targets, logits = label_rows(3000)
    goal = EvaluateConfig(goal="precision>=0.8")
    validated = learn(LABELS, logits, targets, goal)
    assert validated.threshold is not None
    own = validated.threshold.labels
    assert own is not None
    assert own["a"] > own["b"] > own["c"]
    new, more = label_rows(3000, seed=1)
    task = validated.decide(LABELS)
    said = task.decode(task.outputs(more / validated.temperature).numpy())["predicted_y"]
    found, _ = LABELS.encode(said)
    for place in range(3):
        assert precision_score(new[:, place], found[:, place]) == pytest.approx(0.8, abs=0.04)
    assert "each label is predicted from a probability of its own on" in (validated.sentence(LABELS) or "")


def test_a_label_with_few_validation_rows_shares_the_threshold_of_all() -> None:
    targets, logits = label_rows(400)
    targets[9:, 2] = 0
    targets[:9, 2] = 1
    outputs = LABELS.outputs(logits).numpy()
    choice = choose(LABELS, targets, outputs, parse_goal("f1"), stated=True)
    assert choice is not None
    assert set(choice.labels or ()) == {"a", "b"}
    assert choice.applied(LABELS).thresholds[2] == np.float32(choice.threshold)  # type: ignore[attr-defined]
    assert "1 labels with few validation rows share" in choice.sentence(LABELS)


def test_a_threshold_parts_neighbours_and_reads_as_it_is_written() -> None:
    one = np.float32(0.7)
    after = np.nextafter(one, np.float32(1))
    assert between(float(one), float(after)) == float(str(after))
    assert np.float32(between(0.25, 0.5)) == np.float32(0.375)
    rng = np.random.default_rng(0)
    values = rng.random(2000).astype(np.float32)
    for threshold in values[:50]:
        shown = float(str(threshold))
        written = pl.DataFrame({"p": values}).write_csv()
        read = pl.read_csv(written.encode())["p"].to_numpy()
        np.testing.assert_array_equal(read >= shown, values >= np.float32(shown))


def test_a_goal_that_no_threshold_reaches_is_told() -> None:
    rng = np.random.default_rng(0)
    targets, logits = rng.integers(0, 2, 500), torch.from_numpy(np.repeat(rng.normal(size=5), 100))[:, None]
    validated = learn(BINARY, logits, targets, EvaluateConfig(goal="precision>=0.99"))
    assert "which the validation rows do not reach" in (validated.sentence(BINARY) or "")


def test_a_run_of_before_is_read_as_it_was() -> None:
    threshold = '{"goal": "f1", "threshold": 0.3, "met": true}'
    stored = f'{{"temperature": 1.5, "rows": 90, "threshold": {threshold}, "conformal": null}}'
    validated = Validated.model_validate_json(stored, strict=True)
    assert validated.threshold == Choice(goal="f1", threshold=0.3, met=True)
    assert validated.decide(BINARY) is BINARY
