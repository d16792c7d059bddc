"""Run the examples and record their test scores: `python benchmarks/examples.py mrpc adult --seeds 0 1 2`.

Each run is a process of its own, one after the other. The results are merged into benchmarks/results/examples.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
RESULTS = ROOT / "benchmarks" / "results" / "examples.json"


def run(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train one example in a fresh process; return its scores, and what it cost."""
    start = time.monotonic()
    command = [sys.executable, "-m", "luban.cli", "train", str(EXAMPLES / f"{name}.yaml")]
    command += ["--seed", str(seed), "--runs", str(folder / f"{name}-{seed}"), "--quiet"]
    subprocess.run(command, check=True)
    seconds = time.monotonic() - start
    (directory,) = (folder / f"{name}-{seed}").iterdir()
    metrics = json.loads((directory / "metrics.json").read_text("utf-8"))
    manifest = json.loads((directory / "manifest.json").read_text("utf-8"))
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "training_seconds": manifest["seconds"]["train"],
        "rows": manifest["data"]["rows"],
        "decider": metrics["decider"],
        "scores": {metric: score["value"] for metric, score in metrics["scores"].items()},
        "interval": [metrics["scores"][metrics["decider"]][end] for end in ("low", "high")],
        "baselines": baselines_of(metrics),
        "targets": {
            target: {
                "decider": own["decider"],
                "scores": {metric: score["value"] for metric, score in own["scores"].items()},
                "baselines": baselines_of(own),
            }
            for target, own in metrics.get("targets", {}).items()
        },
        "verdict": metrics["verdict"]["text"],
        "date": manifest["created"],
        "hardware": manifest["hardware"],
        "torch": manifest["torch"],
    }


def baselines_of(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the deciding score of each baseline."""
    return {name: scores[metrics["decider"]]["value"] for name, scores in metrics["baselines"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
    parser.add_argument("names", nargs="*", default=known, choices=known, metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments = parser.parse_args()
    for name in arguments.names:
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                found = run(name, seed, Path(folder))
            results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
            others = [old for old in results.get(name, []) if old["seed"] != seed]
            results[name] = sorted([*others, found], key=lambda result: result["seed"])
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
        values = [result["scores"][result["decider"]] for result in results[name]]
        decider = results[name][0]["decider"]
        mean, seconds = statistics.mean(values), found["seconds"]
        print(f"{name:<22} {decider} {mean:.4f} over {len(values)} seeds, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
