"""Real trainings that are killed, stopped and damaged, and go on from the command line."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import luban
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError, ConfigError

SETTINGS = (
    "train.epochs=30", "train.batch_size=16", "train.patience=0", "train.checkpoint_seconds=0.01",
    "train.accumulate=2", "train.ema=0.9", "train.workers=2",
)  # fmt: skip


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 800)).round(3)
    city = draw.choice(["北京", "上海", "广州"], 800)
    path = tmp_path / "rows.csv"
    pl.DataFrame({"x": x, "y": y, "city": city, "label": np.where(x * y > 0, "yes", "no")}).write_csv(path)
    return path


def train(*arguments: object) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    own = [] if "--resume" in arguments else settings
    return [sys.executable, "-m", "luban.cli", "train", *map(str, arguments), *own]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "LUBAN_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}


def interrupted(tmp_path: Path, command: list[str], run: Path, number: int, steps: int) -> tuple[int, str]:
    """Send a signal to a training as soon as its history tells of so many steps; return its exit code and errors."""
    process = subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    history = run / "history.jsonl"
    while process.poll() is None:
        if history.exists() and history.read_bytes().count(b"StepDone") >= steps:
            process.send_signal(number)
            break
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def weights(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def steps(run: Path) -> list[int]:
    records = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
    return [record["step"] for record in records if record["event"] == "StepDone"]


def test_a_run_killed_twice_ends_with_the_same_bits_and_a_whole_history(tmp_path: Path, rows: Path) -> None:
    whole, killed = tmp_path / "runs" / "whole", tmp_path / "runs" / "killed"
    common = (rows, "--runs", tmp_path / "runs", "--quiet", "--name")
    subprocess.run(train(*common, "whole"), env=environment(tmp_path), check=True)
    code, _ = interrupted(tmp_path, train(*common, "killed"), killed, signal.SIGKILL, 300)
    assert code == -signal.SIGKILL
    code, _ = interrupted(tmp_path, train("--resume", killed, "--quiet"), killed, signal.SIGKILL, 700)
    assert code == -signal.SIGKILL
    subprocess.run(train("--resume", killed, "--quiet"), env=environment(tmp_path), check=True)
    assert weights(killed) == weights(whole)
    assert steps(killed) == steps(whole)
    assert not (killed / "checkpoints").exists()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path: Path, rows: Path, number: int, name: str) -> None:
    run = tmp_path / "runs" / "rows"
    code, errors = interrupted(tmp_path, train(rows, "--runs", tmp_path / "runs", "--quiet"), run, number, 100)
    assert code == 128 + number
    assert errors.count("\n") == 1
    assert f"found {name} (all is saved, up to step" in errors
    assert f"Go on with `luban train --resume {run}`." in errors
    model = luban.train(resume=run, quiet=True)
    assert model.predict(str(rows)).height == 800


def test_resume_goes_on_only_where_that_makes_sense(luban, tmp_path: Path, rows: Path) -> None:
    assert luban("train", rows, "--quiet", "--set", "train.epochs=1").code == 0
    finished = luban("train", "--resume", tmp_path / "runs" / "rows")
    assert finished.code == 1
    assert "expected a run that was interrupted, found one that is finished" in finished.err
    nothing = luban("train", "--resume", tmp_path)
    assert "expected a run directory with a config.yaml, found none. Check the path." in nothing.err
    both = luban("train", rows, "--resume", tmp_path)
    assert "expected either data (or a configuration) to train on, or --resume RUN, found both" in both.err
    neither = luban("train")
    assert "found neither" in neither.err
    option = luban("train", "--resume", tmp_path, "--seed", "3", "--set", "train.epochs=2")
    assert "expected no settings beside it, found '--set', '--seed'" in option.err


def test_data_that_changed_since_are_refused(tmp_path: Path, rows: Path) -> None:
    run = tmp_path / "runs" / "rows"
    interrupted(tmp_path, train(rows, "--runs", tmp_path / "runs", "--quiet"), run, signal.SIGKILL, 100)
    rows.write_text(rows.read_text("utf-8").replace("yes", "ja"), "utf-8")
    with pytest.raises(
        ArtifactError, match="data: expected the same as when the run began, .* Bring back what the run"
    ):
        luban.train(resume=run, quiet=True)
    assert list((run / "checkpoints").glob("*.json"))


def test_two_processes_do_not_work_on_one_run(tmp_path: Path, rows: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(f"data: {{train: {rows}}}", "utf-8")
    with (
        RunDirectory(run).locked(),
        pytest.raises(
            ArtifactError, match="expected a run that no other process works on, found one that is under way"
        ),
    ):
        luban.train(resume=run, quiet=True)


def test_a_run_of_a_table_in_memory_asks_for_it_again(tmp_path: Path, rows: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("{data: {target: label}, train: {epochs: 1}}", "utf-8")
    with pytest.raises(ConfigError, match="found none, since the run began with a table in memory"):
        luban.train(resume=run, quiet=True)
    with pytest.raises(ConfigError, match="resume: expected no settings beside it, found 'seed'"):
        luban.train(resume=run, quiet=True, seed=1)
    model = luban.train(pl.read_csv(rows), resume=run, quiet=True)
    assert (run / "manifest.json").exists()
    assert model.predict({"x": [1.0], "y": [2.0], "city": ["北京"]}).height == 1
