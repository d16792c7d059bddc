"""The folder for what can be computed again stays within its limit."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from luban.core.cache import CLAIM, PARTIAL_SECONDS, cache_limit, claim, evict, mark_used
from luban.core.errors import ConfigError


def entry(cache: Path, digit: str, size: int, used: float, *, partial: bool = False) -> Path:
    """Make an entry whose name is of one digit, with a file of a given size."""
    folder = cache / (f".{digit * 16}.{digit * 8}.partial" if partial else digit * 64)
    folder.mkdir()
    claim(folder, "encoded", digit * 64)
    (folder / "dense.npy").write_bytes(b"." * (size - (folder / CLAIM).stat().st_size))
    os.utime(folder, (used, used))
    return folder


def names(cache: Path) -> set[str]:
    return {folder.name for folder in cache.iterdir()}


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    by_name = {name: entry(tmp_path, name, 200, 1_000.0 + place) for place, name in enumerate("cabd")}
    assert evict(tmp_path, 800, ()) == ([], [])
    assert evict(tmp_path, 500, ()) == ([by_name["c"], by_name["a"]], [])
    assert set(tmp_path.iterdir()) == {by_name["b"], by_name["d"]}
    mark_used(by_name["b"])
    assert evict(tmp_path, 200, ()) == ([by_name["d"]], [])


def test_what_is_in_use_stays_and_counts(tmp_path: Path) -> None:
    oldest = entry(tmp_path, "0", 300, 1.0)
    for name in "12":
        entry(tmp_path, name, 200, 2.0)
    evict(tmp_path, 300, {oldest})
    assert set(tmp_path.iterdir()) == {oldest}
    evict(tmp_path, 0, {oldest})
    assert set(tmp_path.iterdir()) == {oldest}


def test_unfinished_folders_go_after_a_day(tmp_path: Path) -> None:
    entry(tmp_path, "a", 200, 1.0, partial=True)
    alive = entry(tmp_path, "b", 200, time.time() - PARTIAL_SECONDS / 2, partial=True)
    evict(tmp_path, 500, ())
    assert set(tmp_path.iterdir()) == {alive}


def foreign(cache: Path, kind: str) -> Path:
    """Put something beside the entries that Luban did not make, though it looks like it."""
    if kind == "a file":
        path = cache / ("f" * 64)
        path.write_text("mine")
        return path
    if kind == "a folder":
        (cache / "my_photos").mkdir()
        (cache / "my_photos" / "dense.npy").write_bytes(b"mine")
        return cache / "my_photos"
    if kind == "a folder without a claim":
        path = entry(cache, "f", 200, 1.0)
        (path / CLAIM).unlink()
        return path
    path = entry(cache, "f", 200, 1.0)
    if kind == "a link to an entry":
        path.rename(cache.parent / "elsewhere")
        path.symlink_to(cache.parent / "elsewhere")
    elif kind == "a file in an entry":
        (path / "notes.txt").write_text("mine")
    elif kind == "a link in an entry":
        (cache.parent / "notes.txt").write_text("mine")
        (path / "ids.npy").symlink_to(cache.parent / "notes.txt")
    elif kind == "a folder in an entry":
        (path / "1.values.npy").mkdir()
    elif kind == "a copy of an entry":
        path = path.rename(cache / "copy")
    elif kind == "a damaged claim":
        (path / CLAIM).write_text("[" * 5_000)
    elif kind == "a long claim":
        (path / CLAIM).write_text((path / CLAIM).read_text() + " " * 10_000)
    else:
        (path / CLAIM).write_text(kind)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "a file",
        "a folder",
        "a folder without a claim",
        "a link to an entry",
        "a file in an entry",
        "a link in an entry",
        "a folder in an entry",
        "a copy of an entry",
        "a damaged claim",
        "a long claim",
        '{"luban": "photos", "folder": "%s"}' % ("f" * 64),
        '{"luban": "encoded", "folder": 3}',
        '["luban"]',
    ],
)
def test_what_luban_did_not_write_stays(tmp_path: Path, kind: str) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    path = foreign(cache, kind)
    before = {file: file.lstat().st_size for file in tmp_path.rglob("*")}
    own = entry(cache, "0", 200, 2.0)
    assert evict(cache, 0, ()) == ([own], [path])
    assert {file: file.lstat().st_size for file in tmp_path.rglob("*")} == before
    assert evict(cache, 0, ()) == ([], [])  # no room is needed


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
