"""Windows over series: where they begin, what they hold, and that they never see what comes after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.forecasts import forecast_of, series_table

from luban.core.tensors import Ragged, TensorKind
from luban.features.dataset import Dataset
from luban.tasks.forecast.windows import Future, Levels, Past, ends, matrix_of, origins, runs, stretches

Flags = npt.NDArray[np.bool_]


@st.composite
def flags(draw: st.DrawFn) -> tuple[Flags, Flags, Flags]:
    count = draw(st.integers(1, 30))
    lists = [draw(st.lists(st.integers(0, 9), min_size=count, max_size=count)) for _ in range(3)]
    follows, usable, in_role = (np.array(found) > least for found, least in zip(lists, (0, 0, 2), strict=True))
    follows[0] = False
    return follows, usable, in_role


@given(flags(), st.integers(1, 4), st.integers(1, 4), st.booleans())
@settings(max_examples=300)
def test_origins_have_a_whole_past_and_a_future_in_their_part(
    given_flags: tuple[Flags, Flags, Flags], lookback: int, horizon: int, whole: bool
) -> None:
    follows, usable, in_role = given_flags
    expected = []
    for origin in range(len(follows)):
        first, last = origin - lookback + 1, origin + horizon
        if first < 0 or last >= len(follows):
            continue
        inside = usable[first : last + 1].all() and follows[first + 1 : last + 1].all()
        part = in_role[(first if whole else origin + 1) : last + 1].all()
        if inside and part:
            expected.append(origin)
    assert origins(follows, usable, in_role, lookback, horizon, whole=whole).tolist() == expected


def test_runs_count_usable_steps_that_follow_each_other() -> None:
    follows = np.array([0, 1, 1, 0, 1, 1, 1], np.bool_)
    usable = np.array([1, 1, 1, 1, 0, 1, 1], np.bool_)
    assert runs(follows, usable).tolist() == [1, 2, 3, 1, 0, 1, 2]


def test_ends_are_the_last_known_steps_before_a_horizon_of_unknown_ones() -> None:
    follows = np.array([0, 1, 1, 1, 1, 0, 1, 1, 1, 1], np.bool_)
    known = np.array([1, 1, 1, 0, 0, 0, 1, 1, 0, 0], np.bool_)
    assert ends(follows, known, 2, 2).tolist() == [2, 7]
    assert ends(follows, known, 3, 2).tolist() == [2]


def test_forecasts_of_one_stretch_are_one_unit() -> None:
    follows = np.array([0, 1, 1, 1, 1, 0, 1, 1], np.bool_)
    assert stretches(follows, np.arange(8), 2).tolist() == [0, 0, 1, 1, 2, 3, 3, 4]


VALUES = np.arange(20, dtype=np.float32).reshape(10, 2) ** 1.5
BESIDE = -np.arange(10, dtype=np.float32)[:, None]


def test_the_past_is_a_window_a_variable_with_covariates_beside_it() -> None:
    found = Past(TensorKind.FRAMES, VALUES, beside=BESIDE, lookback=3).take(np.array([4, 7]))
    assert found.lengths.tolist() == [3] * 4
    rows = found.values.view(4, 3, 2)
    for place, (origin, variable) in enumerate([(4, 0), (4, 1), (7, 0), (7, 1)]):
        np.testing.assert_array_equal(rows[place, :, 0], VALUES[origin - 2 : origin + 1, variable])
        np.testing.assert_array_equal(rows[place, :, 1], BESIDE[origin - 2 : origin + 1, 0])


def test_the_past_of_all_variables_together_is_one_window() -> None:
    found = Past(TensorKind.FRAMES, VALUES, beside=BESIDE, lookback=3, together=True).take(np.array([4, 7]))
    np.testing.assert_array_equal(found.values.view(2, 3, 3)[1], np.concatenate([VALUES, BESIDE], axis=1)[5:8])


@pytest.mark.parametrize("normalise", ["instance", "last", "none"])
def test_the_level_that_is_taken_off_can_be_put_on_again(normalise: Any) -> None:
    rows = np.array([4, 9])
    past = Past(TensorKind.FRAMES, VALUES, lookback=5, normalise=normalise).take(rows).values.view(2, 2, 5)
    level = Levels(TensorKind.DENSE, VALUES, lookback=5, normalise=normalise).take(rows)
    again = past * level[..., 1:] + level[..., :1]
    np.testing.assert_allclose(again[1], VALUES[5:10].T, rtol=1e-5)
    if normalise == "instance":
        torch.testing.assert_close(past.mean(dim=2), torch.zeros(2, 2), atol=1e-5, rtol=0)
        torch.testing.assert_close(past.std(dim=2, correction=0), torch.ones(2, 2), atol=1e-4, rtol=0)
    if normalise == "last":
        torch.testing.assert_close(past[:, :, -1], torch.zeros(2, 2))


def test_the_future_begins_behind_the_origin() -> None:
    rows = np.array([4, 6])
    np.testing.assert_array_equal(Future(TensorKind.DENSE, VALUES, horizon=2).take(rows)[1], VALUES[7:9])
    apart = Future(TensorKind.DENSE, VALUES, horizon=2, times=3).take(rows)
    assert apart.shape == (6, 4)
    np.testing.assert_array_equal(apart[3], VALUES[7:9].reshape(-1))


def sees_the_future(data: Dataset, spoil: Callable[[int], Dataset]) -> bool:
    """Tell whether anything that a forecast is made from changes with the steps behind its origin. spoil: the same data
    with other values behind a step."""
    for place, origin in enumerate(data.index.tolist()):
        other = spoil(origin)
        there = int(np.flatnonzero(other.index == origin)[0])
        for name, column in data.batch(np.array([place])).inputs.items():
            seen = other.batch(np.array([there])).inputs[name]
            pairs = [(part.values if isinstance(part, Ragged) else part) for part in (column, seen)]
            if not torch.equal(*pairs):
                return True
    return False


@pytest.mark.parametrize("normalise", ["instance", "last", "none"])
def test_a_forecast_never_sees_the_future_and_a_planted_leak_is_caught(normalise: str) -> None:
    table = series_table(40)
    task = forecast_of(table, horizon=3, lookback=5, normalise=normalise)

    def examples(changed_behind: int | None = None) -> Dataset:
        frame = table.frame
        if changed_behind is not None:
            place = np.arange(len(frame)) > changed_behind
            frame = frame.with_columns(y=np.where(place, 1e4 - frame["y"].to_numpy(), frame["y"].to_numpy()))
        targets, bad = task.encode_targets(frame)
        assert not bad
        return task.examples(Dataset.of_targets(targets), replace(table, frame=frame), "test")

    honest = examples()
    assert len(honest) == 40 - 3 - 5 + 1
    assert not sees_the_future(honest, examples)

    def leaking(changed_behind: int | None = None) -> Dataset:
        data = examples(changed_behind)
        past = data.inputs["past"]
        assert isinstance(past, Past)
        shifted = np.roll(past.values, -1, axis=0)  # each step shows the one after it
        return replace(data, inputs={**data.inputs, "past": replace(past, values=shifted)})

    assert sees_the_future(leaking(), leaking)


def test_covariates_stand_side_by_side_and_ids_are_a_column_each() -> None:
    from luban.core.tensors import EncodedColumn

    numbers = EncodedColumn(TensorKind.DENSE, np.array([[1.0, 2], [3, 4]], np.float32))
    ids = EncodedColumn(TensorKind.IDS, np.array([2, 0], np.int32))
    np.testing.assert_array_equal(matrix_of([(numbers, 2), (ids, 3)]), [[1, 2, 0, 0, 1], [3, 4, 1, 0, 0]])
    assert matrix_of([]) is None
