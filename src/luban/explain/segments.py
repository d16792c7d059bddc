"""Long texts in fewer parts: neighbouring words become a segment, so that what a method draws can tell them apart.

Shapes: S variants of the row · K words and other parts · G segments and other parts
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import torch
from torch import Tensor

from luban.explain.question import Question
from luban.explain.view import Inputs, Part, View

STOPS = frozenset(".!?;:,\u3002\uff01\uff1f\uff1b\uff1a\uff0c\u3001")


def segmented(question: Question, most_parts: int) -> tuple[Question, tuple[int, ...]]:
    """Return the question about no more than so many parts where words can be put together for it, and for each of
    its parts how many of the given question's it stands for. Each column of words keeps a segment of its own."""
    words = sum(part.form == "text" for part in question.parts)
    room = most_parts - (len(question.parts) - words)
    if len(question.parts) <= most_parts:
        return question, (1,) * len(question.parts)
    views, sizes = [], list[int]()
    for view in question.views:
        runs = list[tuple[Part, ...]]()
        for (_, form), group in groupby(view.parts, key=lambda part: (part.column, part.form)):
            parts = tuple(group)
            count = int(room * len(parts) / words) if form == "text" else len(parts)
            runs += cut(parts, max(count, 1))
        views.append(_joined(view, runs))
        sizes += [len(run) for run in runs]
    return replace(question, views=tuple(views)), tuple(sizes)


def cut(parts: Sequence[Part], count: int) -> list[tuple[Part, ...]]:
    """Cut words into so many segments of like size, after a mark of punctuation where there is one close by."""
    size = len(parts) / count
    ends = [0]
    for number in range(1, count):
        even, last = round(number * size), len(parts) - count + number
        near = [place for place in range(ends[-1] + 1, last + 1) if abs(place - even) < size / 2]
        stops = [place for place in near if parts[place - 1].label in STOPS]
        places = stops or near or range(ends[-1] + 1, last + 1)
        ends.append(min(places, key=lambda place: abs(place - even)))
    return [tuple(parts[start:end]) for start, end in pairwise([*ends, len(parts)])]


def _joined(view: View, runs: Sequence[tuple[Part, ...]]) -> View:
    if len(runs) == len(view.parts):
        return view
    segment_of_K = torch.arange(len(runs)).repeat_interleave(torch.tensor([len(run) for run in runs]))

    def masked(keep_SG: Tensor) -> Inputs:
        return view.masked(keep_SG[:, segment_of_K.to(keep_SG.device)])

    groups = segment_of_K.to(view.groups.device)[view.groups.clamp(min=0)].where(view.groups >= 0, -1)
    return replace(view, parts=tuple(_segment(run) for run in runs), groups=groups, masked=masked)


def _segment(run: Sequence[Part]) -> Part:
    label = run[0].label + "".join(part.gap + part.label for part in run[1:])
    return replace(run[0], label=label, words=len(run))
