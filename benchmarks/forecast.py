"""Choose look-back and network of the ETTh1 examples on validation rows: `python benchmarks/forecast.py ETTh1.csv`.

The split is the standard one, 12, 4 and 4 months, the horizon 96. Written to benchmarks/results/forecast.json: of each
candidate the best mean squared error on the validation rows and the seconds of its training, and of the one that is
chosen by it, alone, the scores on the test rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import results

OUTPUT = Path(__file__).resolve().parent / "results" / "forecast.json"
SPLIT = "data.split={method: time, column: date, until: [2017-06-26, 2017-10-24, 2018-02-21]}"
BARE = ("data.task=forecast", SPLIT, "task.forecast.horizon=96", "model.dropout=0", "train.optim.learning_rate=0.001")
LINEAR = [
    {"model.frames": "{architecture: dlinear}", "train.epochs": 10, "task.forecast.lookback": lookback, **normalise}
    for lookback in (96, 192, 336, 512)
    for normalise in ({}, {"task.forecast.normalise": "last"})
]
PATCHES = [
    {
        "model.frames": "{architecture: patchtst, width: 32, ffn: 64, layers: 2, dropout: 0.2}",
        "train.epochs": 5,
        "task.forecast.lookback": lookback,
    }
    for lookback in (336, 512)
]
TARGETS = {"multivariate": None, "univariate": "OT"}


def trained(data: Path, target: str | None, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train in a fresh process; return the best score on validation rows, seconds, and the scores on test rows."""
    command = [sys.executable, "-m", "luban.cli", "train", str(data), "--runs", str(folder), "--name", "run", "--quiet"]
    command += (
        []
        if target is None
        else [
            "--target",
            target,
            "--set",
            "data.columns={HUFL: ignore, HULL: ignore, MUFL: ignore, MULL: ignore, LUFL: ignore, LULL: ignore}",
        ]
    )
    own = [f"{name}={value}" for name, value in settings.items()]
    subprocess.run([*command, *(part for each in (*BARE, *own) for part in ("--set", each))], check=True)
    run = folder / "run"
    events = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
    best = min(event["scores"]["mse"] for event in events if event["event"] == "Validated")
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    return {"validation_mse": best, "seconds": manifest["seconds"]["train"], "metrics": metrics}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--candidates", type=int, help="only the first so many")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"hardware": results.hardware(), "commit": results.commit()}
    for name, target in TARGETS.items():
        tried: list[dict[str, Any]] = []
        for candidate in [*LINEAR, *PATCHES][: arguments.candidates]:
            settings = candidate | ({} if arguments.epochs is None else {"train.epochs": arguments.epochs})
            with tempfile.TemporaryDirectory() as folder:
                scores = trained(arguments.data, target, settings, Path(folder))
            tried.append({"settings": settings, **scores})
            score = f"validation mse {scores['validation_mse']:.4f}, {scores['seconds']:.0f} s"
            print(f"{name} {settings} {score}", flush=True)
        best = min(tried, key=lambda one: one["validation_mse"])
        found[name] = {
            "candidates": [{key: value for key, value in one.items() if key != "metrics"} for one in tried],
            "chosen": best["settings"],
            "test": best["metrics"]["scores"],
            "baselines": best["metrics"]["baselines"],
        }
    arguments.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
