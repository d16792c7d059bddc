"""What every tracker shares: which packages it needs, averages of steps, flat settings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from luban.core.errors import ConfigError
from luban.core.events import StepDone
from luban.report.trackers.base import POINTS, StepAverages, final_scores, flat
from luban.report.trackers.tracking import TRACKERS, trackers


def step(number: int, loss: float, rows: int = 10) -> StepDone:
    return StepDone(number, 1, loss, 1e-3, 2.0, rows, rows, 0.1)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_one_sentence_before_anything_starts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    expected = rf'track: {name}: expected the packages .*, found no .*pip install "luban\[track\]"'
    with pytest.raises(ConfigError, match=expected):
        trackers([name], tmp_path, {}, print)  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


def test_no_tracker_is_no_listener(tmp_path: Path) -> None:
    assert trackers([], tmp_path, {}, print) == []


def test_a_short_training_has_a_point_for_every_step() -> None:
    averages = StepAverages(total=POINTS)
    assert averages.add(step(0, 0.5)) == (
        0,
        {"train/loss": 0.5, "train/learning_rate": 1e-3, "train/grad_norm": 2.0, "train/rows_per_second": 100.0},
    )
    assert averages.rest() is None


def test_a_long_training_has_averages_and_its_last_steps() -> None:
    averages = StepAverages(total=3 * POINTS)
    points = [averages.add(step(number, loss)) for number, loss in enumerate([1.0, 2.0, 6.0, 4.0])]
    assert points[:2] == [None, None]
    assert points[2] is not None
    assert (points[2][0], points[2][1]["train/loss"]) == (2, 3.0)
    assert points[3] is None
    rest = averages.rest()
    assert rest is not None
    assert (rest[0], rest[1]["train/loss"]) == (3, 4.0)


def test_settings_are_flat_text_of_bounded_length() -> None:
    found = flat({"a": {"b": {"c": 1e-3}, "d": None}, "e": [1, "ü"], "f": "x" * 1000, "g": {}})
    assert found == {"a.b.c": "0.001", "a.d": "null", "e": '[1, "ü"]', "f": "x" * 500, "g": "{}"}


def test_final_scores_leave_out_what_is_not_defined() -> None:
    assert final_scores({"scores": {"r2": {"value": 0.5}, "auc": {"value": None}}}) == {"test/r2": 0.5}
    assert final_scores({}) == {}
