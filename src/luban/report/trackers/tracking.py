"""Experiment trackers: which there are, and what they need."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from luban.core.errors import ConfigError, listed
from luban.report.trackers.base import Tell, Tracker

TrackerName = Literal["tensorboard", "mlflow"]


def _tensorboard(folder: Path, settings: dict[str, Any], tell: Tell) -> Tracker:
    from luban.report.trackers.tensorboard import TensorBoard

    return TensorBoard(folder, settings)


def _mlflow(folder: Path, settings: dict[str, Any], tell: Tell) -> Tracker:
    from luban.report.trackers.mlflow import MLflow

    return MLflow(folder, settings, tell)


TRACKERS: dict[TrackerName, tuple[tuple[str, ...], Callable[[Path, dict[str, Any], Tell], Tracker]]] = {
    "tensorboard": (("tensorboard",), _tensorboard),
    "mlflow": (("mlflow", "sqlalchemy", "alembic"), _mlflow),
}


def trackers(names: Sequence[TrackerName], folder: Path, settings: dict[str, Any], tell: Tell) -> list[Tracker]:
    """Return the trackers of a run. folder: of the run. tell: takes warnings while it runs.

    Raises ConfigError where a package is missing or a tracking server does not answer.
    """
    for name in names:
        missing = [package for package in TRACKERS[name][0] if importlib.util.find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"track: {name}",
                expected=f"the packages that it needs: {listed(TRACKERS[name][0])}",
                found=f"no {listed(missing)}",
                action='Install them with `pip install "luban[track]"`, or leave it out',
            )
    return [TRACKERS[name][1](folder, settings, tell) for name in dict.fromkeys(names)]
