"""Measure the way from a CSV file to the first training step: `python benchmarks/datapath.py --rows 10000 1000000`.

`--whole` goes on to the end of the run, through one epoch, the evaluation, the explanations and the report.

The rows are made of real ones (texts of banking77 and MRPC, numbers and categories of adult) with words and numbers
drawn into them, so that nearly every row is different. Each size is run in a process of its own, once with an empty
cache and once with what that left, with a tokenizer of words trained on the data and with a pretrained one. The
results are merged into benchmarks/results/datapath.json.

Resident memory is the kernel's own count for the process, its peak (VmHWM) reset before each stage. Pages of mapped
cache files that happen to be in memory are counted in it, though the kernel may take them back at any time, so that
the peak of what cannot be given back (RssAnon, sampled every 20 ms) stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LUBAN_TEST_DATA", ROOT.parent / "shared" / "data"))
RESULTS = ROOT / "benchmarks" / "results" / "datapath.json"
SIZES = (10_000, 100_000, 1_000_000)
TOKENIZERS = ("words", "pretrained")
CHECKPOINT = "minilm"
MADE_AT_ONCE = 100_000
SAMPLED_SECONDS = 0.02


class FirstStepError(Exception):
    """The first training step is done, which is all that is measured."""


def make(path: Path, rows: int, seed: int = 0) -> None:
    """Write a CSV file of text, numbers, categories and a label, made of real rows with noise."""
    import numpy as np
    import polars as pl

    draw = np.random.default_rng(seed)
    texts = [pl.read_csv(DATA / "banking77" / "train.csv")["text"]]
    texts.append(pl.read_csv(DATA / "mrpc" / "train.csv")["sentence1"])
    sentences = pl.concat([part.alias("text") for part in texts]).drop_nulls()
    words = sentences.str.split(" ").explode().unique().sort()
    people = pl.read_csv(DATA / "adult" / "adult.csv")
    with path.open("wb") as file:
        for start in range(0, rows, MADE_AT_ONCE):
            count = min(MADE_AT_ONCE, rows - start)
            noise = [words.gather(draw.integers(len(words), size=count)).alias(f"noise{i}") for i in range(3)]
            text = sentences.gather(draw.integers(len(sentences), size=count))
            some = people[draw.integers(len(people), size=count)]
            frame = pl.DataFrame(
                {
                    "text": pl.select(pl.concat_str(text, *noise, separator=" ")).to_series(),
                    "age": some["age"],
                    "weight": some["fnlwgt"] + draw.integers(-500, 500, size=count),
                    "gain": some["capital_gain"],
                    "hours": some["hours_per_week"] + draw.normal(size=count).round(2),
                    "education": some["education"],
                    "occupation": some["occupation"],
                    "country": some["native_country"],
                    "day": pl.Series(draw.integers(15_000, 19_000, size=count)).cast(pl.Int32).cast(pl.Date),
                    "income": some["income"],
                }
            )
            frame.write_csv(file, include_header=start == 0)


class Memory:
    """Resident memory of this process, and its peaks since they were last reset, in MiB."""

    def __init__(self) -> None:
        self.anonymous = 0.0
        self.stopped = threading.Event()
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while not self.stopped.wait(SAMPLED_SECONDS):
            self.anonymous = max(self.anonymous, status("RssAnon"))

    def reset(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is resident now
        self.anonymous = status("RssAnon")

    def peaks(self) -> dict[str, int]:
        return {"peak_mib": round(status("VmHWM")), "peak_anonymous_mib": round(self.anonymous)}


def status(field: str) -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def measure(source: Path, checkpoint: str | None, folder: Path, whole: bool) -> dict[str, Any]:
    """Run the pipeline in this process up to the first step, or whole; return seconds and memory of each stage."""
    started = time.monotonic()
    from luban import config as configuration
    from luban.core.artifact import RunDirectory
    from luban.core.events import Event, Noted, StepDone
    from luban.pipeline import train
    from luban.run import Run

    stages: dict[str, dict[str, float]] = {"import": {"seconds": round(time.monotonic() - started, 2)}}
    memory = Memory()
    stages["import"] |= {"peak_mib": round(status("VmHWM")), "peak_anonymous_mib": round(status("RssAnon"))}
    rows = int(source.stem)

    class Measured(Run):
        @contextmanager
        def stage(self, name: str) -> Iterator[None]:
            memory.reset()
            start = time.monotonic()
            try:
                with super().stage(name):
                    yield
            finally:
                seconds = time.monotonic() - start
                stages[name] = {
                    "seconds": round(seconds, 2),
                    "rows_per_second": round(rows / seconds),
                    **memory.peaks(),
                }

    def listen(event: Event) -> None:
        if isinstance(event, Noted):
            print(f"    {event.stage}: {event.text}", flush=True)
        if isinstance(event, StepDone) and not whole:
            raise FirstStepError

    settings = {
        "data": {"target": "income", "task": "binary"},
        "train": {"probe": False, "precision": "float32", "epochs": 1},
        "runs": str(folder),
        "model": {"tokens": {"architecture": "textcnn"}},
    }
    if checkpoint:
        settings["model"] = {"tokens": {"checkpoint": checkpoint}}
    else:
        settings["features"] = {"text": {"tokenizer": "words"}}
    run = Measured(configuration.parse(settings, "benchmark"), RunDirectory.create(folder, "run"), [listen])
    try:
        train(run, {"train": str(source)})
    except FirstStepError:
        reached = "seconds_to_first_step"
    else:
        if not whole:
            raise AssertionError("no step was done")
        reached = "seconds"
    seconds = time.monotonic() - started
    return {
        reached: round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "peak_mib": max(round(stage["peak_mib"]) for stage in stages.values()),
        "peak_anonymous_mib": max(round(stage["peak_anonymous_mib"]) for stage in stages.values()),
        "stages": stages,
    }


def in_its_own_process(source: Path, checkpoint: str | None, folder: Path, whole: bool) -> dict[str, Any]:
    output = folder / "measured.json"
    command = [sys.executable, __file__, "--measure", str(source), "--output", str(output)]
    command += ["--checkpoint", checkpoint] if checkpoint else []
    command += ["--whole"] if whole else []
    subprocess.run(command, check=True, env={**os.environ, "LUBAN_CACHE": str(folder / "cache")})
    found: dict[str, Any] = json.loads(output.read_text("utf-8"))
    return found


def versions() -> dict[str, Any]:
    import numpy
    import polars
    import tokenizers
    import torch

    from luban.core.runtime import hardware
    from luban.core.version import VERSION

    modules = {"numpy": numpy, "polars": polars, "tokenizers": tokenizers, "torch": torch}
    return {"luban": VERSION, **{name: module.__version__ for name, module in modules.items()}, "hardware": hardware()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=SIZES)
    parser.add_argument("--tokenizers", nargs="+", default=TOKENIZERS, choices=TOKENIZERS)
    parser.add_argument("--whole", action="store_true", help="measure whole runs of one epoch instead")
    parser.add_argument("--busy", action="store_true", help="say in the results that other work ran beside")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.measure:
        with tempfile.TemporaryDirectory(dir=arguments.output.parent) as runs:
            found = measure(arguments.measure, arguments.checkpoint, Path(runs), arguments.whole)
        arguments.output.write_text(json.dumps(found), "utf-8")
        return
    from luban.data import samples

    checkpoints = {name: str(samples.fetch(CHECKPOINT)) for name in arguments.tokenizers if name == "pretrained"}
    for rows, tokenizer in product(arguments.rows, arguments.tokenizers):
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            source = folder / f"{rows}.csv"
            make(source, rows)
            found: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "bytes": source.stat().st_size}
            found |= {"machine_was_busy": arguments.busy, **versions()}
            for name in ("whole",) if arguments.whole else ("empty_cache", "filled_cache"):
                measured = in_its_own_process(source, checkpoints.get(tokenizer), folder, arguments.whole)
                seconds = measured["seconds" if arguments.whole else "seconds_to_first_step"]
                print(f"{tokenizer}, {rows:,} rows, {name}: {seconds} s, peak {measured['peak_mib']} MiB", flush=True)
                found[name] = measured
        results = json.loads(arguments.output.read_text("utf-8")) if arguments.output.exists() else {}
        entry = results.setdefault(tokenizer, {}).setdefault(str(rows), {})
        if arguments.whole:
            whole = found.pop("whole")
            entry["whole"] = found | whole
        else:
            entry.update(found)
        arguments.output.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
