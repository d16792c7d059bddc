"""What `luban doctor` finds out."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from luban.core import installation

ROOT = Path(__file__).resolve().parents[2]
DEVELOPERS = {"dev", "bench"}


def test_every_extra_of_the_package_is_told() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert installation.EXTRAS.keys() == project["optional-dependencies"].keys() - DEVELOPERS


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(installation.EXTRAS, "large", (("json", "no_such_module"), "tests"))
    assert installation.missing_modules("large") == ["no_such_module"]
    monkeypatch.setattr(installation, "PACKAGES", ("torch", "no-such-package"))
    found = installation.versions()
    assert found["torch"][0].isdigit()
    assert found["no-such-package"] == "missing"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor: 0\nflags\t\t: fpu avx2 avx512_bf16 avx512_vnni\n", {"bfloat16": True, "VNNI": True}),
        ("flags : fpu avx2\n", {"bfloat16": False, "VNNI": False}),
        ("Features : fp asimd bf16\n", {"bfloat16": True, "VNNI": False}),
        ("model name : a processor\n", None),
    ],
)
def test_instructions_are_read_as_linux_writes_them(
    tmp_path: Path, text: str, expected: dict[str, bool] | None
) -> None:
    (tmp_path / "cpuinfo").write_text(text, "utf-8")
    assert installation.capabilities(tmp_path / "cpuinfo") == expected
    assert installation.capabilities(tmp_path / "none") is None


def test_the_cache_is_counted_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))
    assert installation.cache_bytes() == 0
    (tmp_path / "cache" / "encoded").mkdir(parents=True)
    (tmp_path / "cache" / "encoded" / "a").write_bytes(b"12345")
    (tmp_path / "cache" / "b").write_bytes(b"123")
    assert installation.cache_bytes() == 8


def test_the_speed_is_that_of_products_and_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "SIDE", 64)
    monkeypatch.setattr(installation, "COPIED_BYTES", 2**16)
    found = installation.measured_speed(seconds=0.01)
    assert found.gflops["float32"] is not None
    assert found.gflops["float32"] > 0
    assert found.copy_gb > 0
    monkeypatch.setattr(installation, "emulates_bfloat16", lambda device: True)
    assert installation.measured_speed(seconds=0.01).gflops["bfloat16"] is None
