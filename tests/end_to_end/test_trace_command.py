"""`luban trace` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from test_bad_input import refused, table

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def run(luban, tmp_path: Path) -> Path:
    cells = [SCRIPT, "plain"] * 30
    frame = table(**{SCRIPT: cells}).with_columns(
        y=pl.when(pl.col("x") > 0).then(pl.lit(SCRIPT)).otherwise(pl.lit("no"))
    )
    frame.write_csv(tmp_path / "sheet.csv")
    settings = ("--set", "train.epochs=1", "--set", "model.hidden=[3]", "--set", "train.loss.label_smoothing=0.1")
    result = luban("train", "sheet.csv", "--target", "y", "--no-preflight", "-q", *settings)
    assert result.code == 0, result.err
    return tmp_path / "runs" / "sheet"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_and_json_say_everything_and_run_nothing(luban, tmp_path: Path, run: Path, language: str) -> None:
    result = luban("trace", run, 1, "--json", "t.json", "--steps", 2, "--lang", language, "--optimizer", "adam")
    assert result.code == 0, result.err
    assert "gradients  passed" in result.out
    page = (tmp_path / "trace.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<title>" in page
    assert f'lang="{language}"' in page
    found = json.loads((tmp_path / "t.json").read_text("utf-8"))
    trace = found["trace"]
    assert trace["loss_formula"]["loss"]["value"] == pytest.approx(trace["loss"], rel=1e-5)
    assert trace["check_passed"]
    assert len(trace["steps"]) == 2
    refused(luban("trace", run, 1), "trace.html", "--overwrite")
    assert luban("trace", run, 1, "--overwrite").code == 0


def test_mistakes_get_one_sentence(luban, tmp_path: Path, run: Path) -> None:
    refused(luban("trace", run, 61), "sheet.csv", "1 to 60", "61")
    refused(luban("trace", run, 0), "sheet.csv", "found 0")
    refused(luban("trace", run, 1, "--optimizer", "adamm"), "--optimizer", "Did you mean 'adam'?")
    refused(luban("trace", run, 1, "--steps", 0), "--steps")
    refused(luban("trace", run, 1, "--learning-rate", "-1"), "--learning-rate")
    refused(luban("trace", run, 1, "--lang", "fr"), "--lang", "'fr'")
    refused(luban("trace", run, 1, "-o", "t.txt"), "'.txt'")
    (tmp_path / "sheet.csv").unlink()
    refused(luban("trace", run, 1), "nothing there any more", "--data")
    (run / "manifest.json").unlink()
    refused(luban("trace", run, 1), "did not finish")
