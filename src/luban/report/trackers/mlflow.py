"""Runs in MLflow, on its tracking server or in a database beside the runs: the only place that imports MLflow."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from luban.core.artifact import CONFIG, METRICS, write_json
from luban.core.errors import ConfigError
from luban.core.events import (
    Evaluated,
    Event,
    Noted,
    Resumed,
    RunSaved,
    StepDone,
    Stopped,
    TrainingEnded,
    TrainingStarted,
    Validated,
)
from luban.core.sentence import sentence
from luban.report.trackers.base import StepAverages, Tell, Tracker, final_scores, flat, last_step

# They count when MLflow is imported. It reports its use over the network unless told not to, and asks a server that
# is away seven times, over minutes in which a training would stand still. What the user has set stays.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

RUN_FILE, DATABASE, ARTIFACTS, EXPERIMENT = "mlflow.json", "mlflow.db", "mlflow-artifacts", "luban"
FLUSH_SECONDS = 10.0
MAX_METRICS, MAX_PARAMS = 1000, 100  # of one request


class MLflow(Tracker):
    """A listener that logs a run to `MLFLOW_TRACKING_URI`, or else to a database in the folder of the runs.

    A resumed run goes on in the same MLflow run. Raises ConfigError where the store cannot be opened; where it fails
    later, tells a warning once and lets the training go on.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], tell: Tell, clock: Callable[[], float] = time.monotonic
    ) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.folder, self.settings, self.tell, self.clock = folder.absolute(), settings, tell, clock
        runs = self.folder.parent
        is_local = not os.environ.get("MLFLOW_TRACKING_URI")
        self.uri = f"sqlite:///{runs / DATABASE}" if is_local else os.environ["MLFLOW_TRACKING_URI"]
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        try:
            self.client = MlflowClient(tracking_uri=self.uri)
            experiment = self.client.get_experiment_by_name(name)
            self.experiment: str = (
                experiment.experiment_id
                if experiment
                else self.client.create_experiment(name, (runs / ARTIFACTS).as_uri() if is_local else None)
            )
        except (MlflowException, OSError) as error:
            raise ConfigError(
                "track: mlflow",
                expected=f"a tracking store at {self.uri}",
                found=f"'{_first_line(error)}'",
                action="Check MLFLOW_TRACKING_URI, or leave mlflow out of track",
            ) from error
        self.note = f"MLflow run '{folder.name}' of experiment '{name}' in {self.uri}"
        self.run_id: str | None = None
        self.waiting: list[Metric] = []
        self.flushed = clock()
        self.averages = StepAverages(0)
        self.step = 0
        self.before: dict[str, int] | None = None  # last step of each metric that an earlier process logged
        self.has_failed = False

    def __call__(self, event: Event) -> None:
        if self.has_failed:
            return
        try:
            self.handle(event)
        except (MlflowException, OSError) as error:
            self.has_failed = True
            why = _first_line(error)
            text = sentence("track.left_out", "MLflow failed and is left out from here on: {error}", error=why)
            self.tell(Noted("track", text, is_warning=True))

    def handle(self, event: Event) -> None:
        match event:
            case TrainingStarted():
                self.averages = StepAverages(event.steps)
                self.start(flat(self.settings | {"train": event.settings}))
            case Resumed():
                self.before = {}
            case StepDone():
                self.add(self.averages.add(event))
                if self.clock() - self.flushed >= FLUSH_SECONDS:
                    self.flush()
            case Validated():
                scores = {f"validation/{name}": value for name, value in event.scores.items()}
                self.add((last_step(event.step), scores))
                self.flush()
            case TrainingEnded():
                self.add(self.averages.rest())
                self.flush()
            case Evaluated():
                self.add((self.step, final_scores(event.evaluation)))
                self.flush()
            case Stopped():
                self.end("KILLED")
            case RunSaved():
                for name in (CONFIG, METRICS):
                    if self.run_id and (self.folder / name).is_file():
                        self.client.log_artifact(self.run_id, str(self.folder / name))
                self.end("FINISHED")

    def start(self, params: dict[str, str]) -> None:
        """Create the run, or go on with the one that this run directory already has."""
        path = self.folder / RUN_FILE
        known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        logged: Mapping[str, str] = {}
        if known.get("tracking_uri") == self.uri:
            self.run_id = str(known["run_id"])
            self.client.update_run(self.run_id, status="RUNNING")
            logged = self.client.get_run(self.run_id).data.params
        else:
            self.run_id = str(self.client.create_run(self.experiment, run_name=self.folder.name).info.run_id)
            write_json(path, {"tracking_uri": self.uri, "run_id": self.run_id})
        named = {_key(name): value for name, value in params.items()}
        fresh = [Param(name, value) for name, value in named.items() if name not in logged]  # it never changes one
        for start in range(0, len(fresh), MAX_PARAMS):
            self.client.log_batch(self.run_id, params=fresh[start : start + MAX_PARAMS])

    def add(self, point: tuple[int, Mapping[str, float]] | None) -> None:
        if point is None or self.run_id is None:
            return
        self.step, values = point
        now = int(time.time() * 1000)
        self.waiting += [
            Metric(_key(name), value, now, self.step)
            for name, value in values.items()
            if not self.is_logged(_key(name), self.step)
        ]

    def is_logged(self, name: str, step: int) -> bool:
        """Tell whether an earlier process logged this step: it comes again with the same numbers."""
        if self.before is None:
            return False
        if name not in self.before:
            assert self.run_id
            history = self.client.get_metric_history(self.run_id, name)
            self.before[name] = max((metric.step for metric in history), default=-1)
        return step <= self.before[name]

    def flush(self) -> None:
        """Send what waits, in as few requests as there may be."""
        self.flushed = self.clock()
        waiting, self.waiting = self.waiting, []
        for start in range(0, len(waiting), MAX_METRICS):
            assert self.run_id
            self.client.log_batch(self.run_id, metrics=waiting[start : start + MAX_METRICS])

    def end(self, status: str) -> None:
        if self.run_id is not None:
            self.add(self.averages.rest())
            self.flush()
            self.client.set_terminated(self.run_id, status)
            self.run_id = None

    def close(self) -> None:
        """End a run that did not reach its end."""
        if not self.has_failed:
            try:
                self.end("FAILED")
            except (MlflowException, OSError) as error:
                self.has_failed = True
                text = sentence("track.failed", "MLflow failed: {error}", error=_first_line(error))
                self.tell(Noted("track", text, is_warning=True))


def _key(name: str) -> str:
    """Return a name that MLflow takes: columns, which are part of settings, may be called anything."""
    return re.sub(r"[^\w.\-/ ]", "_", name)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:300]
