"""The quick examples, as a user runs them; the figures in the README are those that were recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from luban import config as configuration

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
RESULTS = json.loads((ROOT / "benchmarks" / "results" / "examples.json").read_text("utf-8"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_example_is_a_valid_configuration_with_a_recorded_result(path: Path) -> None:
    configuration.parse(configuration.load(path), path.name)
    assert path.stem in RESULTS


@pytest.mark.parametrize(
    ("name", "metric", "bar"),
    [("logical_and", "accuracy", 1.0), ("dense", "accuracy", 0.95), ("lstm_regression", "r2", 0.9)],
)
def test_quick_example_learns(luban, tmp_path: Path, name: str, metric: str, bar: float) -> None:
    result = luban("train", EXAMPLES / f"{name}.yaml")
    assert result.code == 0, result.err
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "metrics.json").read_text("utf-8"))["scores"][metric]["value"] >= bar


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_self_attention_learns_to_copy(luban, tmp_path: Path, seed: int) -> None:
    assert luban("train", EXAMPLES / "attention_copy.yaml", "--seed", seed).code == 0
    scores = json.loads((tmp_path / "runs/attention-copy/metrics.json").read_text("utf-8"))["scores"]
    assert scores["accuracy"]["value"] >= 0.99


def test_adult_beats_its_bar_on_real_data(luban, tmp_path: Path, shared_data: Path) -> None:
    data = shared_data / "adult" / "adult.csv"
    result = luban("train", EXAMPLES / "adult.yaml", "--set", f"data.train={data}", "--set", "train.epochs=8")
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "runs/adult/metrics.json").read_text("utf-8"))["scores"]["accuracy"]["value"] > 0.845


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_figures_in_the_readme_are_the_recorded_ones(readme: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| \*\*([\d.]+)\*\*", (ROOT / readme).read_text("utf-8"), re.MULTILINE)
    assert {name for name, _ in rows} == set(RESULTS)
    for name, figure in rows:
        values = [result["scores"][result["decider"]] for result in RESULTS[name]]
        assert float(figure) == pytest.approx(sum(values) / len(values), abs=5e-4), name
