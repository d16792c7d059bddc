"""The checks before a run as the terminal shows them."""

from __future__ import annotations

import io

from rich.console import Console

from luban.core.events import PreflightDone
from luban.report.terminal import Terminal

ESTIMATE = {"epochs": 5, "steps": 500, "step_seconds": 0.5, "seconds": 250.0, "memory_bytes": 9e8, "disk_bytes": 1.8e8}


def check(status: str, number: int = 0) -> dict[str, str]:
    found = "none in 'encoders.0.pooler.weight'"
    return {"name": f"check {number}", "status": status, "expected": "", "found": found, "action": ""}


def printed(event: PreflightDone) -> list[str]:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    Terminal(console)(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_all_is_well_in_one_line() -> None:
    lines = printed(PreflightDone([check("passed")] * 7, ESTIMATE, 1.0))
    assert lines == ["preflight   7 checks passed, about 4:10 (5 epochs), 900 MB memory, 180 MB disk"]
    assert len(lines[0]) <= 80


def test_what_is_not_well_is_listed_in_eight_lines_at_most() -> None:
    checks = [check("passed"), check("warning", 1), check("failed", 2)]
    lines = printed(PreflightDone(checks, ESTIMATE | {"seconds": None}, 1.0))
    assert lines == [
        "preflight   1 of 3 checks passed, 900 MB memory, 180 MB disk",
        "warning     check 1: none in 'encoders.0.pooler.weight'",
        "failed      check 2: none in 'encoders.0.pooler.weight'",
    ]
    assert len(printed(PreflightDone([check("warning")] * 20, ESTIMATE, 1.0))) == 8


def test_the_length_of_a_training_of_steps_is_told_in_steps() -> None:
    (line,) = printed(PreflightDone([check("passed")] * 7, ESTIMATE | {"epochs": None}, 1.0))
    assert line == "preflight   7 checks passed, about 4:10 (500 steps), 900 MB memory, 180 MB disk"
