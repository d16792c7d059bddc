"""Luban's side of start.py: trains until the first step is done."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from side import Stopwatch, answer, read_job

sys.path.append(str(Path(__file__).resolve().parents[1]))
import luban_side
from luban.cli import rest_collector


class FirstStepDone(Exception):  # noqa: N818 - it is no error
    """Ends the run."""


def stop(event: Any) -> None:
    if type(event).__name__ == "StepDone":
        raise FirstStepDone


def main() -> None:
    job = read_job()
    rest_collector()  # as the command line does
    stopwatch = Stopwatch()
    try:
        luban_side.watch(luban_side.settings(job), stop)
    except FirstStepDone:
        ended = time.time()
        stopwatch.stage("until_first_step")
        rows = len(Path(job["train"]).read_bytes().splitlines()) - 1
        answer(stopwatch, ("luban", "torch"), first_step=ended, rows=rows)


if __name__ == "__main__":
    main()
