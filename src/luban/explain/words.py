"""Columns of words: they are the parts, whatever pieces the tokenizer cuts them into.

Shapes: T tokens of the row, special ones included
"""

from __future__ import annotations

import torch
from torch import Tensor

from luban.core.tensors import Ragged
from luban.explain.inputs.text import view_of
from luban.explain.view import Part, RowInput, View
from luban.features.parsing.words import words_of


def words_view(row: RowInput) -> View:
    """A deleted word is taken out, pieces and all, as of texts."""
    return view_of(row, row.feature.text, *parts_of(row))


def parts_of(row: RowInput) -> tuple[Tensor, tuple[Part, ...]]:
    """Return (T,) int64, the word that each piece belongs to or -1, and the words that the row was not cut before."""
    assert isinstance(row.value, Ragged)
    assert row.value.marks is not None
    marks = row.value.marks.long()
    groups = torch.cummax(marks, 0).values if len(marks) else marks
    control = torch.as_tensor(row.feature.text.encoder.control_ids, device=marks.device)
    groups = groups.masked_fill(torch.isin(row.value.values, control), -1)
    words = words_of(row.cells[row.feature.columns[0]])[0]
    count = int(groups.max()) + 1 if len(groups) else 0
    return groups, tuple(
        Part(row.feature.columns[0], "text", word) for word in ([] if words is None else words)[:count]
    )
