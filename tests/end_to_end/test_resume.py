"""Real trainings that are killed, stopped and damaged, and go on from the command line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

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


def resettled(run: Path, **changes: Any) -> None:
    """Change settings of a run, by their names with `__` for each dot."""
    settings = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    for name, value in changes.items():
        *parents, last = name.split("__")
        place = settings
        for parent in parents:
            place = place[parent]
        place[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(settings), "utf-8")


def test_a_run_killed_twice_ends_with_the_same_bits_and_a_whole_history(tmp_path: Path, rows: Path) -> None:
    whole, killed = tmp_path / "runs" / "whole", tmp_path / "runs" / "killed"
    common = (rows, "--runs", tmp_path / "runs", "--quiet", "--name")
    subprocess.run(train(*common, "whole"), env=environment(tmp_path), check=True)
    code, _ = interrupted(tmp_path, train(*common, "killed"), killed, signal.SIGKILL, 300)
    assert code == -signal.SIGKILL
    code, _ = interrupted(tmp_path, train("--resume", killed, "--quiet"), killed, signal.SIGKILL, 700)
    assert code == -signal.SIGKILL
    resettled(killed, lang="zh", data__train=str(rows.rename(tmp_path / "moved.csv")), evaluate__level=0.8)
    (killed / "checkpoints").rename(tmp_path / "disk")  # a larger one, with files of the user's
    (killed / "checkpoints").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "thesis.docx").write_text("mine")
    (tmp_path / "disk" / "step-evil.json").write_text("[" * 100_000)
    (tmp_path / "disk" / "photos").mkdir()
    with (killed / "history.jsonl").open("a") as history:
        history.write('{"event": "CheckpointSaved"}\n')
    ended = subprocess.run(
        train("--resume", killed), env=environment(tmp_path), check=True, stdout=subprocess.PIPE, text=True
    )
    assert weights(killed) == weights(whole)
    assert steps(killed) == steps(whole)
    assert {path.name for path in (tmp_path / "disk").iterdir()} == {"photos", "step-evil.json", "thesis.docx"}
    assert (killed / "checkpoints").is_symlink()
    assert "since Luban did not write it: 'photos', 'step-evil.json', 'thesis.docx'" in " ".join(ended.stdout.split())


def several_targets(rows: Path, folder: Path) -> tuple[object, ...]:
    frame = pl.read_csv(rows).with_row_index("i")
    lacking = {"label": pl.col("i") % 9 == 2, "y": pl.col("i") % 9 == 5}
    gaps = [pl.when(~lacks).then(pl.col(name)).alias(name) for name, lacks in lacking.items()]
    frame.with_columns(gaps).drop("i").write_csv(folder / "gaps.csv")
    settings = ("--set", "task.balance=uncertainty", "--set", "data.columns={city: ignore}")
    return (folder / "gaps.csv", "--target", "label,y", *settings)


def tags(rows: Path, folder: Path) -> tuple[object, ...]:
    x = pl.read_csv(rows)["x"].abs().round(2).cast(pl.String).to_list()
    lines = [json.dumps({"tokens": [*cell], "tags": ["B" if sign in "13579" else "O" for sign in cell]}) for cell in x]
    (folder / "tags.jsonl").write_text("\n".join(lines), "utf-8")
    small = ("--set", "model.tokens.hidden=8", "--set", "model.tokens.dim=8")
    return (folder / "tags.jsonl", "--target", "tags", "--model", "lstm", *small, "--set", "data.split.method=random")


def series(rows: Path, folder: Path) -> tuple[object, ...]:
    pl.read_csv(rows).select("x", "y").with_row_index("step").write_csv(folder / "series.csv")
    settings = ("data.task=forecast", "task.forecast.time=step", "task.forecast.horizon=4", "task.forecast.lookback=16")
    model = ("model.frames={architecture: patchtst, patch: 4, stride: 2, layers: 1}", "train.batch_size=64")
    return (folder / "series.csv", *(part for setting in (*settings, *model) for part in ("--set", setting)))


@pytest.mark.parametrize("make", [several_targets, tags, series])
def test_a_killed_training_of_another_task_ends_with_the_same_bits(tmp_path: Path, rows: Path, make: Any) -> None:
    whole, killed = tmp_path / "runs" / "whole", tmp_path / "runs" / "killed"
    common = (*make(rows, tmp_path), "--runs", tmp_path / "runs", "--quiet", "--name")
    subprocess.run(train(*common, "whole"), env=environment(tmp_path), check=True)
    code, _ = interrupted(tmp_path, train(*common, "killed"), killed, signal.SIGKILL, 100)
    assert code == -signal.SIGKILL
    subprocess.run(train("--resume", killed, "--quiet"), env=environment(tmp_path), check=True)
    assert weights(killed) == weights(whole)
    assert steps(killed) == steps(whole)


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


def test_data_and_settings_that_changed_since_are_refused(tmp_path: Path, rows: Path) -> None:
    run = tmp_path / "runs" / "rows"
    interrupted(tmp_path, train(rows, "--runs", tmp_path / "runs", "--quiet"), run, signal.SIGKILL, 100)
    kept = {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    config = (run / "config.yaml").read_text("utf-8")
    for changes, found in (
        ({"data__split__seed": 7}, "data.split.seed: .* found null then, 7 now"),
        ({"data__split__test": 0.2}, "data.split.test: .* found 0.1 then, 0.2 now"),
        ({"data__columns__x": "category"}, "data.columns.x: .* found number then, category now"),
        ({"features__number__scaling": "quantile"}, "features.number.scaling: .* then, quantile now"),
        ({"model__dropout": 0.5, "model__hidden": [64, 32]}, r"model.hidden: .* \[256, 128\] then, \[64, 32\] now"),
        ({"train__patience": 3, "seed": 1}, r"seed: .* found 0 then, 1 now \(and \d+ more: train.patience"),
    ):
        resettled(run, **changes)
        with pytest.raises(ArtifactError, match=f"{found}.*Bring back what the run began with, or start a new run"):
            luban.train(resume=run, quiet=True)
        (run / "config.yaml").write_text(config, "utf-8")
    rows.write_text(rows.read_text("utf-8").replace("北京", "天津", 1), "utf-8")
    with pytest.raises(
        ArtifactError, match="train data: expected the same as when the run began, .* Bring back what the run"
    ):
        luban.train(resume=run, quiet=True)
    assert {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()} == kept


def test_pictures_that_changed_since_are_refused_and_copies_are_not(tmp_path: Path) -> None:
    folder, run = tmp_path / "pictures", tmp_path / "runs" / "pictures"
    draw = np.random.default_rng(0)
    paths = [folder / label / f"{number}.bmp" for label in ("dark", "light") for number in range(40)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 120, (16, 16, 3), np.uint8) + (120 if path.parent.name == "light" else 0)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        os.utime(path, (1e9, 1e9))
    common = (folder, "--runs", tmp_path / "runs", "--quiet", "--set", "model.grid.architecture=lenet")
    interrupted(tmp_path, train(*common), run, signal.SIGKILL, 20)
    (folder / "dark").rename(folder / "other")
    (folder / "light").rename(folder / "dark")
    (folder / "other").rename(folder / "light")
    with pytest.raises(ArtifactError, match="contents of 'image' in the train data: expected the same as when the run"):
        luban.train(resume=run, quiet=True)
    for label, other in (("dark", "light"), ("light", "dark")):  # where they were, but written anew
        shutil.copytree(folder / label, tmp_path / other)
    shutil.rmtree(folder)
    folder.mkdir()
    for label in ("dark", "light"):
        (tmp_path / label).rename(folder / label)
    subprocess.run(train("--resume", run, "--quiet"), env=environment(tmp_path), check=True)
    assert (run / "manifest.json").exists()


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
