"""Measure how long a text takes to be explained by each method: `python benchmarks/explain.py`.

MiniLM is fine-tuned first, on questions of banking77 that are put one after the other, so that it knows long texts.
Seconds are those of `Model.explain` of one text, after the model is loaded and each method has been called once. Where
the machine was shared, as its load before tells, they decide nothing; the processor's own seconds say more.
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
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import results
from harness import fetched

OUTPUT = results.RESULTS / "explain.json"
BAR = 2.0  # seconds
SHARED = 0.5  # load of the machine from which on others use it, too
METHODS = ("integrated-gradients", "occlusion", "lime", "kernel-shap")
LABELS, ROWS, MOST_QUESTIONS = 8, 400, 20
MAX_LENGTH = 512  # in tokens: no text is cut


def texts(source: Path, rows: int, lengths: list[int], seed: int) -> pl.DataFrame:
    """Return texts of several questions of one label. lengths: in words, each in turn; any where empty."""
    draw = np.random.default_rng(seed)
    real = pl.read_csv(source)
    labels = real["category"].unique().sort()[:LABELS].to_list()
    found = []
    for row in range(rows):
        label = labels[row % len(labels)]
        questions = draw.permutation(real.filter(pl.col("category") == label)["text"].to_numpy())
        words = " ".join(questions[: None if lengths else draw.integers(1, MOST_QUESTIONS + 1)]).split()
        found.append({"text": " ".join(words[: lengths[row % len(lengths)] if lengths else None]), "label": label})
    return pl.DataFrame(found)


def train(folder: Path, data: Path, model: str, rows: int, epochs: int) -> Path:
    """Fine-tune MiniLM; return the run."""
    texts(data / "banking77" / "train.csv", rows, [], 0).write_csv(folder / "texts.csv")
    settings = {"train.epochs": epochs, "evaluate.learning_curve": "false", "model.tokens.checkpoint": model}
    settings["features.text.max_length"] = MAX_LENGTH
    command = [sys.executable, "-m", "luban.cli", "train", "texts.csv", "--target", "label", "--no-preflight", "-q"]
    for name, value in settings.items():
        command += ["--set", f"{name}={json.dumps(value) if isinstance(value, int) else value}"]
    environment = {**os.environ, "LUBAN_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return folder / "runs" / "texts"


def measure(run: Path, asked: pl.DataFrame, words: list[int], times: int) -> dict[str, Any]:
    """Explain each text by each method, in this process."""
    import torch

    from luban.model import Model

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model, found = Model.load(run), dict[str, Any]()
    for method in METHODS:
        model.explain(asked[:1], [0], method=method)
        for place, length in enumerate(words):
            runs = [timed(model, asked[place : place + 1], method) for _ in range(times)]
            seconds = statistics.median(run["seconds"] for run in runs)
            found[f"{method}-{length}"] = {"bar": BAR, "method": method, "words": length, "seconds": seconds} | {
                "runs": runs,
                "precision": str(model.predictor.dtype).removeprefix("torch."),
            }
            print(f"{method}, {length} words: {seconds:.2f} s (bar {BAR:g} s), {runs[0]}", flush=True)
    return found


def timed(model: Any, asked: pl.DataFrame, method: str) -> dict[str, Any]:
    wall, processor = time.perf_counter(), time.process_time()
    (row,) = model.explain(asked, [0], method=method).rows
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - processor}
    sampling = None if row.sampling is None else row.sampling.to_json()
    holds = {"passes": row.check.passes, "stability": row.check.stability, "sampling": sampling}
    return {name: round(value, 3) for name, value in seconds.items()} | holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", nargs="+", type=int, default=[30, 90, 230, 320], help="lengths of the texts")
    parser.add_argument("--rows", type=int, default=ROWS, help="to fine-tune on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, default=results.ROOT / "examples" / "data", help="the folder of the data sets"
    )
    parser.add_argument("--model", type=Path, help="the folder of the pretrained model; the sample minilm")
    parser.add_argument("--run", type=Path, help="a model that was trained before, in place of a fine-tuned one")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores, to which processes are bound")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
    os.environ["OMP_NUM_THREADS"] = os.environ["POLARS_MAX_THREADS"] = str(arguments.threads)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    entry = results.new_entry(arguments.threads)
    asked = texts(arguments.data / "banking77" / "test.csv", len(arguments.words), arguments.words, 1)
    with tempfile.TemporaryDirectory() as place:
        run = arguments.run
        if run is None:
            model = str((arguments.model or fetched("minilm")).absolute())
            run = train(Path(place), arguments.data, model, arguments.rows, arguments.epochs)
        found = measure(run, asked.drop("label"), arguments.words, arguments.times)
    for claim in found.values():
        claim |= {"load_before": load, "shared": load is None or load > SHARED}
        if arguments.rows == ROWS and not claim["shared"]:
            claim["is_met"] = claim["seconds"] < BAR
    entry["claims"] = found
    results.record(arguments.output, entry)


if __name__ == "__main__":
    main()
