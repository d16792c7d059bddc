"""The table of speeds in the README is the one that the result files give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def recorded_rows() -> list[str]:
    spec = importlib.util.spec_from_file_location("table", ROOT / "benchmarks" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows: list[str] = module.rows()
    return rows


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_speeds_in_the_readme_are_the_recorded_ones(readme: str) -> None:
    lines = (ROOT / readme).read_text("utf-8").splitlines()
    shown = [line for line in lines if line.startswith("| `") and ".py` |" in line]
    assert recorded_rows()
    assert shown == recorded_rows()
