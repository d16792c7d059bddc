"""What MLflow's own client reads of a tracked run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_events import SETTINGS, ending, loss_of, training

pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'luban[track]'")
pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'luban[track]'")

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from luban.core.errors import ConfigError
from luban.core.events import Event, Noted, Stopped
from luban.report.trackers.base import Tracker
from luban.report.trackers.tracking import trackers


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: its database takes seconds to make, once."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def folder(database: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    path = database / request.node.name
    path.mkdir()
    (path / "config.yaml").write_text("seed: 0\n", "utf-8")
    (path / "metrics.json").write_text("{}", "utf-8")
    return path


def tracker(folder: Path, told: list[Event] | None = None) -> Tracker:
    (found,) = trackers(["mlflow"], folder, SETTINGS, [].append if told is None else told.append)
    return found


def run_of(folder: Path) -> tuple[MlflowClient, Any]:
    known = json.loads((folder / "mlflow.json").read_text("utf-8"))
    client = MlflowClient(tracking_uri=f"sqlite:///{folder.parent / 'mlflow.db'}")
    return client, client.get_run(known["run_id"])


def history(client: MlflowClient, run: Any, name: str) -> dict[int, float]:
    points = client.get_metric_history(run.info.run_id, name)
    assert len({point.step for point in points}) == len(points)  # none twice
    return {point.step: point.value for point in points}


def test_settings_curves_scores_and_files_can_be_read_back(folder: Path) -> None:
    listener = tracker(folder)
    for event in (*training(), *ending(str(folder))):
        listener(event)
    client, run = run_of(folder)
    assert run.info.run_name == folder.name
    assert run.info.status == "FINISHED"
    assert run.data.params["train.optim.learning_rate"] == "0.001"
    assert run.data.params["data.columns.price ___"] == "number"
    assert history(client, run, "train/loss") == pytest.approx({step: loss_of(step) for step in range(10)})
    assert {"train/learning_rate", "train/grad_norm", "train/rows_per_second"} <= set(run.data.metrics)
    assert history(client, run, "validation/accuracy") == pytest.approx({4: 0.54, 9: 0.59})
    assert run.data.metrics["test/accuracy"] == pytest.approx(0.9)
    assert {item.path for item in client.list_artifacts(run.info.run_id)} == {"config.yaml", "metrics.json"}
    assert (folder.parent / "mlflow-artifacts").is_dir()
    assert f"MLflow run '{folder.name}' of experiment 'luban' in sqlite:///" in listener.note


def test_a_run_that_was_killed_and_resumed_is_one_run_with_every_step_once(folder: Path) -> None:
    killed = tracker(folder)
    for event in training(last=8):
        killed(event)
    killed(Stopped(8, "SIGTERM"))
    assert run_of(folder)[1].info.status == "KILLED"
    resumed = tracker(folder)
    for event in (*training(first=5), *ending(str(folder))):
        resumed(event)
    client, run = run_of(folder)
    assert run.info.status == "FINISHED"
    assert history(client, run, "train/loss") == pytest.approx({step: loss_of(step) for step in range(10)})
    assert history(client, run, "validation/accuracy") == pytest.approx({4: 0.54, 9: 0.59})


def test_a_run_that_fails_is_marked(folder: Path) -> None:
    listener = tracker(folder)
    for event in training(last=3):
        listener(event)
    listener.close()
    client, run = run_of(folder)
    assert run.info.status == "FAILED"
    assert len(history(client, run, "train/loss")) == 3


def test_a_run_that_never_trains_leaves_no_run(folder: Path) -> None:
    tracker(folder).close()
    assert not (folder / "mlflow.json").exists()


def test_a_store_that_cannot_be_opened_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://store")
    expected = "track: mlflow: expected a tracking store at nonsense://store, found .* Check MLFLOW_TRACKING_URI"
    with pytest.raises(ConfigError, match=expected):
        tracker(folder)


def test_a_store_that_fails_later_is_told_once_and_does_not_stop_the_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    listener = tracker(folder, told)

    def fail(*arguments: object, **settings: object) -> None:
        raise MlflowException("the server is gone\nand more")

    monkeypatch.setattr(MlflowClient, "log_batch", fail)
    for event in (*training(), *ending(str(folder))):
        listener(event)
    listener.close()
    assert told == [Noted("track", "MLflow failed and is left out from here on: the server is gone", True)]
