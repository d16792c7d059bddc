"""Inputs that stand side by side in one matrix make the batches that single columns make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from one_target import targets_of

from luban.core.tensors import Batch, EncodedColumn, Ragged, TensorKind
from luban.data.table import Table
from luban.features import cache, schema
from luban.features.base import FitContext
from luban.features.dataset import Dataset
from luban.features.stacks import apart, side_by_side, stacks_of

ROWS = 60
RNG = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "age": [str(age) if age > 3 else None for age in RNG.integers(0, 90, ROWS)],
        "city": RNG.choice(["Rome", "Oslo", "Bonn"], ROWS),
        "text": [f"it took {row} days" + " again" * (row % 7) for row in range(ROWS)],
        "when": [f"2020-01-{1 + row % 28:02}" for row in range(ROWS)],
        "job": RNG.choice(["baker", "smith"], ROWS),
        "tags": [("a;b", "b", "c;a")[row % 3] for row in range(ROWS)],
    }
)
KINDS = {"age": "number", "city": "category", "text": "text", "when": "date", "job": "category", "tags": "labels"}


@pytest.fixture(scope="module")
def data() -> Dataset:
    table = Table(FRAME, "people.csv", None, np.arange(1, ROWS + 1))
    plans = schema.plan(table, target=None, overrides=KINDS)
    fitted = schema.fit(plans, table, schema.FeaturesConfig(), FitContext())
    inputs, _ = cache.encode(fitted, table, None, None)
    assert list(inputs) == [feature.name for feature in fitted.features]
    for feature in fitted.features:
        np.testing.assert_array_equal(inputs[feature.name].values, feature.encode(FRAME).column.values)
    return Dataset.of(fitted, inputs, targets_of(np.arange(ROWS)))


def alone(data: Dataset) -> Dataset:
    columns = {name: EncodedColumn(c.kind, np.array(c.values), c.offsets) for name, c in data.inputs.items()}
    return replace(data, inputs=columns)


def assert_same(found: Batch, expected: Batch) -> None:
    assert list(found.inputs) == list(expected.inputs)
    for name, value in found.inputs.items():
        other = expected.inputs[name]
        if isinstance(value, Ragged):
            assert isinstance(other, Ragged)
            value, other = value.values, other.values
        assert isinstance(other, torch.Tensor)
        assert value.dtype == other.dtype
        assert torch.equal(value, other)


def test_batches_are_those_of_single_columns(data: Dataset) -> None:
    assert {stack.kind: stack.names for stack in data._stacks} == {
        TensorKind.DENSE: ["age", "when", "tags"],
        TensorKind.IDS: ["city", "job"],
    }
    assert not alone(data)._stacks
    for rows in (np.array([7, 3, 3]), np.arange(ROWS), np.array([0])):
        assert_same(data.batch(rows), alone(data).batch(rows))
        some = data.select(np.arange(ROWS)[::-1])
        assert_same(some.batch(rows), alone(some).batch(rows))


def test_a_batch_does_not_share_memory_with_the_data(data: Dataset) -> None:
    batch = data.batch(np.arange(5))
    before = np.array(data.inputs["when"].values[:5])
    for name in ("when", "city"):
        value = batch.inputs[name]
        assert isinstance(value, torch.Tensor)
        value.fill_(9)
    np.testing.assert_array_equal(data.inputs["when"].values[:5], before)


def test_inputs_that_do_not_fill_a_matrix_are_taken_by_themselves(data: Dataset) -> None:
    some = {name: column for name, column in data.inputs.items() if name != "when"}
    fewer = replace(data, inputs=some)
    assert [stack.kind for stack in fewer._stacks] == [TensorKind.IDS]
    assert_same(fewer.batch(np.arange(9)), alone(fewer).batch(np.arange(9)))


def test_inputs_are_prepared_one_by_one(data: Dataset) -> None:
    twice = replace(data, prepare={"age": lambda stored: stored * 2})
    found, plain = (some.batch(np.arange(4)).inputs for some in (twice, data))
    assert torch.equal(found["age"], 2 * plain["age"])
    assert torch.equal(found["tags"], plain["tags"])


def test_a_device_gets_each_block_once(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = data.batch(np.array([5, 1, 2]))
    moved = batch.to(torch.device("meta"))
    storages = set()
    for name, value in batch.inputs.items():
        other = moved.inputs[name]
        if isinstance(value, Ragged):
            continue
        assert isinstance(other, torch.Tensor)
        assert (other.device.type, other.shape, other.dtype) == ("meta", value.shape, value.dtype)
        assert (other.stride(), other.storage_offset()) == (value.stride(), value.storage_offset())
        storages.add(other.untyped_storage()._cdata)
    assert len(storages) == 2
    same = batch.to(torch.device("cpu"))
    assert same.inputs["age"] is batch.inputs["age"]


def test_a_matrix_of_another_width_is_refused() -> None:
    columns = [EncodedColumn(TensorKind.DENSE, np.zeros((2, width), np.float32)) for width in (1, 3)]
    matrix = side_by_side(columns)
    assert [column.values.shape for column in apart(TensorKind.DENSE, matrix, [1, 3])] == [(2, 1), (2, 3)]
    with pytest.raises(ValueError, match=r"a matrix of 5 columns has shape \(2, 4\)"):
        apart(TensorKind.DENSE, matrix, [1, 4])
    assert stacks_of({"x": apart(TensorKind.DENSE, matrix, [4])[0]}) == []
