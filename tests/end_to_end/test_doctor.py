"""`luban doctor`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from luban.core import installation
from luban.core.version import VERSION


def test_doctor_tells_versions_machine_cache_and_extras(luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(installation.EXTRAS, "track", (("no_such_module",), "TensorBoard and MLflow"))
    result = luban("doctor", "--no-speed")
    assert result.code == 0, result.err
    assert f"luban {VERSION}" in result.out
    for label in ("versions", "processor", "GPU", "memory", "disk", "cache", "extras"):
        assert f"\n{label}" in f"\n{result.out}"
    assert str(tmp_path / "cache") in result.out
    assert "track: pip install 'luban[track]' (TensorBoard and MLflow)" in result.out
    assert "speed" not in result.out


def test_doctor_measures_the_machine(luban, monkeypatch: pytest.MonkeyPatch) -> None:
    told = installation.Speed("cpu", {"float32": 1234.4, "bfloat16": None}, 5.67)
    monkeypatch.setattr(installation, "measured_speed", lambda: told)
    out = luban("doctor").out
    assert "float32 1,234, bfloat16 emulated, not used" in out
    assert "memory copied at 5.7 GB/s" in out


def test_doctor_says_what_is_wrong_with_the_cache(luban, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE_GB", "much")
    result = luban("doctor", "--no-speed")
    assert result.code == 1
    assert "expected a number of gigabytes, 0 or more, found 'much'" in result.err
