"""Luban's side of every benchmark: its settings, its run in a process of its own, and what that run recorded."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Both sides train all epochs on all training rows and start from the same weights: no early stopping, no fitted head,
# and no checks before the training, which no peer has.
ALWAYS = {"patience": 0, "preflight": False}
# Of the manifest's stages these come after the training; all others count as training, data preparation included.
SHARED_OPTIM = ("optimizer", "learning_rate", "schedule", "warmup", "weight_decay", "clip_norm")
AFTERWARDS = {"evaluate", "save", "report", "explain", "export"}


def settings(job: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run: the claim's own settings, completed by the job that the peer is given, too."""
    given: dict[str, Any] = job["luban"]
    optim = {name: job[name] for name in SHARED_OPTIM if name in job} | given.get("optim", {})
    train = ALWAYS | {"epochs": job["epochs"], "batch_size": job["batch_size"], "optim": optim} | given.get("train", {})
    completed = given | {
        "name": "run",
        "runs": str(Path(job["work"], "runs")),
        "seed": job["seed"],
        "device": job["device"],
        "data": {
            "train": job["train"],
            "test": job["test"],
            "target": job["target"],
            "split": {"validation": 0},
            "audit_seconds": 0,
        },
        "train": train,
    }
    if job["model"]:
        checkpoint = {"checkpoint": job["model"]}
        completed["model"] = {"tokens": checkpoint | given.get("tokens", {})}
        completed["features"] = {"text": {"max_length": job["max_length"]}}
    completed = {name: value for name, value in completed.items() if name not in ("tokens", "optim")}
    for name, value in job["luban_set"].items():
        *parents, last = name.split(".")
        inner = completed
        for parent in parents:
            inner[parent] = dict(inner.get(parent, {}))
            inner = inner[parent]
        inner[last] = value
    return completed


def command(job: dict[str, Any]) -> list[str]:
    """Return the command that trains. The configuration is written as JSON, which is YAML, too."""
    path = Path(job["work"], "config.yaml")
    path.write_text(json.dumps(settings(job)), "utf-8")
    return [sys.executable, "-m", "luban.cli", "train", str(path), "--quiet"]


def run_directory(job: dict[str, Any]) -> Path:
    """Return the folder of the one run of a job."""
    (directory,) = Path(job["work"], "runs").iterdir()
    return directory


def read_run(job: dict[str, Any]) -> dict[str, Any]:
    """Return what a finished run recorded, in the form in which the peers answer."""
    directory = run_directory(job)
    manifest = json.loads((directory / "manifest.json").read_text("utf-8"))
    metrics = json.loads((directory / "metrics.json").read_text("utf-8"))
    lines = (directory / "history.jsonl").read_text("utf-8").splitlines()
    started = next(event for event in map(json.loads, lines) if event["event"] == "TrainingStarted")
    stages = manifest["seconds"]
    before = sum(seconds for stage, seconds in stages.items() if stage not in AFTERWARDS and stage != "train")
    return {
        "seconds": {
            "prepare": round(before, 3),
            "train": stages["train"],
            "evaluate": stages["evaluate"],
        },
        "stages": stages,
        "scores": {name: score["value"] for name, score in metrics["scores"].items()},
        "rows": manifest["data"]["rows"]["train"],
        "steps": started["steps"],
        "precision": started["precision"],
        "versions": {"luban": manifest["luban"], "torch": manifest["torch"]},
    }


def watch(configuration: dict[str, Any], listener: Callable[[Any], None]) -> None:
    """Train in this process and tell the listener every event of the run; what it raises ends the run."""
    from luban import config
    from luban.core.events import Event, Listener
    from luban.interface import start

    class Watcher(Listener):
        def __init__(self, tell: Callable[[Event], None]) -> None:
            self.tell = tell

        def __call__(self, event: Event) -> None:
            self.tell(event)

    parsed = config.parse(configuration, "benchmark")
    tables: dict[str, object] = {role: getattr(parsed.data, role) for role in ("train", "test")}
    start(parsed, tables, quiet=True, more=[Watcher(listener)])
