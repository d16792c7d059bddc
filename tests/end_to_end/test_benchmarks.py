"""Every benchmark runs on a few rows, against the peers that are installed. How long it takes decides nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from luban.explain.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
NOT_INSTALLED = 3
# Of Trainer's variants one is enough: they differ in an argument.
CLAIMS = {
    "mrpc": ["--peers", "trainer"],
    "banking77": ["--peers", "trainer-grouped"],
    "predict": [],
    "frozen": [],
    "start": [],
    "mnist": [],
    "cifar10": [],
    "adult": [],
}
QUICK = "adult"  # the claim whose peers start soonest
ANALYSES = {"gemm": ["--claims", "banking77"], "profile_step": ["--claims", "adult"]}
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("shared_data")]


def run(script: str, *arguments: object) -> list[dict[str, Any]]:
    """Run a script; return the entries of its result file, or skip where no peer is installed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(BENCHMARKS / f"{script}.py"), *map(str, arguments), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == NOT_INSTALLED:
        pytest.skip(done.stderr.strip() or done.stdout.strip())
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(Path(arguments[arguments.index("--output") + 1]).read_text("utf-8"))
    return found


def test_every_claim_is_run() -> None:
    with_claim = {path.stem for path in BENCHMARKS.glob("*.py") if "\nCLAIM = " in path.read_text("utf-8")}
    assert with_claim == set(CLAIMS)


@pytest.mark.parametrize(
    "script", [pytest.param(claim, marks=[] if claim == QUICK else pytest.mark.slow) for claim in CLAIMS]
)
def test_claim_is_measured_and_recorded(
    script: str, tmp_path: Path, shared_data: Path, pretrained_models: Path
) -> None:
    sizes = ["--pairs", 1, "--rows", 64, "--epochs", 1, "--seeds", "--no-warm-up"]
    places = ["--data", shared_data, "--model", pretrained_models / "minilm", "--output", tmp_path / "result.json"]
    fixed = ["--luban-set", 'train.precision="float32"']
    (entry,) = run(script, *sizes, *places, *fixed, *CLAIMS[script])
    assert entry["hardware"]["threads"] == 1
    assert entry["claims"]
    for name, found in entry["claims"].items():
        (pair,) = found["speed"]["pairs"]
        assert pair["ratios"][found["speed"]["measured"]] == found["speed"]["median"] > 0, name
        assert abs(pair["luban"]["rows"] - pair["peer"]["rows"]) <= 2, name
        assert pair["luban"]["versions"]["luban"], name
        if script != "start":
            assert 0 <= pair["peer"]["scores"]["accuracy"] <= 1, name
            assert 0 <= pair["luban"]["scores"]["accuracy"] <= 1, name


def test_scores_of_full_runs_are_compared(tmp_path: Path, shared_data: Path) -> None:
    sizes = ["--pairs", 0, "--seeds", 0, 1, "--score-rows", 64, "--score-epochs", 1]
    places = ["--data", shared_data, "--output", tmp_path / "result.json", "--peers", "torch-in-memory"]
    (entry,) = run("mnist", *sizes, *places)
    scores = entry["claims"]["torch-in-memory"]["scores"]
    assert scores["seeds"] == [0, 1]
    assert len(scores["luban"]) == len(scores["peer"]) == 2
    assert scores["difference"] == pytest.approx(sum(scores["luban"]) / 2 - sum(scores["peer"]) / 2, abs=1e-4)
    assert scores["not_worse"] == (scores["difference"] >= -0.01)


@pytest.mark.parametrize("script", ANALYSES)
def test_step_is_taken_apart(script: str, tmp_path: Path, shared_data: Path, pretrained_models: Path) -> None:
    places = ["--data", shared_data, "--model", pretrained_models / "minilm", "--output", tmp_path / "result.json"]
    (entry,) = run(script, "--rows", 128, "--steps", 2, *places, *ANALYSES[script])
    ((_, found),) = entry["claims"].items()
    if script == "gemm":
        assert found["float32"]["share_of_limit"] > 0
        assert found["float32"]["step_gflops"] > 0
    else:
        shares = [line["share"] for line in found["float32"]["operators"]]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1.001


