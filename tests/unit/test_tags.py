"""A tag for each word: what is learned and said of them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional as F

from luban.core.errors import ConfigError, DataError
from luban.core.tensors import Batch, OutputKind, Ragged
from luban.data.table import Table
from luban.evaluation.mistakes import find_mistakes
from luban.features.base import FitContext
from luban.features.dataset import Dataset
from luban.features.text.feature import TextConfig
from luban.features.words import INSIDE, WordsFeature
from luban.stages.infer import guess_target
from luban.tasks import infer_task
from luban.tasks.base import LossConfig
from luban.tasks.tag_metrics import said
from luban.tasks.tags import Tags
from luban.tasks.targets import MISSING, companions, profiled, unseen_labels

SENTENCES = [["Anna", "saw", "New", "York"], ["unbelievable", "!"], ["小", "明", "去", "北京"], ["saw", "Anna"]] * 3
TAGS = [["B-PER", "O", "B-LOC", "I-LOC"], ["O", "O"], ["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-PER"]] * 3


def table(columns: dict[str, Any]) -> Table:
    frame = pl.DataFrame(columns, strict=False)
    return Table(frame, "rows", None, np.arange(1, len(frame) + 1))


def words(sentences: list[Any] = SENTENCES, **settings: Any) -> WordsFeature:
    frame = pl.DataFrame({"tokens": sentences})
    return WordsFeature.fit("tokens", ("tokens",), frame, TextConfig(**settings), FitContext())


def task(tags: list[Any] = TAGS, column: str = "tokens") -> Tags:
    return Tags.fit(pl.Series("tags", tags)).bound({column: "words"})


# The target


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        ({"tokens": SENTENCES, "ner_tags": TAGS, "id": range(12)}, "ner_tags"),
        ({"pos_tags": TAGS, "tokens": SENTENCES}, "pos_tags"),
        ({"labels": TAGS, "tokens": SENTENCES}, "labels"),
        ({"tokens": SENTENCES, "tags": [[len(tag) for tag in row] for row in TAGS], "id": range(12)}, "tags"),
        (
            {"id": ["a1"] * 2, "entities": [[{"start": 0, "end": 4, "label": "PER"}], []], "text": ["Anna saw", "x"]},
            "entities",
        ),
        ({"spans": [[{"start": 0, "end": 4, "label": "PER"}], []], "text": ["Anna", "saw"]}, "spans"),
    ],
)
def test_tags_beside_words_are_the_target(columns: dict[str, Any], target: str) -> None:
    rows = table(columns)
    assert guess_target(rows)[0] == target
    profile = profiled(rows, target)
    assert profile.companions[0] in ("tokens", "text")
    assert infer_task(profile) is Tags
    kinds = Tags.kinds(profile, rows.columns)
    assert [name for name, kind in kinds.items() if kind == "words"] == [profile.companions[0]]
    assert set(kinds.values()) <= {"words", "ignore"}


def test_tags_without_words_are_no_target_by_name() -> None:
    assert guess_target(table({"tags": TAGS, "price": [1.5] * 12}))[0] == "price"
    assert companions(table({"tokens": [["a", "b"]] * 4, "tags": [["O", "O"]] * 4}), "tags") == ()


def test_tags_that_are_of_no_words_are_told() -> None:
    rows = table({"tags": TAGS, "price": [1.5] * 12})
    with pytest.raises(DataError, match=r"target 'tags': expected a column of as many words as the target has tags"):
        Tags.kinds(profiled(rows, "tags"), rows.columns)


@pytest.mark.parametrize(
    "kinds", [{}, {"tokens": "words", "x": "number"}, {"tokens": "text"}, {"a": "words", "b": "words"}]
)
def test_other_inputs_than_one_column_of_words_are_told(kinds: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="data.columns: expected one input, a column of words, which the tags are of"):
        Tags.fit(pl.Series("tags", TAGS)).bound(kinds)


@pytest.mark.parametrize("cells", [[None, None], [[], []]])
def test_a_table_where_no_target_is_present_is_told(cells: list[Any]) -> None:
    with pytest.raises(DataError, match="target 'tags': expected tags in some row, found none in 2 rows"):
        Tags.fit(pl.Series("tags", cells, dtype=pl.List(pl.String)))


def test_one_tag_alone_is_told() -> None:
    with pytest.raises(DataError, match=r"target 'tags': expected two different tags or more, found only 'O'"):
        Tags.fit(pl.Series("tags", [["O", "O"], ["O"]]))


def test_labels_are_sorted_and_counted() -> None:
    found = task()
    assert found.labels == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]
    assert found.counts == [6, 9, 3, 3, 15]
    assert (found.marks_spans, found.lenient) == (True, False)
    assert [metric.name for metric in found.metrics] == ["entity_f1", "token_accuracy"]
    assert found.counted(pl.DataFrame({"tokens": SENTENCES, "tags": TAGS})) is found
    (head,) = found.heads()
    assert (head.kind, head.size, head.of) == (OutputKind.PLACE, 5, "tokens")


def test_tags_that_mark_no_spans_are_scored_by_word() -> None:
    found = Tags.fit(pl.Series("tags", [["NN", "VB"], ["NN"]] * 3))
    assert [metric.name for metric in found.metrics] == ["token_accuracy"]
    assert found.remarks() == []


def encode(columns: dict[str, Any], found: Tags | None = None) -> tuple[list[list[int]], dict[int, tuple[str, str]]]:
    targets, bad = (task() if found is None else found).encode_targets(pl.DataFrame(columns, strict=False))
    column = targets["tags"]
    return [row.tolist() for row in np.split(column.values, column.offsets[1:-1])], bad  # type: ignore[index]


def test_targets_are_ids_of_all_words() -> None:
    rows, bad = encode({"tokens": SENTENCES, "tags": TAGS})
    assert rows[:4] == [[1, 4, 0, 2], [4, 4], [1, 3, 4, 0], [4, 1]]
    assert not bad


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (["O"], "2 words and 1 tags"),
        (["O", "O", "O"], "2 words and 3 tags"),
        ([], MISSING),
        (None, MISSING),
        (["O", "B-ORG"], "the label 'B-ORG' is not among those of the training rows"),
        (["O", "I-PER"], "'I-PER' at word 2 goes on with a span that no word before it is of"),
        (["B-PER", "I-LOC"], "'I-LOC' at word 2 goes on with a span that no word before it is of"),
        ("O O O", "2 words and 3 tags"),
    ],
)
def test_a_row_that_cannot_be_learned_from_is_told(tags: Any, reason: str) -> None:
    rows, bad = encode({"tokens": [["a", "b"]], "tags": [tags]})
    assert bad == {0: ("tags", reason)}
    assert rows == [[0, 0]]


def test_unseen_tags_are_told_and_many_are_refused() -> None:
    cells = {"tokens": [["a"]] * 200, "tags": [["B-ORG"]] + [["O"]] * 199}
    _, bad = encode(cells)
    reasons = {position: reason for position, (_, reason) in bad.items()}
    rows, notes = unseen_labels(table(cells), "tags", reasons)
    assert rows == {0}
    assert notes[0].startswith("label 'B-ORG' stands in rows but not in the training rows: 1 row set aside")
    with pytest.raises(
        DataError, match=r"expected labels of the training rows in all but 1% .* others in 1 of 2: 'B-ORG'"
    ):
        unseen_labels(table({"tags": [["B-ORG"], ["O"]]}), "tags", reasons)


def test_spans_that_begin_with_i_are_taken_where_most_do() -> None:
    cells = [["I-PER", "I-PER", "B-PER", "O"], ["I-LOC", "O"]] * 3
    found = task(cells)
    assert found.lenient
    assert encode({"tokens": [["a"] * len(row) for row in cells], "tags": cells}, found)[1] == {}


TEXT = "Anna saw New York"


def spans(*of: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "label": label} for start, end, label in of]


def test_spans_of_characters_are_tags_of_words() -> None:
    cells = [spans((0, 4, "PER"), (9, 17, "LOC")), spans(), spans((9, 17, "LOC"))]
    found = Tags.fit(pl.Series("tags", cells)).bound({"text": "words"})
    assert found.labels == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]
    frame = pl.DataFrame({"text": [TEXT, "saw", TEXT], "tags": cells})
    assert found.counted(frame).counts == [2, 1, 2, 1, 4]  # words of each, one at least
    rows, bad = encode({"text": [TEXT, "saw", TEXT], "tags": cells}, found)
    assert not bad
    assert rows == [[1, 4, 0, 2], [4], [4, 4, 0, 2]]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (spans((0, 8, "PER"), (5, 12, "LOC")), "the span 5 to 12 of 'LOC' overlaps another one"),
        (spans((0, 3, "PER")), "the span 0 to 3 of 'PER' cuts a word, or holds none"),
        (spans((9, 99, "LOC")), "the span 9 to 99 of 'LOC' cuts a word, or holds none"),
        (None, MISSING),
    ],
)
def test_spans_that_fit_no_words_are_told(cell: Any, reason: str) -> None:
    good = spans((0, 4, "PER"), (9, 17, "LOC"))
    found = Tags.fit(pl.Series("tags", [good])).bound({"text": "words"})
    _, bad = encode({"text": [TEXT, TEXT], "tags": [good, cell]}, found)
    assert bad == {1: ("tags", reason)}


# What is learned and said


def batch(feature: WordsFeature, found: Tags, cells: list[list[str]], tags: list[list[str]]) -> Batch:
    frame = pl.DataFrame({"tokens": cells, "tags": tags})
    inputs = feature.prepare(feature.encode(frame).column.take(np.arange(len(frame))))
    targets, bad = found.encode_targets(frame)
    assert not bad
    rows = np.arange(len(frame))
    return Batch({"tokens": inputs}, {"tags": targets["tags"].take(rows)}, rows)


@pytest.mark.parametrize(
    "settings", [{}, {"label_smoothing": 0.2}, {"class_weights": {"B-PER": 3.0}}, {"class_weights": "balanced"}]
)
def test_the_loss_is_that_of_the_first_pieces(settings: dict[str, Any]) -> None:
    feature, found = words(tokenizer="characters", max_length=10), task().configured(LossConfig(**settings))
    rows = batch(feature, found, SENTENCES[:4], TAGS[:4])  # "unbelievable !" is cut before its first word
    inputs = rows.inputs["tokens"]
    assert isinstance(inputs, Ragged)
    assert inputs.marks is not None
    torch.manual_seed(0)
    logits = torch.randn(len(inputs.values), 5, requires_grad=True)
    loss = found.loss({"tags": Ragged(logits, inputs.offsets)}, rows)
    weights = torch.ones(5)
    if settings.get("class_weights") == "balanced":
        weights = torch.tensor([36 / (5 * count) for count in found.counts])
    elif "class_weights" in settings:
        weights[1] = 3.0
    expected, kept = [], []
    for row, tags in enumerate(TAGS[:4]):
        total, count = torch.zeros(()), 0
        for place in range(int(inputs.offsets[row]), int(inputs.offsets[row + 1])):
            if (mark := int(inputs.marks[place])) != INSIDE:
                logs = logits[place].log_softmax(0)
                smoothing, label = found.settings.label_smoothing, found.labels.index(tags[mark])
                total = total - (1 - smoothing) * weights[label] * logs[label] - smoothing / 5 * (weights * logs).sum()
                count += 1
        expected.append(total)
        kept.append(count)
    torch.testing.assert_close(loss, torch.stack(expected))
    assert kept == [2, 0, 4, 2]
    assert found.num_units(rows).tolist() == kept
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert (logits.grad.abs().sum(dim=1) > 0).tolist() == (inputs.marks >= 0).tolist()


def test_the_loss_by_chance_is_that_of_a_guess_a_word() -> None:
    found = task()
    rows = batch(words(), found, SENTENCES, TAGS)
    units = found.num_units(rows)
    assert units.tolist() == [len(row) for row in TAGS]
    torch.testing.assert_close(found.chance_loss(rows), units * math.log(5))
    torch.testing.assert_close(found.chance_loss(Batch({}, rows.targets, rows.rows)), units * math.log(5))


def test_a_setting_of_another_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="train.loss.loss: expected no such setting for the task tags"):
        task().configured(LossConfig(loss="mae"))


def test_of_each_word_its_tag_and_probability_are_kept() -> None:
    feature, found = words(tokenizer="characters", max_length=8), task()
    rows = batch(feature, found, SENTENCES[:4], TAGS[:4])
    inputs = rows.inputs["tokens"]
    assert isinstance(inputs, Ragged)
    assert inputs.marks is not None
    torch.manual_seed(1)
    logits = torch.randn(len(inputs.values), 5)
    kept = found.keep({"tags": Ragged(logits, inputs.offsets)}, rows)
    answers = found.answers(kept)
    assert [answer.shape for answer in answers] == [(1, 2), (0, 2), (4, 2), (1, 2)]
    places = (inputs.marks >= 0).nonzero().flatten()
    probabilities = F.softmax(logits[places], dim=1)
    np.testing.assert_allclose(np.concatenate(answers)[:, 1], probabilities.max(dim=1).values, rtol=1e-6)
    np.testing.assert_array_equal(np.concatenate(answers)[:, 0], probabilities.argmax(dim=1))
    columns, _ = found.encode_targets(pl.DataFrame({"tokens": SENTENCES[:4], "tags": TAGS[:4]}))
    targets = found.truth(Dataset.of_targets(columns))
    assert [row.tolist().count(-1) for row in said(answers, targets)] == [3, 2, 0, 1]


def rows_of(*answers: list[tuple[int, float]]) -> Any:
    found = np.empty(len(answers), dtype=object)
    for place, answer in enumerate(answers):
        found[place] = np.array(answer, np.float32).reshape(-1, 2)
    return found


def test_predictions_are_tags_and_spans_of_words() -> None:
    outputs = rows_of([(1, 0.9), (4, 0.8), (0, 0.75), (2, 0.5)], [(4, 1.0)], [])
    frame = pl.DataFrame({"tokens": [["Anna", "saw", "New", "York"], ["saw", "Rom"], []]})
    found = task().decode(outputs, frame)
    assert found.columns == ["predicted_tags", "spans_tags"]
    assert found["predicted_tags"].to_list() == [["B-PER", "O", "B-LOC", "I-LOC"], ["O", "O"], []]  # "Rom" was cut
    assert [json.loads(cell) for cell in found["spans_tags"]] == [
        [
            {"label": "PER", "text": "Anna", "start": 0, "end": 1, "probability": 0.9},
            {"label": "LOC", "text": "New York", "start": 2, "end": 4, "probability": 0.5},
        ],
        [],
        [],
    ]


def test_spans_of_texts_count_characters() -> None:
    outputs = rows_of([(1, 0.9), (4, 0.8), (0, 0.75), (2, 0.5)], [(1, 0.6), (3, 0.7), (4, 0.9), (0, 1.0), (2, 1.0)])
    frame = pl.DataFrame({"text": ["  Anna saw New\tYork", "小明去北京"]})
    found = task(column="text").decode(outputs, frame)
    assert [json.loads(cell) for cell in found["spans_tags"]] == [
        [
            {"label": "PER", "text": "Anna", "start": 2, "end": 6, "probability": 0.9},
            {"label": "LOC", "text": "New\tYork", "start": 11, "end": 19, "probability": 0.5},
        ],
        [
            {"label": "PER", "text": "小明", "start": 0, "end": 2, "probability": 0.6},
            {"label": "LOC", "text": "北京", "start": 3, "end": 5, "probability": 1.0},
        ],
    ]


def test_words_that_were_cut_have_no_tag_where_none_means_outside() -> None:
    found = task([["NN", "VB"], ["NN"]] * 3).decode(rows_of([(0, 1.0)]), pl.DataFrame({"tokens": [["a", "b"]]}))
    assert found.to_dict(as_series=False) == {"predicted_tags": [["NN", None]]}


def test_state_that_contradicts_itself_is_refused() -> None:
    state = task().state()
    assert Tags.from_state(json.loads(json.dumps(state))).state() == state
    for wrong in ({"labels": ["O", "O"], "counts": [1, 1]}, {"counts": [1]}, {"labels": ["O"], "counts": [1]}):
        with pytest.raises(ValueError, match="label"):
            Tags.from_state({**state, **wrong})


def test_mistakes_are_shown_as_what_is_said() -> None:
    cells = [spans((0, 4, "PER"), (9, 17, "LOC")), spans((9, 17, "LOC"))]
    found = Tags.fit(pl.Series("tags", cells)).bound({"text": "words"})
    rows = table({"text": [TEXT, TEXT], "tags": cells})
    targets = found.truth(Dataset.of_targets(found.encode_targets(rows.frame)[0]))
    outputs = rows_of([(1, 0.9), (4, 0.8), (0, 0.75), (2, 0.5)], [(1, 0.9), (4, 0.8), (0, 0.75), (4, 0.5)])
    (mistake,) = find_mistakes(found, rows, targets, outputs, {"text": "words"})
    assert (mistake["row"], mistake["confidence"]) == (2, None)
    assert (mistake["actual"], mistake["predicted"]) == ("O;O;B-LOC;I-LOC", "B-PER;O;B-LOC;O")
    assert mistake["cells"] == {"text": TEXT}
