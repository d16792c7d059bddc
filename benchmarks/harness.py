"""Runs Luban and its peers in turn, each in a process of its own, and records how their times and scores compare.

A script beside this file states one claim and calls `main`; docs/benchmarks.md says how it is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import luban_side
import results
import slices

HERE = Path(__file__).resolve().parent
WARM_UP_ROWS = 128
POINT = 0.01  # test scores within one point are equal
SAME_ROWS = 0.02  # Luban leaves out training rows that are test rows, too: so many may be missing
NOT_INSTALLED = 3  # exit status where a peer that was asked for is not installed
Job = dict[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """What Luban is compared with. script: in peers/. modules: that it imports. bar: the ratio that is claimed.

    options: added to the job. bfloat16: whether it needs a processor that multiplies in it.
    """

    name: str
    script: str
    modules: tuple[str, ...]
    bar: float | None = None
    options: Job = field(default_factory=dict)
    bfloat16: bool = False

    def missing(self) -> list[str]:
        return [module for module in self.modules if importlib.util.find_spec(module) is None]


@dataclass(frozen=True)
class Claim:
    """What is claimed and how it is measured.

    train, test: files under the data folder; test None divides train. columns: inputs that a peer must be told. model:
    a sample's name. shared: settings of both sides. luban: settings of Luban's own. measured: the seconds whose ratio
    is the claim: `fit` is preparing and training, `predict` and `first_step` what they say. scored: whether full
    runs compare test scores. luban_script: in place of `luban train`. setup: what all runs need once, for their jobs.
    """

    name: str
    text: str
    train: str
    test: str | None
    target: str
    epochs: int
    peers: tuple[Peer, ...]
    columns: tuple[str, ...] = ()
    model: str | None = None
    shared: Job = field(default_factory=dict)
    luban: Job = field(default_factory=dict)
    measured: str = "fit"
    metric: str = "accuracy"
    scored: bool = True
    luban_script: str | None = None
    setup: Callable[[Bench, Job], Job] | None = None


class NotComparableError(RuntimeError):
    """The two sides did not do the same work."""


class Bench:
    """One claim under measurement. folder: for everything that is written but the result."""

    def __init__(self, claim: Claim, options: argparse.Namespace, folder: Path) -> None:
        self.claim, self.options, self.folder = claim, options, folder
        self.model = str(options.model or fetched(claim.model)) if claim.model else None
        self.finished: dict[tuple[Any, ...], Result] = {}
        self.sliced: dict[int | None, tuple[Path, Path]] = {}
        self.set_up: dict[int | None, Job] = {}
        self.count = 0

    def job(self, seed: int, rows: int | None, epochs: int) -> Job:
        """Return what both sides are told."""
        claim, data = self.claim, Path(self.options.data)
        if rows not in self.sliced:
            test = data / claim.test if claim.test else None
            self.sliced[rows] = slices.files(data / claim.train, test, claim.target, rows, self.folder / f"rows-{rows}")
        train, test = self.sliced[rows]
        self.count += 1
        work = self.folder / f"run-{self.count}"
        work.mkdir()
        return {
            "train": str(train.absolute()),
            "test": str(test.absolute()),
            "target": claim.target,
            "columns": list(claim.columns),
            "model": self.model,
            "epochs": epochs,
            "seed": seed,
            "device": self.options.device,
            "threads": self.options.threads,
            "work": str(work),
            "luban": claim.luban,
            "luban_set": self.options.luban_set,
        } | {**claim.shared, **self.options.set}

    def measure(self, peer: Peer | None, seed: int, rows: int | None, epochs: int) -> Result:
        """Run one side, None for Luban's, or return what the same run has measured before."""
        key = (peer.name if peer else "luban", seed, rows, epochs)
        if key not in self.finished:
            job = self.job(seed, rows, epochs)
            if self.claim.setup:
                if rows not in self.set_up:
                    self.set_up[rows] = self.claim.setup(self, job)
                job |= self.set_up[rows]
            self.finished[key] = self.run(peer, job)
        return self.finished[key]

    def run(self, peer: Peer | None, job: Job) -> Result:
        """Run one side in a fresh process."""
        script = peer.script if peer else self.claim.luban_script
        if script is None:
            _, facts = self.process(luban_side.command(job), job)
            result = luban_side.read_run(job)
        else:
            result, facts = self.script(script, job | (peer.options if peer else {}))
        seconds = result["seconds"]
        if "first_step" in result:
            seconds["first_step"] = round(result.pop("first_step") - facts["started"], 3)
        if "train" in seconds:
            seconds["fit"] = round(seconds["prepare"] + seconds["train"], 3)
        seconds["process"] = facts["seconds"]
        return result | {"cpu_seconds": facts["cpu_seconds"], "memory_mb": facts["memory_mb"]}

    def script(self, name: str, job: Job) -> tuple[Result, dict[str, float]]:
        """Run one of peers/ on a job; return its answer, the last line that it prints, and what the process took."""
        path = Path(job["work"], "job.json")
        path.write_text(json.dumps(job), "utf-8")
        printed, facts = self.process([sys.executable, str(HERE / "peers" / name), str(path)], job)
        return json.loads(printed.strip().splitlines()[-1]), facts

    def process(self, command: list[str], job: Job) -> tuple[str, dict[str, float]]:
        """Run a command to its end. Luban's cache is a new one each time, so that nothing comes encoded already."""
        work = Path(job["work"])
        environment = os.environ | {"LUBAN_CACHE": str(work / "cache"), "HF_HUB_OFFLINE": "1"}
        for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            environment[variable] = str(job["threads"])
        if job["device"] == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        with (work / "stdout").open("wb") as stdout, (work / "stderr").open("wb") as stderr:
            started, clock = time.time(), time.monotonic()
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment, cwd=work)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = round(time.monotonic() - clock, 3)
        if process.returncode:
            said = (work / "stderr").read_text("utf-8", errors="replace")
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{said[-4000:]}")
        unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
        return (work / "stdout").read_text("utf-8"), {
            "started": started,
            "seconds": seconds,
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "memory_mb": round(usage.ru_maxrss / unit),
        }


