"""Spans of words as tags, one a word: `B-PER I-PER O`, in the ways of writing that CoNLL's shared tasks left behind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

OUTSIDE = "O"
PREFIXED = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
BEGINS, ENDS, SINGLE = "BSU", "ESLU", "SU"  # BIOES has E and S for what BILOU calls L and U


class Span(NamedTuple):
    """Words `start` to `end`, the last one not among them."""

    label: str
    start: int
    end: int


def are_spans(tags: Iterable[str]) -> bool:
    """Tell whether tags mark spans: each is `O` or has a prefix, and some begin or go on with one."""
    found = set(tags) - {OUTSIDE}
    return bool(found) and all(PREFIXED.fullmatch(tag) for tag in found) and any(tag[0] in "BI" for tag in found)


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the spans that tags mark, as CoNLL-2000's `conlleval` reads them: an I- of another kind than the word
    before it, or after no span, begins one; a kind alone, without a prefix, marks nothing."""
    found, label, start = list[Span](), "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        match = PREFIXED.fullmatch(tag)
        prefix, kind = (match[1], match[2]) if match else ("", "")
        if label and (not kind or kind != label or prefix in BEGINS):
            found.append(Span(label, start, place))
            label = ""
        if kind and not label:
            label, start = kind, place
        if label and prefix in ENDS:
            found.append(Span(label, start, place + 1))
            label = ""
    return found


def orphan(tags: Sequence[str]) -> int | None:
    """Return the place of the first I- that no word before it leads to; None where there is none."""
    before = ""
    for place, tag in enumerate(tags):
        match = PREFIXED.fullmatch(tag)
        if match and match[1] in "IEL" and before != match[2]:
            return place
        before = match[2] if match and match[1] not in ENDS else ""
    return None


def tags_of(spans: Sequence[Mapping[str, Any]], places: Sequence[tuple[int, int]]) -> list[str]:
    """Return BIO tags of words from spans of characters. places: where each word starts and ends.

    spans: with `start`, `end` and `label`. Raises ValueError where spans overlap, cut a word, hold none or lack a part.
    """
    if any(span[part] is None for span in spans for part in ("start", "end", "label")):
        raise ValueError("a span lacks its start, its end or its label")
    tags = [OUTSIDE] * len(places)
    starts, ends = {start: i for i, (start, _) in enumerate(places)}, {end: i for i, (_, end) in enumerate(places)}
    for span in sorted(spans, key=lambda item: (item["start"], item["end"])):
        start, end, label = int(span["start"]), int(span["end"]), str(span["label"])
        if start not in starts or end not in ends or starts[start] > ends[end]:
            raise ValueError(f"the span {start} to {end} of '{label}' cuts a word, or holds none")
        first, last = starts[start], ends[end]
        if any(tag != OUTSIDE for tag in tags[first : last + 1]):
            raise ValueError(f"the span {start} to {end} of '{label}' overlaps another one")
        tags[first : last + 1] = [f"B-{label}", *[f"I-{label}"] * (last - first)]
    return tags
