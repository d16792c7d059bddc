from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, f1_score
from seqeval.metrics.sequence_labeling import get_entities

from luban.tasks.spans import Span, are_spans, orphan, spans_of, tags_of
from luban.tasks.tag_metrics import metrics_of
from luban.tasks.tags import of_rows

KINDS = ("PER", "LOC", "A-B")  # one with the mark of a prefix in it
ANY = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in KINDS)]
SCHEMES = {  # what a span of a kind is written as, by its length
    "BIO": lambda kind, length: [f"B-{kind}", *[f"I-{kind}"] * (length - 1)],
    "BIOES": lambda kind, length: (
        [f"S-{kind}"] if length == 1 else [f"B-{kind}", *[f"I-{kind}"] * (length - 2), f"E-{kind}"]
    ),
    "BILOU": lambda kind, length: (
        [f"U-{kind}"] if length == 1 else [f"B-{kind}", *[f"I-{kind}"] * (length - 2), f"L-{kind}"]
    ),
}
PIECES = st.lists(st.tuples(st.sampled_from(["O", *KINDS]), st.integers(1, 4)), max_size=8)


def broken(prefixes: str) -> st.SearchStrategy[list[str]]:
    """Sequences of any tags with these prefixes, in any order."""
    tags = ["O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in KINDS)]
    return st.lists(st.sampled_from(tags), max_size=12)


def of_pieces(pieces: list[tuple[str, int]], scheme: str) -> tuple[list[str], list[Span]]:
    tags, spans = list[str](), list[Span]()
    for kind, length in pieces:
        if kind == "O":
            tags += ["O"] * length
        else:
            spans.append(Span(kind, len(tags), len(tags) + length))
            tags += SCHEMES[scheme](kind, length)
    return tags, spans


def iob1(pieces: list[tuple[str, int]]) -> tuple[list[str], list[Span]]:
    """Spans begin with I-, and with B- only where one of the same kind stands just before."""
    _, spans = of_pieces(pieces, "BIO")
    tags = ["O"] * sum(length for _, length in pieces)
    for label, start, end in spans:
        tags[start:end] = [f"I-{label}"] * (end - start)
        if start and tags[start - 1][2:] == label:
            tags[start] = f"B-{label}"
    return tags, spans


def theirs(tags: list[str]) -> list[Span]:
    return [Span(label, start, end + 1) for label, start, end in get_entities(tags)]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(pieces=PIECES)
def test_spans_read_as_they_are_written(scheme: str, pieces: list[tuple[str, int]]) -> None:
    tags, spans = of_pieces(pieces, scheme)
    assert spans_of(tags) == spans
    assert orphan(tags) is None
    if scheme != "BILOU":  # whose L and U seqeval knows in its strict mode alone
        assert theirs(tags) == spans


@given(PIECES)
def test_spans_that_begin_with_i_are_read(pieces: list[tuple[str, int]]) -> None:
    tags, spans = iob1(pieces)
    assert spans_of(tags) == spans == theirs(tags)


@settings(max_examples=500)
@given(st.one_of(broken("BI"), broken("I"), broken("BIES"), broken("BIE"), broken("ES")))
def test_broken_sequences_hold_the_spans_that_seqeval_finds(tags: list[str]) -> None:
    assert spans_of(tags) == theirs(tags)


@given(st.lists(st.tuples(*[st.lists(st.sampled_from(ANY), min_size=1, max_size=9)] * 2), min_size=1, max_size=6))
def test_scores_are_those_of_seqeval(pairs: list[tuple[list[str], list[str]]]) -> None:
    pairs = [(truth, (said * len(truth))[: len(truth)]) for truth, said in pairs]
    truth, said = [one for one, _ in pairs], [other for _, other in pairs]
    assume(any(spans_of(tags) for tags in truth + said))
    ids = {tag: place for place, tag in enumerate(ANY)}
    targets = of_rows([np.array([ids[tag] for tag in tags]) for tags in truth])
    outputs = of_rows([np.array([[ids[tag], 0.5] for tag in tags]) for tags in said])
    found = {
        metric.name: float(metric.compute(targets, outputs, np.ones((1, len(pairs))))[0])
        for metric in metrics_of(ANY, spans=True)
    }
    assert found["entity_f1"] == pytest.approx(f1_score(truth, said, zero_division=0))
    assert found["token_accuracy"] == pytest.approx(accuracy_score(truth, said))


def test_a_word_that_a_row_was_cut_before_is_wrong_and_in_no_span() -> None:
    names = ["O", "B-X", "I-X"]
    targets = of_rows([np.array([0, 1, 2, 1])])
    outputs = of_rows([np.array([[0, 0.9], [1, 0.9], [2, 0.9]])])
    entities, words = metrics_of(names, spans=True)
    assert words.compute(targets, outputs, np.ones((1, 1))).tolist() == [0.75]
    assert entities.compute(targets, outputs, np.ones((1, 1))).tolist() == pytest.approx([2 / 3])


def test_a_score_of_no_spans_is_not_defined() -> None:
    entities, words = metrics_of(["O", "B-X"], spans=True)
    targets, outputs = of_rows([np.array([0])]), of_rows([np.array([[0, 1.0]])])
    assert np.isnan(entities.compute(targets, outputs, np.ones((1, 1)))).all()
    assert words.compute(targets, outputs, np.ones((2, 1))).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["O", "B-X", "I-X"], True),
        (["I-X", "O"], True),
        (["O"], False),
        ([], False),
        (["NN", "O"], False),
        (["S-X", "E-X"], False),  # no span that begins: S-bar and E-mail are tags of something else
        (["B-X", "NN"], False),
        (["B"], False),
    ],
)
def test_tags_of_spans_are_told_from_others(tags: list[str], expected: bool) -> None:
    assert are_spans(tags) is expected


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        (["B-X", "I-X", "O", "I-X"], 3),
        (["I-X"], 0),
        (["B-X", "I-Y"], 1),
        (["S-X", "I-X"], 1),
        (["B-X", "E-X", "E-X"], 2),
        (["B-X", "B-X", "I-X"], None),
        (["O", "NN"], None),
    ],
)
def test_what_goes_on_with_nothing_is_found(tags: list[str], place: int | None) -> None:
    assert orphan(tags) == place


