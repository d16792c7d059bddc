"""What the peers' scripts share: the job that they are given, their stopwatch, and the line with which they answer."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def read_job() -> dict[str, Any]:
    """Return the job, whose file is the one argument."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    return job


class Stopwatch:
    """Seconds by stage; it runs from when it is made, which is after all imports."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.monotonic()

    def stage(self, name: str) -> None:
        """End a stage and begin the next."""
        now = time.monotonic()
        self.seconds[name] = round(now - self.last, 3)
        self.last = now


def answer(stopwatch: Stopwatch, packages: Sequence[str], **facts: Any) -> None:
    """Print the result as the last line."""
    versions = {name: importlib.import_module(name).__version__ for name in packages}
    print(json.dumps({"seconds": stopwatch.seconds, "versions": versions} | facts))
