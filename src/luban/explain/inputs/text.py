"""Texts: words are parts, put together from the tokens they are cut into; Chinese and Japanese go by character, or by
what the tokenizer takes as one token.

Shapes: S variants of the row · K words · T tokens of the row, special ones included · D width of an embedding
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from luban.core.tensors import Ragged
from luban.explain.view import Inputs, Part, RowInput, View
from luban.features.cells import strings
from luban.features.text.feature import TextFeature, texts_of
from luban.models.network import vector_name

WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
MASKS = ("[MASK]", "<mask>")
Span = tuple[int, int]


def text_view(row: RowInput) -> View:
    """A deleted word is taken out, tokens and all. The path of integrated gradients starts at the embedding of the mask
    token, which a pretrained model knows as an empty place, or at zeros where the model never saw one."""
    return view_of(row, row.feature, *words_of(row))


def view_of(row: RowInput, text: TextFeature, groups_T: Tensor, parts: tuple[Part, ...]) -> View:
    """Return the view of tokens whose words are known. text: has their tokenizer. groups_T: the word of each or -1."""
    assert isinstance(row.value, Ragged)
    ids = row.value.values
    table = row.encoder.token_embedding
    with torch.no_grad():
        first = ids[:, 0] if ids.ndim == 2 else ids
        point = table(first)[None]
        baseline = point.clone()
        baseline[0, groups_T >= 0] = _neutral(text, table, point)

    def lift(values: Tensor) -> Inputs:
        copies = len(values)
        packed = ids.repeat(copies, 1) if ids.ndim == 2 else ids.repeat(copies)
        with _embedded(table, values.flatten(0, 1)):
            vectors = row.encoder(Ragged(packed, torch.arange(copies + 1) * len(ids)))
        return {vector_name(row.name): vectors}

    def masked(keep: Tensor) -> Inputs:
        kept_ST = keep[:, groups_T.clamp(min=0)] | (groups_T < 0) if len(parts) else torch.ones(len(keep), len(ids)) > 0
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), kept_ST.sum(dim=1).cpu().cumsum(0)])
        return {row.name: Ragged(ids[kept_ST.nonzero()[:, 1]], offsets)}

    return View(row.feature.kind, parts, point, baseline, groups_T[None, :, None], lift, masked)


def words_of(row: RowInput) -> tuple[Tensor, tuple[Part, ...]]:
    """Return (T,) int64, the word that each token belongs to or -1, and the words."""
    feature: Any = row.feature
    assert isinstance(row.value, Ragged)
    ids = (row.value.values[:, 0] if row.value.values.ndim == 2 else row.value.values).tolist()
    given = texts_of(feature.columns, row.cells, feature.max_length)[0]
    texts = (given,) if isinstance(given, str) else given
    encoding = feature.encoder.tokenizer.encode(*texts)
    groups = torch.full((len(ids),), -1)
    parts: list[Part] = []
    if encoding.ids != ids:
        # The text holds what reads as a special token and was encoded with spaces in it: its tokens are the parts.
        for place, token in enumerate(ids):
            if token not in feature.encoder.control_ids:
                groups[place] = len(parts)
                parts.append(Part(feature.columns[0], "text", feature.encoder.tokenizer.id_to_token(token)))
        return groups.to(row.value.values.device), tuple(parts)
    for sequence, text in enumerate(texts):
        places = [place for place, found in enumerate(encoding.sequence_ids) if found == sequence]
        columns = feature.columns[:1] if sequence == 0 else feature.columns[1:]
        starts, last = _starts(row, columns), 0
        for tokens, (start, end) in _merged(text, [encoding.offsets[place] for place in places]):
            groups[[places[token] for token in tokens]] = len(parts)
            column = [name for name, first in starts if first <= start][-1]
            parts.append(Part(column, "text", text[start:end], gap=text[last:start]))
            last = end
    return groups.to(row.value.values.device), tuple(parts)


def _merged(text: str, spans: list[Span]) -> Iterator[tuple[list[int], Span]]:
    """Yield the tokens of each word with its span; words that one token reaches into are one word."""
    words = [match.span() for match in WORDS.finditer(text)]
    tokens: list[int] = []
    first = last = -1
    for token, (start, end) in enumerate(spans):
        touched = [index for index, (left, right) in enumerate(words) if left < end and start < right]
        if not touched:
            continue  # blanks alone
        if touched[0] > last and tokens:
            yield tokens, (words[first][0], words[last][1])
            tokens = []
        if not tokens:
            first = touched[0]
        tokens.append(token)
        last = touched[-1]
    if tokens:
        yield tokens, (words[first][0], words[last][1])


def _starts(row: RowInput, columns: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return where the text of each column starts in their joined text."""
    found, start = [(columns[0], 0)], 0
    for column in columns:
        cell = strings(row.cells[column])[0]
        if cell is not None:
            found.append((column, start))
            start += len(cell) + 1
    return found


def _neutral(text: TextFeature, table: nn.Module, point: Tensor) -> Tensor:
    """Return the embedding of an empty place, (D,)."""
    tokenizer = text.encoder.tokenizer
    if text.tokenizer == "pretrained":
        for name in MASKS:
            if (token := tokenizer.token_to_id(name)) is not None:
                embedded: Tensor = table(torch.tensor([token], device=point.device))[0]
                return embedded
    return point.new_zeros(point.shape[2])


@contextmanager
def _embedded(table: nn.Module, values: Tensor) -> Iterator[None]:
    """Let an embedding table answer with the given vectors."""
    hook = table.register_forward_hook(lambda module, given, found: values)
    try:
        yield
    finally:
        hook.remove()
