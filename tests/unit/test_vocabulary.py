"""The ids in use are found in columns larger than memory."""

from __future__ import annotations

import numpy as np
import pytest

from luban.core.tensors import EncodedColumn, TensorKind
from luban.features.dataset import Dataset
from luban.training import vocabulary
from luban.training.vocabulary import used_ids


@pytest.mark.parametrize("size", [2**24, 4, 1])
def test_used_ids_are_found_part_by_part(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "COUNTED_AT_ONCE", size)
    rows = np.arange(3)
    ids = np.array([7, 2, 2, 9, 0, 7], np.int32)
    offsets = np.array([0, 2, 2, 6])
    inputs = {
        "single": EncodedColumn(TensorKind.TOKENS, ids, offsets),
        "pair": EncodedColumn(TensorKind.TOKENS, np.stack([ids, 100 + ids], axis=1), offsets),
    }
    data = Dataset(inputs, {}, rows, rows, {})
    other = Dataset(
        {name: EncodedColumn(TensorKind.TOKENS, ids[:1] + 4, offsets[:2]) for name in ("single",)},
        {},
        rows[:1],
        rows[:1],
        {},
    )
    for name in inputs:
        assert used_ids(name, [data, data.select(rows[:1])]).tolist() == [0, 2, 7, 9]
    assert used_ids("single", [data, other]).tolist() == [0, 2, 7, 9, 11]
