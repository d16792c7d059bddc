"""Kill real trainings at random moments, resume them until they end, and compare the weights bit by bit.

`python benchmarks/kill.py --times 100` trains three small jobs undisturbed; then each trial is killed by SIGKILL,
resumed, killed again and so on, at most KILLS times, and then left to end. One kill in four comes at a moment of the
whole process, imports included, the others between the first checkpoint and the last file. Equal means: the same
SHA-256 of model.safetensors. The result goes into benchmarks/results/kill.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "kill.json"
KILLS = 3
COMMON = {"train.checkpoint_seconds": 0.05, "train.patience": 0, "train.accumulate": 2, "train.ema": 0.9}
# Each job has dropout, shuffling, accumulation and an average of the weights; they differ in the rest.
JOBS: dict[str, dict[str, Any]] = {
    "table": {"train.epochs": 8, "train.batch_size": 32, "train.optim.optimizer": "adamw", "train.workers": 2},
    "text": {
        "train.epochs": 4, "train.batch_size": 16, "train.workers": 0, "features.text.tokenizer": "words",
        "model": "{tokens: {architecture: transformer, layers: 2, width: 32, heads: 2}}",
    },
    "images": {
        "train.epochs": 4, "train.batch_size": 32, "train.workers": 3, "model": "resnet",
        "train.augment": "{flip: true, crop: 2, cutout: 2}", "train.optim.optimizer": "momentum",
        "train.optim.learning_rate": 0.05,
    },
}  # fmt: skip


def write_data(folder: Path) -> None:
    """Make the three small data sets."""
    draw = np.random.default_rng(0)
    table = {f"x{i}": draw.normal(size=1500).round(4) for i in range(6)}
    label = np.where(table["x0"] + table["x1"] * table["x2"] > 0, "yes", "no")
    pl.DataFrame({**table, "city": draw.choice(list("abcd"), 1500), "label": label}).write_csv(folder / "table.csv")
    words = np.array([f"word{i}" for i in range(60)])
    texts = [" ".join(draw.choice(words, draw.integers(4, 15))) for _ in range(800)]
    labels = ["yes" if text.split()[0] < "word3" else "no" for text in texts]
    pl.DataFrame({"text": texts, "label": labels}).write_csv(folder / "text.csv")
    write_images(folder / "images", draw)


def write_images(folder: Path, draw: np.random.Generator) -> None:
    from PIL import Image

    for name, shade in (("dark", 60), ("light", 160)):
        (folder / name).mkdir(parents=True)
        for number in range(250):
            pixels = draw.normal(shade, 60, (10, 10, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def command(job: str, data: Path, runs: Path) -> list[str]:
    source = data / ("images" if job == "images" else f"{job}.csv")
    settings = [part for name, value in {**COMMON, **JOBS[job]}.items() for part in ("--set", f"{name}={value}")]
    return [*luban(), "train", str(source), "--name", job, "--runs", str(runs), "--quiet", *settings]


def luban() -> list[str]:
    return [sys.executable, "-m", "luban.cli"]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "LUBAN_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def weights(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def moment(run: Path) -> str:
    """Say roughly where a killed run was."""
    checkpoints = run / "checkpoints"
    if (run / "manifest.json").exists():
        return "finished"
    if any(checkpoints.glob(".*.partial")):
        return "while a checkpoint was written"
    if not any(checkpoints.glob("*.json")):
        return "before the first checkpoint"
    return "after the training" if (run / "model.safetensors").exists() else "in the training"


def wait_for_start(process: subprocess.Popen[bytes], run: Path) -> None:
    """Return as soon as a run writes to its directory after its start, or has ended."""
    history = run / "history.jsonl"
    size = history.stat().st_size if history.exists() else 0
    while process.poll() is None:
        if history.exists() and b"TrainingStarted" in history.read_bytes()[size:]:
            return
        time.sleep(0.005)


def trial(
    job: str, data: Path, runs: Path, seconds: tuple[float, float], draw: random.Random, env: dict[str, str]
) -> list[str]:
    """Kill and resume a run until it has ended; return where it was killed."""
    moments = []
    start = command(job, data, runs)
    for _ in range(KILLS):
        process = subprocess.Popen(start, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        whole, training = seconds
        if draw.random() < 0.25:
            delay = draw.uniform(0.0, whole)
        else:
            wait_for_start(process, runs / job)
            delay = draw.uniform(0.0, training)
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        errors = process.communicate()[1].decode()
        assert process.returncode in (0, -signal.SIGKILL), errors
        run = runs / job
        if process.returncode == 0:
            moments.append("not killed in time")
            break
        moments.append(moment(run) if run.exists() else "before the run began")
        if moments[-1] == "finished":
            break
        if (run / "config.yaml").exists():
            start = [*luban(), "train", "--resume", str(run), "--quiet"]
        else:
            start = command(job, data, runs / f"again-{len(moments)}")
            runs = runs / f"again-{len(moments)}"
    run = runs / job
    if not (run / "manifest.json").exists():
        subprocess.run(start, env=env, check=True)
    return [*moments, weights(run)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=list(JOBS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder / "cache")
        write_data(folder)
        expected, seconds = {}, {}
        for job in arguments.jobs:
            for repeat in range(2):  # the second is timed with everything in the machine's cache, and must be equal
                start = time.monotonic()
                subprocess.run(command(job, folder, folder / f"whole-{repeat}"), env=env, check=True)
                whole = time.monotonic() - start
                stages = json.loads((folder / f"whole-{repeat}" / job / "manifest.json").read_text())["seconds"]
                seconds[job] = whole, sum(stages[stage] for stage in ("train", "evaluate"))
                digest = weights(folder / f"whole-{repeat}" / job)
                assert expected.setdefault(job, digest) == digest, f"{job}: two undisturbed runs differ"
            found[job] = {
                "trials": 0,
                "equal": 0,
                "kills": Counter(),
                "seconds": [round(value, 1) for value in seconds[job]],
            }
        for number in range(arguments.times):
            job = arguments.jobs[number % len(arguments.jobs)]
            *moments, digest = trial(job, folder, folder / f"trial-{number}", seconds[job], draw, env)
            found[job]["trials"] += 1
            found[job]["equal"] += digest == expected[job]
            found[job]["kills"].update(moments)
            print(f"{number:3} {job:<7} {'equal' if digest == expected[job] else 'DIFFERENT'}  {moments}", flush=True)
    from luban.core.runtime import hardware

    report = {"date": time.strftime("%Y-%m-%d"), "hardware": hardware(), "jobs": found}
    arguments.output.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", "utf-8")
    equal, trials = (sum(job[key] for job in found.values()) for key in ("equal", "trials"))
    print(f"{equal} of {trials} ended with the same bits")
    sys.exit(equal != trials)


if __name__ == "__main__":
    main()
