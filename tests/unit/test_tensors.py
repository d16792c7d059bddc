from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luban.core.tensors import Batch, EncodedColumn, Ragged, TensorKind

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=12)


def packed(lengths: list[int]) -> EncodedColumn:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return EncodedColumn(TensorKind.TOKENS, np.arange(offsets[-1], dtype=np.int32), offsets)


@settings(max_examples=50, deadline=None)
@given(LENGTHS, st.data())
def test_take_copies_the_rows_in_the_order_asked_for(lengths: list[int], data: st.DataObject) -> None:
    column = packed(lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1)), np.int64)
    taken = column.take(rows)
    assert isinstance(taken, Ragged)
    assert taken.lengths.tolist() == [lengths[row] for row in rows]
    assert column.offsets is not None
    for place, row in enumerate(rows):
        expected = column.values[column.offsets[row] : column.offsets[row + 1]]
        found = taken.values[taken.offsets[place] : taken.offsets[place + 1]]
        assert found.tolist() == expected.tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(LENGTHS, min_size=1, max_size=4))
def test_concatenated_chunks_equal_the_whole(chunks: list[list[int]]) -> None:
    whole = packed([length for chunk in chunks for length in chunk])
    start, parts = 0, []
    for chunk in chunks:
        part = packed(chunk)
        parts.append(EncodedColumn(part.kind, part.values + np.int32(start), part.offsets))
        start += sum(chunk)
    joined = EncodedColumn.concatenate(parts)
    assert joined.values.tolist() == whole.values.tolist()
    assert np.array_equal(joined.offsets, whole.offsets)


def test_batch_counts_tokens_where_there_are_some_and_rows_elsewhere() -> None:
    rows = np.arange(2)
    ragged = Ragged.pack([torch.arange(3), torch.arange(4)])
    assert Batch({"text": ragged, "age": torch.zeros(2, 1)}, None, rows).num_tokens == 7
    assert Batch({"age": torch.zeros(2, 1)}, None, rows).num_tokens == 2
