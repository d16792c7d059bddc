"""The history file: one event a line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from luban.core.artifact import HISTORY, disk_errors
from luban.core.events import Event, Listener, RunSaved


class History(Listener):
    """A listener that appends every event to a run's history file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HISTORY

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunSaved):
            return  # the run is sealed: its files no longer change
        line = json.dumps(_finite(event.record()), ensure_ascii=False, allow_nan=False)
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity: they become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