def fetched(sample: str) -> Path:
    """Return the folder of a sample, fetched on first use by Luban's own command."""
    command = [sys.executable, "-m", "luban.cli", "samples", "--fetch", sample]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def speed(bench: Bench, peers: list[Peer], save: Callable[[Peer, str, Job], None]) -> None:
    """Measure pairs in turn: Luban, each peer, Luban, each peer..."""
    options, claim = bench.options, bench.claim
    epochs = options.epochs or claim.epochs
    if options.warm_up:  # the files of both sides come into the disk's cache; nothing of it is recorded
        for side in (None, *peers):
            bench.measure(side, 0, min(WARM_UP_ROWS, options.rows or WARM_UP_ROWS), 1)
    pairs: dict[str, list[Job]] = {peer.name: [] for peer in peers}
    for seed in range(options.pairs):
        ours = bench.measure(None, seed, options.rows, epochs)
        for peer in peers:
            theirs = bench.measure(peer, seed, options.rows, epochs)
            require_same_work(ours, theirs, peer)
            shared = set(ours["seconds"]) & set(theirs["seconds"])
            ratios = {name: round(theirs["seconds"][name] / ours["seconds"][name], 3) for name in sorted(shared)}
            pairs[peer.name].append({"ratios": ratios, "luban": ours, "peer": theirs})
            mine, other = ours["seconds"][claim.measured], theirs["seconds"][claim.measured]
            print(f"  pair {seed + 1}: luban {mine:.1f} s, {peer.name} {other:.1f} s", end=", ")
            print(f"ratio {ratios[claim.measured]:.2f} ({shown(claim, ours)}; {shown(claim, theirs)})", flush=True)
            median = statistics.median(pair["ratios"][claim.measured] for pair in pairs[peer.name])
            found = {
                "measured": claim.measured,
                "rows": options.rows,
                "epochs": epochs,
                "settings": claim.shared | options.set,
                "luban_settings": claim.luban | options.luban_set,
                "pairs": pairs[peer.name],
                "median": round(median, 3),
                "reached": None if peer.bar is None else median >= peer.bar,
            }
            save(peer, "speed", found)
    for peer in peers:
        found_ratios = [pair["ratios"][claim.measured] for pair in pairs[peer.name]]
        bar = (
            "" if peer.bar is None else f" (claimed {peer.bar:g}, {verdict(statistics.median(found_ratios), peer.bar)})"
        )
        print(f"{claim.name} against {peer.name}: median ratio {statistics.median(found_ratios):.2f}{bar}", flush=True)


def scores(bench: Bench, peers: list[Peer], save: Callable[[Peer, str, Job], None]) -> None:
    """Compare test scores of full runs: all rows, all epochs, each seed once a side."""
    claim, options = bench.claim, bench.options
    epochs = options.score_epochs or claim.epochs
    for peer in peers:
        mine: list[float] = []
        other: list[float] = []
        for seed in options.seeds:
            ours = bench.measure(None, seed, options.score_rows, epochs)
            theirs = bench.measure(peer, seed, options.score_rows, epochs)
            require_same_work(ours, theirs, peer)
            mine.append(ours["scores"][claim.metric])
            other.append(theirs["scores"][claim.metric])
            difference = statistics.mean(mine) - statistics.mean(other)
            found = {
                "metric": claim.metric,
                "rows": options.score_rows,
                "epochs": epochs,
                "seeds": options.seeds[: len(mine)],
                "luban": mine,
                "peer": other,
                "difference": round(difference, 5),
                "not_worse": difference >= -POINT,
                "within_a_point": abs(difference) <= POINT,
                "seconds": {"luban": ours["seconds"], "peer": theirs["seconds"]},
            }
            save(peer, "scores", found)
            print(f"  seed {seed}: {claim.metric} luban {mine[-1]:.4f}, {peer.name} {other[-1]:.4f}", flush=True)
        print(f"{claim.name} against {peer.name}: mean {claim.metric} {difference:+.4f}", flush=True)


