"""Which of two classes is the positive one, and what depends on it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from luban.config import parse
from luban.core.errors import ConfigError
from luban.evaluation.scores.scoring import score_rows
from luban.evaluation.threshold import choose, score_threshold
from luban.tasks.base import LossConfig
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.goal import parse_goal
from luban.tasks.positive import NEGATIVE, POSITIVE, guess, with_positive

CELLS = pl.Series("y", ["fraud", "legal", "legal", "fraud", "legal"])


@pytest.mark.parametrize(
    ("names", "positive", "why"),
    [
        (["no", "yes"], "yes", "name"),
        (["Y", "N"], "Y", "name"),
        (["TRUE", "FALSE"], "TRUE", "name"),
        (["0", "1"], "1", "name"),
        (["-1", "1"], "1", "name"),
        (["0", "7"], "7", "other"),
        (["ham", "spam"], "spam", "name"),
        (["Fraud", "legal"], "Fraud", "name"),
        (["churn", "stay"], "churn", "name"),
        (["default", "paid"], "default", "name"),
        (["neg", "pos"], "pos", "name"),
        (["normal", "pneumonia"], "pneumonia", "other"),
        (["spam", "not spam"], "spam", "other"),
        (["non-toxic", "toxic"], "toxic", "other"),
        (["a", "not a"], "a", "other"),
        (["是", "否"], "是", "name"),
        (["有", "无"], "有", "name"),
        (["阳性", "阴性"], "阳性", "name"),
        (["正", "负"], "正", "name"),
        (["垃圾", "非垃圾"], "垃圾", "other"),
        (["满意", "不满意"], "满意", "other"),
        (["１", "０"], "１", "name"),
        (["cat", "dog"], "dog", "order"),
        (["1", "2"], "1", "name"),
        (["true", "positive"], "positive", "order"),
        (["<=50K", ">50K"], ">50K", "order"),
    ],
)
def test_the_positive_class_is_known_by_name(names: list[str], positive: str, why: str) -> None:
    place, found = guess(names)
    assert (names[place], found) == (positive, why)
    place, found = guess(names[::-1])
    assert found == why
    if why != "order":
        assert names[::-1][place] == positive


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_any_two_names_have_one_positive_class(names: list[str]) -> None:
    place, why = guess(names)
    assert place in (0, 1)
    assert (why, place) == ("order", 1) or names[place] == names[::-1][guess(names[::-1])[0]]


def test_no_word_says_both() -> None:
    assert not POSITIVE & NEGATIVE


def test_what_is_set_is_taken_and_what_is_guessed_is_told() -> None:
    task = Binary.fit(CELLS)
    assert (task.names, task.counts) == (["fraud", "legal"], [2, 3])
    guessed, name, notes = with_positive(task, None)
    assert isinstance(guessed, Binary)
    assert (guessed.names, guessed.counts, name) == (["legal", "fraud"], [3, 2], "fraud")
    assert notes == ["positive class: 'fraud', by its name (set it with task.positive)"]
    chosen, name, notes = with_positive(task, "Legal")
    assert isinstance(chosen, Binary)
    assert (chosen.names, name, notes) == (["fraud", "legal"], "legal", [])
    assert Binary.from_state(guessed.state()).names == ["legal", "fraud"]
    old = {"target": "y", "labels": ["fraud", "legal"], "counts": [2, 3]}  # as runs before it was chosen stored it
    assert Binary.from_state(old).names[1] == "legal"


@pytest.mark.parametrize(
    ("task", "wanted", "message"),
    [
        (Binary.fit(CELLS), "fruad", "expected one of the two classes, 'fraud', 'legal', found 'fruad'. Did you mean"),
        (Binary.fit(CELLS), "1", "expected one of the two classes, 'fraud', 'legal', found '1'. Name one of them."),
        (Multiclass.fit(pl.Series("y", ["a", "b", "c"])), "a", "expected a target of two classes, found the task mul"),
    ],
)
def test_a_class_that_is_none_of_the_two_is_refused(task: Binary, wanted: str, message: str) -> None:
    with pytest.raises(ConfigError, match="task.positive: ") as error:
        with_positive(task, wanted)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("given", "wanted"), [("yes", "yes"), (1, "1"), (True, "true"), (False, "false"), (0.5, "0.5")]
)
def test_labels_that_yaml_reads_as_values_are_names(given: object, wanted: str) -> None:
    assert parse({"task": {"positive": given}}, "test").task.positive == wanted


@pytest.mark.parametrize("positive", ["fraud", "legal"])
def test_scores_threshold_and_weights_are_about_the_positive_class(positive: str) -> None:
    rng = np.random.default_rng(0)
    cells = pl.Series("y", np.where(rng.random(300) < 0.3, "fraud", "legal"))
    task, _, _ = with_positive(Binary.fit(cells), positive)
    assert isinstance(task, Binary)
    targets, bad = task.encode(cells)
    assert not bad
    truth = (cells == positive).to_numpy()
    np.testing.assert_array_equal(targets == 1, truth)
    probability = np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0.01, 0.99)
    outputs = np.stack([1 - probability, probability], axis=1)
    said = (task.decode(outputs)["predicted_y"] == positive).to_numpy()
    np.testing.assert_allclose(task.decode(outputs)[f"probability_{positive}"], probability)
    assert score_rows(task.metrics, targets, outputs, 20)["f1"].value == pytest.approx(f1_score(truth, said))

    choice = choose(task, targets, outputs, parse_goal("recall>=0.9"), stated=True)
    assert choice is not None
    scored = score_threshold(task, targets, outputs, choice)
    over = probability >= choice.threshold
    assert scored.label == positive
    assert f"'{positive}' is predicted from a probability of" in scored.sentence
    assert recall_score(truth, over) >= 0.9
    assert scored.scores["recall"].value == pytest.approx(recall_score(truth, over))
    assert scored.scores["precision"].value == pytest.approx(precision_score(truth, over))

    config = LossConfig(class_weights={"fraud": 3.0})
    logits = torch.from_numpy(probability)[:, None]
    plain, weighted = (task.configured(c).row_loss(logits, torch.from_numpy(targets)) for c in (LossConfig(), config))
    np.testing.assert_allclose((weighted / plain).numpy(), np.where(cells == "fraud", 3.0, 1.0), rtol=1e-6)
