"""Measure how long the audit of a table, of images and of texts takes: `python benchmarks/audit.py`.

Each audit is `luban audit FILE` in a process of its own, with an empty cache. Two times are recorded: of the audit
itself, as it says, and of the whole process, with imports, reading and inference. The bars are for the process.
`before_training` has the seconds of the audit that a training waits for, of the same file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import results

OUTPUT = results.RESULTS / "audit.json"
TEXT_ROWS = 100_000
NOISE_WORDS = 3


def adult(data: Path) -> pl.DataFrame:
    return pl.read_csv(data / "adult" / "adult.csv", infer_schema=False)


def mnist(data: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(data / "mnist" / f"{part}.parquet") for part in ("train", "test")])


def texts(data: Path, rows: int = TEXT_ROWS, seed: int = 0) -> pl.DataFrame:
    """Return rows of banking77 drawn with replacement, three words of its vocabulary put after each text."""
    draw = np.random.default_rng(seed)
    real = pl.read_csv(data / "banking77" / "train.csv")
    words = real["text"].str.split(" ").explode().unique().sort()
    drawn = real[draw.integers(len(real), size=rows)]
    noise = [words.gather(draw.integers(len(words), size=rows)).alias(f"noise{i}") for i in range(NOISE_WORDS)]
    return drawn.with_columns(pl.concat_str(drawn["text"], *noise, separator=" ").alias("text"))


@dataclass(frozen=True)
class Audited:
    """make: of all rows, from the folder of the data sets. bar: the most seconds that the process may take; None where
    none is claimed."""

    make: Callable[[Path], pl.DataFrame]
    target: str
    suffix: str
    bar: float | None


AUDITED = {
    "adult": Audited(adult, "income", ".csv", 10.0),
    "mnist": Audited(mnist, "label", ".parquet", 60.0),
    "texts": Audited(texts, "category", ".csv", None),
}


def measure(source: Path, target: str, folder: Path) -> dict[str, Any]:
    """Audit a file in a process of its own."""
    written = folder / "found.json"
    command = [sys.executable, "-m", "luban.cli", "audit", str(source), "--target", target, "--json", str(written)]
    start = time.monotonic()
    done = subprocess.run([*command, "--overwrite"], env=environment(folder), capture_output=True, text=True)
    process = time.monotonic() - start
    if done.returncode not in (0, 3):  # 3: errors in the data, which are a result
        raise SystemExit(done.stderr)
    found = json.loads(written.read_text("utf-8"))
    findings: dict[str, int] = {}
    for finding in found["findings"]:
        findings[finding["severity"]] = findings.get(finding["severity"], 0) + 1
    times = {"process_seconds": round(process, 2), "audit_seconds": round(found["seconds"], 2)}
    return {**times, "rows": found["rows"], "findings": findings, "checks": len(found["checks"])}


def quick(source: str, target: str) -> None:
    """Print what a training waits for, in this process."""
    from luban.audit import audit
    from luban.data.config import DataConfig
    from luban.stages.audit import prepare_subjects

    (subject,), _ = prepare_subjects(source, target, {})
    report = audit(replace(subject, budget=DataConfig().audit_seconds))
    print(json.dumps({"seconds": round(report.seconds, 2), "skipped": report.skipped}))


def before_training(source: Path, target: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--quick", str(source), target]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def environment(folder: Path) -> dict[str, str]:
    cache = tempfile.mkdtemp(prefix="cache-", dir=folder)
    return {**os.environ, "LUBAN_CACHE": cache, "PYTHONPATH": os.pathsep.join([str(results.ROOT / "src")])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(AUDITED), choices=list(AUDITED))
    parser.add_argument("--rows", type=int, help="of each, in place of all")
    parser.add_argument(
        "--data", type=Path, default=results.ROOT / "examples" / "data", help="the folder of the data sets"
    )
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores, to which processes are bound")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--quick", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        quick(*arguments.quick)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = str(arguments.threads)
    entry = results.new_entry(arguments.threads)
    for name in arguments.only:
        audited = AUDITED[name]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            source = folder / f"{name}{audited.suffix}"
            frame = audited.make(arguments.data)
            frame = frame.head(arguments.rows) if arguments.rows else frame
            frame.write_csv(source) if audited.suffix == ".csv" else frame.write_parquet(source)
            runs = [measure(source, audited.target, folder) for _ in range(arguments.times)]
            waited = before_training(source, audited.target, folder)
        seconds = statistics.median(run["process_seconds"] for run in runs)
        found = {"bar": audited.bar, "seconds": seconds, "runs": runs, "before_training": waited}
        if audited.bar is not None and not arguments.rows:
            found["is_met"] = seconds < audited.bar
        entry["claims"][name] = found
        print(
            f"{name}: {len(frame):,} rows, {seconds:.1f} s (bar {audited.bar} s), before a training {waited}",
            flush=True,
        )
    results.record(arguments.output, entry)


if __name__ == "__main__":
    main()
