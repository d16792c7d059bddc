"""Scores of tags: of words, and of the spans that they mark.

Answers are rows of words: arrays of objects, (rows,), whose entries are (words,) ids of tags in targets and (words, 2)
ids and probabilities in outputs, which may be shorter where a row was cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from luban.tasks.base import Array, Floats, Metric
from luban.tasks.spans import spans_of

NONE = -1  # the tag of a word that has no answer


def said(outputs: Floats, targets: Array) -> list[npt.NDArray[np.int64]]:
    """Return the ids of the tags that are said of each word of each row; NONE where a row was cut before it."""
    found = []
    for answer, truth in zip(outputs, targets, strict=True):
        ids = np.full(len(truth), NONE, np.int64)
        kept = min(len(answer), len(truth))
        ids[:kept] = answer[:kept, 0].astype(np.int64)
        found.append(ids)
    return found


def right_words(targets: Array, outputs: Floats) -> Floats:
    """(rows, 2): how many words of each row have their tag, and how many there are."""
    pairs = zip(said(outputs, targets), targets, strict=True)
    found: Floats = np.array([[float((mine == truth).sum()), len(truth)] for mine, truth in pairs], np.float64)
    return found.reshape(-1, 2)


def spans_found(names: Sequence[str], targets: Array, outputs: Floats) -> Floats:
    """(rows, 3): spans of each row that are found with their label and both ends, that there are, that are said."""
    outside = "O"

    def tags(ids: Array) -> list[str]:
        return [names[place] if place != NONE else outside for place in ids.tolist()]

    rows = []
    for mine, truth in zip(said(outputs, targets), targets, strict=True):
        own, theirs = set(spans_of(tags(mine))), set(spans_of(tags(truth)))
        rows.append([len(own & theirs), len(theirs), len(own)])
    return np.array(rows, np.float64).reshape(-1, 3)


def _share(sums: Floats) -> Floats:
    """(R, 2) -> (R,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Floats = sums[:, 0] / sums[:, 1]
    return shares


def _f1(sums: Floats) -> Floats:
    """(R, 3) -> (R,): of found, present and said ones; not defined where there is neither."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = 2 * sums[:, 0] / (sums[:, 1] + sums[:, 2])
    return found


def _extreme_words(means: Floats) -> tuple[Floats, Floats]:
    return np.array([0.0, means[1]]), np.array([means[1], means[1]])


def _extreme_spans(means: Floats) -> tuple[Floats, Floats]:
    return np.array([0.0, means[1], means[2]]), np.array([means[1], means[1], means[1]])


def metrics_of(names: Sequence[str], *, spans: bool) -> tuple[Metric, ...]:
    """Return the scores of tags; of spans first where they mark such, exact as CoNLL-2003 counts."""
    words = Metric(
        "token_accuracy",
        lambda targets, outputs, weights: _share(weights @ right_words(targets, outputs)),
        breaks_ties=True,
        interval="means",
        parts=right_words,
        formula=_share,
        extremes=_extreme_words,
        best=1.0,
    )
    if not spans:
        return (words,)

    def parts(targets: Array, outputs: Floats) -> Floats:
        return spans_found(names, targets, outputs)

    entities = Metric(
        "entity_f1",
        lambda targets, outputs, weights: _f1(weights @ parts(targets, outputs)),
        interval="means",
        parts=parts,
        formula=_f1,
        extremes=_extreme_spans,
        best=1.0,
    )
    return (entities, words)
