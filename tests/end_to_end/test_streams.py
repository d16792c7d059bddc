"""A training is whole whatever becomes of what it prints; predictions on standard output are there, or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = "".join(f"{(row * 37 % 100) / 10 + 3 * (row % 2)},{'甲乙丙'[row % 3]},{'是否'[row % 2]}\n" for row in range(80))


def luban(folder: Path, arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line in a shell, in a folder."""
    own = {"LUBAN_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m luban.cli {arguments}'],
        cwd=folder,
        env=os.environ | own,
        capture_output=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was trained where every line it printed failed."""
    path = tmp_path_factory.mktemp("streams")
    (path / "数据.csv").write_text(f"数,类,答案\n{ROWS}", encoding="utf-8")
    result = luban(
        path,
        "train 数据.csv --set name=run --set train.epochs=1 --set model.hidden=[4] --set train.preflight=false "
        "> /dev/full 2>&-",
        PYTHONIOENCODING="ascii:strict",
        LC_ALL="C",
    )
    assert result.returncode == 0
    return path


def test_a_training_whose_lines_cannot_be_printed_is_whole(folder: Path) -> None:
    names = {file.name for file in (folder / "runs" / "run").iterdir()}
    assert {"manifest.json", "metrics.json", "model.safetensors", "report.html", "history.jsonl"} <= names
    assert "checkpoints" not in names


def test_predictions_that_cannot_be_printed_are_an_error(folder: Path) -> None:
    result = luban(folder, "predict runs/run 数据.csv > /dev/full")
    assert result.returncode == 1
    assert b"standard output: expected a stream that takes what is printed" in result.stderr
    assert b"Traceback" not in result.stderr


def test_predictions_in_a_pipe_are_utf8_whatever_the_terminal_speaks(folder: Path) -> None:
    result = luban(folder, "predict runs/run 数据.csv | cat", PYTHONIOENCODING="ascii", LC_ALL="C")
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("数,类,答案,predicted_答案,probability_")
    assert len(lines) == 81