def test_explanations_are_timed(tmp_path: Path, shared_data: Path, pretrained_models: Path) -> None:
    pytest.importorskip("captum", reason="pip install 'luban[explain]'")
    places = ["--data", shared_data, "--model", pretrained_models / "minilm", "--output", tmp_path / "result.json"]
    (entry,) = run("explain", "--words", 8, "--rows", 40, "--epochs", 1, "--times", 1, *places)
    assert {claim["method"] for claim in entry["claims"].values()} == {method.name for method in METHODS}
    for name, found in entry["claims"].items():
        assert found["seconds"] == found["runs"][0]["seconds"] > 0, name
        assert found["words"] == 8, name
        assert "is_met" not in found


def test_audits_are_timed(tmp_path: Path, shared_data: Path) -> None:
    (entry,) = run("audit", "--data", shared_data, "--rows", 300, "--times", 1, "--output", tmp_path / "result.json")
    for name, found in entry["claims"].items():
        assert found["seconds"] == found["runs"][0]["process_seconds"] > found["runs"][0]["audit_seconds"], name
        assert found["runs"][0]["rows"] == 300
        assert found["before_training"]["skipped"] == []
        assert "is_met" not in found
    assert set(entry["claims"]) == {"adult", "mnist", "texts"}


def test_targets_together_are_compared_with_targets_apart(tmp_path: Path, shared_data: Path) -> None:
    output, data = tmp_path / "result.json", shared_data / "adult" / "adult.csv"
    command = [sys.executable, str(BENCHMARKS / "several.py"), str(data), "--seeds", "0", "--rows", "400"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "LUBAN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, "--epochs", "1", "--output", str(output)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text("utf-8"))
    (seed,) = found["seeds"]
    right = (found["right_together_alone"] - found["right_apart_alone"]) / seed["rows"]
    assert right == pytest.approx(seed["accuracy"]["together"] - seed["accuracy"]["apart"])
    gained = found["mse_gained_together"]
    assert gained["low"] < gained["value"] < gained["high"]
    assert gained["value"] == pytest.approx(seed["mse"]["apart"] - seed["mse"]["together"])


def test_forecasts_are_chosen_on_validation_rows(tmp_path: Path, shared_data: Path) -> None:
    output, data = tmp_path / "result.json", shared_data / "etth1" / "ETTh1.csv"
    command = [sys.executable, str(BENCHMARKS / "forecast.py"), str(data), "--candidates", "2", "--epochs", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "LUBAN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, "--output", str(output)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text("utf-8"))
    for name in ("multivariate", "univariate"):
        best = min(found[name]["candidates"], key=lambda one: one["validation_mse"])
        assert found[name]["chosen"] == best["settings"]
        assert found[name]["test"]["mse"]["value"] < found[name]["baselines"]["last_value"]["mse"]["value"]


@pytest.mark.parametrize("whole", [False, True])
def test_data_path_is_measured(whole: bool, tmp_path: Path, shared_data: Path) -> None:
    output = tmp_path / "result.json"
    command = [sys.executable, str(BENCHMARKS / "datapath.py"), "--rows", "300", "--tokenizers", "words"]
    command += ["--output", str(output), *(["--whole"] if whole else [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "LUBAN_TEST_DATA": str(shared_data)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text("utf-8"))["words"]["300"]
    measured = found["whole"] if whole else found["empty_cache"]
    stages = measured["stages"]
    assert ("report" in stages) == whole
    assert measured["peak_mib"] == max(stage["peak_mib"] for stage in stages.values())
    assert all(stage["peak_anonymous_mib"] <= stage["peak_mib"] for stage in stages.values())
