"""The folder for what can be computed again stays within its limit."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from luban.core.cache import PARTIAL_SECONDS, cache_limit, evict, mark_used
from luban.core.errors import ConfigError


def entry(cache: Path, name: str, size: int, used: float) -> Path:
    folder = cache / name
    folder.mkdir()
    (folder / "values").write_bytes(b"." * size)
    os.utime(folder, (used, used))
    return folder


def names(cache: Path) -> set[str]:
    return {folder.name for folder in cache.iterdir()}


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    for place, name in enumerate("cabd"):
        entry(tmp_path, name, 100, 1_000.0 + place)
    assert evict(tmp_path, 400, ()) == []
    assert evict(tmp_path, 250, ()) == [tmp_path / "c", tmp_path / "a"]
    assert names(tmp_path) == {"b", "d"}
    mark_used(tmp_path / "b")
    assert evict(tmp_path, 100, ()) == [tmp_path / "d"]


def test_what_is_in_use_stays_and_counts(tmp_path: Path) -> None:
    oldest = entry(tmp_path, "oldest", 100, 1.0)
    for name in ("x", "y"):
        entry(tmp_path, name, 10, 2.0)
    evict(tmp_path, 100, {oldest})
    assert names(tmp_path) == {"oldest"}
    evict(tmp_path, 0, {oldest})
    assert names(tmp_path) == {"oldest"}


def test_unfinished_folders_go_after_a_day(tmp_path: Path) -> None:
    entry(tmp_path, ".dead.partial", 1, 1.0)
    entry(tmp_path, ".alive.partial", 100, time.time() - PARTIAL_SECONDS / 2)
    (tmp_path / "a file of somebody").write_text("")
    evict(tmp_path, 50, ())
    assert names(tmp_path) == {".alive.partial", "a file of somebody"}


def test_a_folder_that_is_gone_cannot_be_marked_and_that_is_no_error(tmp_path: Path) -> None:
    mark_used(tmp_path / "gone")
    assert not names(tmp_path)


@pytest.mark.parametrize(("setting", "limit"), [(None, 10**10), ("", 10**10), ("0", 0), (" 2.5 ", 2_500_000_000)])
def test_the_limit_is_set_in_gigabytes(setting: str | None, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUBAN_CACHE_GB", raising=False)
    if setting is not None:
        monkeypatch.setenv("LUBAN_CACHE_GB", setting)
    assert cache_limit() == limit


@pytest.mark.parametrize("setting", ["ten", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE_GB", setting)
    with pytest.raises(ConfigError) as error:
        cache_limit()
    assert str(error.value) == (
        "the environment variable LUBAN_CACHE_GB: expected a number of gigabytes, 0 or more, "
        f"found '{setting}'. Correct it, or remove it for 10."
    )
