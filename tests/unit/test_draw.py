"""Rows drawn at random: all where they are few, the same ones for the same seed, whoever draws."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from luban.audit import drift
from luban.audit.subject import Subject
from luban.core.answers import AnswerKind
from luban.data.draw import sample_rows
from luban.data.table import Table
from luban.stages.prepared import Part


def test_few_rows_are_all_taken_and_nothing_is_drawn() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert sample_rows(5, 5, rng).tolist() == [0, 1, 2, 3, 4]
    assert sample_rows(0, 5, rng).tolist() == []
    assert rng.bit_generator.state == before


def test_rows_are_drawn_once_each_in_order() -> None:
    drawn = sample_rows(1000, 100, np.random.default_rng(3))
    assert len(drawn) == 100
    assert (np.diff(drawn) > 0).all()
    assert drawn.tolist() == sample_rows(1000, 100, np.random.default_rng(3)).tolist()
    assert drawn.tolist() != sample_rows(1000, 100, np.random.default_rng(4)).tolist()


def table_of(rows: int) -> Table:
    frame = pl.DataFrame({"n": np.arange(rows, dtype=float), "y": np.arange(rows) % 2})
    return Table(frame, "rows", None, np.arange(1, rows + 1))


def test_features_are_fitted_on_the_rows_that_a_seed_draws() -> None:
    part = Part(table_of(500), np.arange(0, 500, 3))
    drawn = part.materialize(20, seed=7).frame["n"].to_list()
    assert drawn == sorted(np.random.default_rng(7).choice(part.rows, 20, replace=False).tolist())
    for limit in (None, len(part.rows), 1000):
        assert part.materialize(limit).frame["n"].to_list() == part.rows.tolist()


def test_drift_looks_at_the_rows_that_a_seed_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    sides: list[list[float]] = []
    monkeypatch.setattr(drift, "SAMPLE", 60)
    monkeypatch.setattr(drift, "_numbers", lambda mine, theirs, looks: sides.extend(map(list, (mine, theirs))) or 0.0)
    subject = Subject(
        table_of(400), "y", AnswerKind.CLASS, {"n": "number", "y": "category"}, {"test": table_of(55)}, (), seed=5
    )
    assert drift.audit_drift(subject) == []
    assert sides[0] == np.sort(np.random.default_rng(5).choice(400, 60, replace=False)).tolist()
    assert sides[1] == list(range(55))
