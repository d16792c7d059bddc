"""Luban's training in this process, watched step by step and ended when enough was seen."""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import luban_side
import results


class Enough(Exception):  # noqa: N818 - it is no error
    """Raised by a listener to end the training."""


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add what both scripts ask for, as the claims' scripts have it."""
    parser.add_argument("--rows", type=int, help="train on so many rows; all")
    parser.add_argument("--data", default=harness.HERE.parent / "examples" / "data", help="the folder of the data sets")
    parser.add_argument("--model", help="the folder of the pretrained model; the sample minilm")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=results.RESULTS / f"{name}.json", help="the result file")
    parser.set_defaults(set={}, luban_set={})


def job(claim_name: str, options: argparse.Namespace, folder: Path) -> harness.Job:
    """Return the job that Luban is given for a claim, with more epochs than anyone waits for."""
    claim = importlib.import_module(claim_name).CLAIM
    bench = harness.Bench(claim, options, Path(tempfile.mkdtemp(dir=folder)))
    return bench.job(0, options.rows, 1000)


def run(job: harness.Job, settings: dict[str, Any], listener: Callable[[Any], None]) -> None:
    """Train until the listener raises Enough, with an empty cache."""
    os.environ["LUBAN_CACHE"] = str(Path(job["work"], "cache"))
    try:
        luban_side.watch(luban_side.settings(job | {"luban_set": {"train.compile": False, **settings}}), listener)
    except Enough:
        return
    raise RuntimeError("the training ended before enough was seen: give it more rows")