def require_same_work(ours: Result, theirs: Result, peer: Peer) -> None:
    if abs(ours["rows"] - theirs["rows"]) > max(2, SAME_ROWS * theirs["rows"]):
        found = f"luban {ours['rows']} rows, {peer.name} {theirs['rows']}"
        raise NotComparableError(f"both sides must do the same work, found {found}")


def shown(claim: Claim, result: Result) -> str:
    found = result.get("scores", {}).get(claim.metric)
    return "no score" if found is None else f"{claim.metric} {found:.3f}"


def verdict(median: float, bar: float) -> str:
    return "reached" if median >= bar else "not reached"


def chosen_peers(claim: Claim, names: list[str] | None) -> list[Peer]:
    """Return the peers that were asked for, or all that this machine can run; what is left out is told."""
    if names is not None:
        asked = [peer for peer in claim.peers if peer.name in names]
        for peer in asked:
            if missing := peer.missing():
                print(f"{peer.name} needs {', '.join(missing)}: pip install 'luban[bench]'", file=sys.stderr)
                sys.exit(NOT_INSTALLED)
        return asked
    can_bfloat16, chosen = results.has_bfloat16(results.hardware()), []
    for peer in claim.peers:
        if missing := peer.missing():
            print(f"{peer.name} is left out: {', '.join(missing)} not installed (pip install 'luban[bench]')")
        elif peer.bfloat16 and not can_bfloat16:
            print(
                f"{peer.name} is left out: this processor emulates bfloat16 (--peers {peer.name} runs it all the same)"
            )
        else:
            chosen.append(peer)
    if not chosen:
        sys.exit(NOT_INSTALLED)
    return chosen


def assignment(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def parse(claim: Claim) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=claim.text)
    names = [peer.name for peer in claim.peers]
    parser.add_argument("--pairs", type=int, default=3, help="speed: how often each side runs; 0 for none")
    parser.add_argument("--rows", type=int, help="speed: train on so many rows, drawn once for both; all")
    parser.add_argument("--epochs", type=int, help=f"speed: epochs; {claim.epochs}")
    seeds = [0, 1, 2] if claim.scored else []
    parser.add_argument("--seeds", type=int, nargs="*", default=seeds, help="scores: a full run a side with each seed")
    parser.add_argument("--score-rows", type=int, help="scores: rows; all")
    parser.add_argument("--score-epochs", type=int, help=f"scores: epochs; {claim.epochs}")
    parser.add_argument("--peers", nargs="+", choices=names, help="all that are installed")
    parser.add_argument("--data", default=HERE.parent / "examples" / "data", help="the folder of the data sets")
    parser.add_argument("--model", help=f"the folder of the pretrained model; the sample {claim.model}")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each side; all cores")
    parser.add_argument("--device", default="cpu", help="cpu, or auto for an accelerator")
    given = {"type": assignment, "nargs": "+", "default": []}
    parser.add_argument("--set", **given, metavar="NAME=JSON", help="of both sides: batch_size=32")
    parser.add_argument(
        "--luban-set", **given, metavar="NAME=JSON", help="of Luban alone: train.precision='\"float32\"'"
    )
    parser.add_argument("--output", type=Path, default=results.RESULTS / f"{claim.name}.json", help="the result file")
    parser.add_argument("--no-warm-up", dest="warm_up", action="store_false", help="no small run of each side first")
    options = parser.parse_args()
    options.set, options.luban_set = dict(options.set), dict(options.luban_set)
    if unknown := set(options.set) - set(claim.shared):
        parser.error(f"--set {', '.join(sorted(unknown))}: known are {', '.join(sorted(claim.shared))}")
    if options.model:
        options.model = Path(options.model).absolute()
    return options


def main(claim: Claim) -> None:
    """Measure a claim as the command line says, and record it."""
    options = parse(claim)
    peers = chosen_peers(claim, options.peers)
    if hasattr(os, "sched_setaffinity"):  # some peers take every core whatever their settings say
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    entry = results.new_entry(options.threads)

    def save(peer: Peer, part: str, found: Job) -> None:
        kept = entry["claims"].setdefault(peer.name, {"bar": peer.bar, "text": claim.text, "options": peer.options})
        kept[part] = found
        results.record(options.output, entry)

    print(f"{claim.name}: {claim.text}; {entry['hardware']['processor']}, {options.threads} threads", flush=True)
    with tempfile.TemporaryDirectory(prefix="luban-bench-") as folder:
        bench = Bench(claim, options, Path(folder))
        if options.pairs:
            speed(bench, peers, save)
        if options.seeds:
            scores(bench, peers, save)
