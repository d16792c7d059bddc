"""Rows that are no evidence apart: scores are resampled by the units that they belong to."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from luban.data.split.config import SplitConfig
from luban.data.split.units import units_of
from luban.data.table import Table
from luban.evaluation.scores.scoring import compare_rows, score_rows
from luban.tasks import metrics

ROWS, COPIES = 120, 10


def classes(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, ROWS)
    logits = 1.2 * (2 * targets - 1) + 1.5 * rng.standard_normal(ROWS)
    positive = 1 / (1 + np.exp(-logits))
    return targets, np.stack([1 - positive, positive], axis=1)


def numbers(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.standard_normal(ROWS)
    return targets, targets + 0.5 * rng.standard_normal(ROWS)


@pytest.mark.parametrize(("rows", "own"), [(classes, metrics.BINARY), (numbers, metrics.REGRESSION)])
def test_copies_of_rows_tell_no_more_than_the_rows(rows, own) -> None:
    targets, outputs = rows()
    order = np.random.default_rng(1).permutation(ROWS * COPIES)
    units = np.repeat(np.arange(ROWS), COPIES)[order]
    many = np.repeat(targets, COPIES)[order], np.repeat(outputs, COPIES, axis=0)[order]
    alone, apart = score_rows(own, targets, outputs), score_rows(own, *many)
    together = score_rows(own, *many, units=units * 7 + 3)
    for metric in own:
        width, wide, narrow = (found[metric.name].high - found[metric.name].low for found in (alone, together, apart))
        assert together[metric.name].value == pytest.approx(alone[metric.name].value)
        assert wide == pytest.approx(width, rel=0.15)
        assert narrow < 0.5 * wide


@pytest.mark.parametrize(("rows", "own"), [(classes, metrics.BINARY), (numbers, metrics.REGRESSION)])
def test_differences_of_copies_are_no_surer(rows, own) -> None:
    (targets, one), (_, other) = rows(), rows(2)
    other = np.where(np.arange(ROWS)[:, None] % 3 == 0, other.reshape(ROWS, -1), one.reshape(ROWS, -1)).reshape(
        one.shape
    )
    units = np.repeat(np.arange(ROWS), COPIES)
    many = np.repeat(targets, COPIES), (np.repeat(one, COPIES, axis=0), np.repeat(other, COPIES, axis=0))
    alone = compare_rows((own, own), targets, (one, other))
    together = compare_rows((own, own), *many, units=units)
    for metric in own:
        width, wide = (found[metric.name].high - found[metric.name].low for found in (alone, together))
        assert wide == pytest.approx(width, rel=0.15)


def test_few_units_have_no_interval() -> None:
    targets, outputs = classes()
    units = np.arange(ROWS) % 5
    for score in score_rows(metrics.BINARY, targets, outputs, units=units).values():
        assert math.isfinite(score.value)
        assert math.isnan(score.low)
    for score in compare_rows((metrics.BINARY,) * 2, targets, (outputs, outputs), units=units).values():
        assert math.isnan(score.low)


def test_groups_that_rows_are_divided_by_are_units() -> None:
    table = Table(pl.DataFrame({"house": ["a", "b", None, "a", ""]}), "rows.csv", None, np.arange(1, 6))
    assert units_of(table, SplitConfig(method="random")) is None
    assert units_of(table, SplitConfig(method="group", column="street")) is None
    found = units_of(table, SplitConfig(method="group", column="house"))
    assert found is not None
    assert len(np.unique(found)) == 4
    assert found[0] == found[3]