PLACES = [(0, 4), (5, 8), (8, 9), (10, 14)]


def span(start: int, end: int, label: str = "X") -> dict[str, object]:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("spans", "tags"),
    [
        ([], ["O"] * 4),
        ([span(0, 4)], ["B-X", "O", "O", "O"]),
        ([span(5, 14, "Y"), span(0, 4)], ["B-X", "B-Y", "I-Y", "I-Y"]),
        ([span(5, 8), span(8, 9)], ["O", "B-X", "B-X", "O"]),
    ],
)
def test_spans_of_characters_become_tags(spans: list[dict[str, object]], tags: list[str]) -> None:
    assert tags_of(spans, PLACES) == tags


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([span(0, 3)], "the span 0 to 3 of 'X' cuts a word, or holds none"),
        ([span(6, 8)], "the span 6 to 8 of 'X' cuts a word, or holds none"),
        ([span(4, 5)], "the span 4 to 5 of 'X' cuts a word, or holds none"),
        ([span(5, 4)], "the span 5 to 4 of 'X' cuts a word, or holds none"),
        ([span(0, 8), span(5, 9, "Y")], "the span 5 to 9 of 'Y' overlaps another one"),
        ([span(0, 4), {"start": 5, "end": None, "label": "X"}], "a span lacks its start, its end or its label"),
        ([span(0, 4), span(0, 4)], "the span 0 to 4 of 'X' overlaps another one"),
    ],
)
def test_spans_that_are_no_words_are_told(spans: list[dict[str, object]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tags_of(spans, PLACES)


@given(PIECES)
def test_tags_of_spans_read_back(pieces: list[tuple[str, int]]) -> None:
    tags, spans = of_pieces(pieces, "BIO")
    places = [(3 * place, 3 * place + 2) for place in range(len(tags))]
    characters = [span(3 * start, 3 * end - 1, label) for label, start, end in spans]
    assert tags_of(characters, places) == tags
