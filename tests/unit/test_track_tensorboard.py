"""What TensorBoard itself reads of a tracked run."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_events import SETTINGS, ending, loss_of, training

pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'luban[track]'")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from luban.report.trackers.base import Tracker
from luban.report.trackers.tracking import trackers


def tracker(folder: Path) -> Tracker:
    (found,) = trackers(["tensorboard"], folder, SETTINGS, print)
    return found


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder / "tensorboard"))
    accumulator.Reload()
    return accumulator


def scalars(accumulator: EventAccumulator, name: str) -> dict[int, float]:
    points = accumulator.Scalars(name)
    assert len({point.step for point in points}) == len(points)  # none twice
    return {point.step: point.value for point in points}


def test_curves_scores_and_settings_can_be_read_back(tmp_path: Path) -> None:
    listener = tracker(tmp_path)
    for event in (*training(), *ending("runs/x")):
        listener(event)
    found = read(tmp_path)
    assert scalars(found, "train/loss") == pytest.approx({step: loss_of(step) for step in range(10)})
    assert scalars(found, "train/learning_rate")[3] == pytest.approx(1e-3)
    assert scalars(found, "train/grad_norm")[3] == pytest.approx(0.5)
    assert scalars(found, "train/rows_per_second")[3] == pytest.approx(800)
    assert scalars(found, "validation/accuracy") == pytest.approx({4: 0.54, 9: 0.59})
    assert scalars(found, "test/accuracy") == pytest.approx({9: 0.9})
    assert "test/roc_auc" not in found.Tags()["scalars"]
    text = found.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| train.optim.learning_rate | 0.001 |" in text
    assert "| data.columns.price (€) | number |" in text
    assert "tensorboard --logdir" in listener.note


def test_a_run_that_was_killed_and_resumed_has_every_step_once(tmp_path: Path) -> None:
    killed = tracker(tmp_path)
    for event in training(last=8):  # the checkpoint was at step 5
        killed(event)
    killed.close()
    resumed = tracker(tmp_path)
    for event in (*training(first=5), *ending("runs/x")):
        resumed(event)
    found = read(tmp_path)
    assert scalars(found, "train/loss") == pytest.approx({step: loss_of(step) for step in range(10)})
    assert scalars(found, "validation/accuracy") == pytest.approx({4: 0.54, 9: 0.59})


def test_a_run_that_never_trains_leaves_nothing(tmp_path: Path) -> None:
    tracker(tmp_path).close()
    assert not list(tmp_path.iterdir())
