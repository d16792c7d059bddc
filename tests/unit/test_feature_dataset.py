from __future__ import annotations

import numpy as np
import polars as pl
import torch
from one_target import targets_of
from torch import Tensor

from luban.core.tensors import EncodedColumn, Ragged, TensorKind, only
from luban.data.table import Table
from luban.features import cache, schema
from luban.features.base import FitContext
from luban.features.dataset import Dataset

FRAME = pl.DataFrame(
    {
        "age": [float(row) ** 2 for row in range(40)],
        "text": [f"it took {row} days" + " again" * row for row in range(40)],
    }
)
TABLE = Table(FRAME, "letters.csv", None, np.arange(1, 41))


def dataset(targets: bool = True) -> Dataset:
    fitted = schema.fit(schema.plan(TABLE, target=None), TABLE, schema.FeaturesConfig(), FitContext())
    inputs, _ = cache.encode(fitted, TABLE, None, None)
    return Dataset.of(fitted, inputs, targets_of(np.arange(40) % 2) if targets else {})


def test_batches_are_the_rows_asked_for() -> None:
    data = dataset()
    batch = data.batch(np.array([7, 3]))
    assert batch.rows.tolist() == [7, 3]
    assert only(batch.targets).tolist() == [1, 1]
    texts = batch.inputs["text"]
    assert isinstance(texts, Ragged)
    assert texts.lengths.tolist() == data.lengths[[7, 3]].tolist()
    assert torch.equal(texts.values, torch.from_numpy(np.concatenate([_row(data, 7), _row(data, 3)])))
    assert dataset(targets=False).batch(np.array([0])).targets == {}


def _row(data: Dataset, row: int) -> np.ndarray:
    column = data.inputs["text"]
    assert column.offsets is not None
    return column.values[column.offsets[row] : column.offsets[row + 1]]


def test_selections_of_selections() -> None:
    data = dataset()
    some = data.select(np.arange(10, 30)).select(np.array([5, 0, 2]))
    assert len(some) == 3
    assert some.index.tolist() == some.rows.tolist() == [15, 10, 12]
    assert some.target().tolist() == [1, 0, 0]
    assert some.lengths.tolist() == data.lengths[[15, 10, 12]].tolist()
    assert some.inputs is data.inputs
    assert some.batch(np.array([1])).rows.tolist() == [10]
    np.testing.assert_array_equal(some.batch(np.array([2])).inputs["age"], data.batch(np.array([12])).inputs["age"])


def test_rows_without_a_length_have_length_one() -> None:
    data = dataset()
    plain = Dataset({"age": data.inputs["age"]}, {}, data.rows, data.index, {})
    assert plain.lengths.tolist() == [1] * 40


def test_inputs_are_prepared_by_name() -> None:
    column = EncodedColumn(TensorKind.DENSE, np.full((2, 1), 3, np.uint8))
    rows = np.arange(2)
    data = Dataset({"a": column, "b": column}, {}, rows, rows, {"a": _double})
    batch = data.batch(rows)
    np.testing.assert_array_equal(batch.inputs["a"], [[6], [6]])
    np.testing.assert_array_equal(batch.inputs["b"], [[3], [3]])


def _double(stored: Tensor | Ragged) -> Tensor | Ragged:
    assert isinstance(stored, Tensor)
    return stored * 2
