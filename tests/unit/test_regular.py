"""Only regular files are read; a path means what a person means by it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from luban.core.errors import ArtifactError, ConfigError, DataError
from luban.core.paths import as_path
from luban.core.regular import check_regular, is_regular, open_regular, read_regular
from luban.data import sources


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a socket": bound,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_regular_file_is_named_and_never_opened(name: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    KINDS[name](path)
    assert not is_regular(path)
    for read in (check_regular, open_regular, read_regular):
        with pytest.raises(ArtifactError, match=f"expected a regular file, found {name}"):
            read(path, ArtifactError)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl", ".json", ".txt", ".csv.gz", ".png", ""])
@pytest.mark.parametrize("name", ["a named pipe", "a device"])
def test_source_that_is_no_regular_file_is_refused(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"f{suffix}"
    KINDS[name](path)
    with pytest.raises(DataError, match=f"expected a regular file, found {name}"):
        sources.read(path)


def test_regular_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    path, link = tmp_path / "f", tmp_path / "link"
    path.write_bytes(b"abc")
    link.symlink_to(path)
    for place in (path, link):
        assert is_regular(place)
        assert read_regular(place) == b"abc"
        assert check_regular(place).st_size == 3
    assert read_regular(path, most=3) == b"abc"
    with pytest.raises(DataError, match="expected at most 2 bytes, found more"):
        read_regular(path, most=2)


def test_what_is_not_there_or_cannot_be_named_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file that can be read, found 'No such file or directory'"):
        open_regular(tmp_path / "none")
    with pytest.raises(DataError, match="expected a name that the file system can hold, found one that is too long"):
        open_regular(tmp_path / ("n" * 300))
    with pytest.raises(DataError, match=r"a\\0b: expected the name of a file, found one with a NUL character"):
        open_regular(Path("a\0b"))
    assert not is_regular(Path("a\0b"))
    assert not is_regular(tmp_path / ("n" * 300))


def test_tilde_is_a_home_folder_unless_a_file_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere")
    assert as_path("~/data.csv") == Path("/somewhere/data.csv")
    with pytest.raises(ConfigError, match="~nobody-here.csv: expected a file, or the home folder of a user, found nei"):
        as_path("~nobody-here.csv")
    Path("~nobody-here.csv").write_text("a,b\n1,2\n")
    assert as_path("~nobody-here.csv") == Path("~nobody-here.csv")
    assert sources.read("~nobody-here.csv").columns == ["a", "b"]


def test_path_that_no_run_could_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\\0b: expected a path, found one with a NUL character"):
        as_path("a\0b")
    for path in (tmp_path / os.fsdecode(b"\xff.csv"), tmp_path / os.fsdecode(b"\xff") / "a.csv"):
        with pytest.raises(DataError, match=r"\\udcff.*: expected a path in UTF-8, found bytes that are none"):
            sources.read(path)
