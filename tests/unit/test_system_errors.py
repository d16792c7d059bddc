"""What the operating system refuses is one sentence, whoever passes it on."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from luban.core.errors import ArtifactError, ConfigError, DataError, LubanError, ResourceError
from luban.core.system_errors import disk_errors, last_resort, means_memory, read_errors, system_error

ROWS = pl.DataFrame({"a": os.urandom(40_000).hex(" ").split()})


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow over 4 KiB, as `ulimit -f 4` does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: ROWS.write_csv(path),
        lambda path: ROWS.write_ndjson(path),
        lambda path: ROWS.write_parquet(path),
        lambda path: ROWS.write_ipc(path),
        lambda path: path.write_bytes(bytes(10_000)),
        lambda path: save_file({"w": torch.zeros(10_000)}, path),
    ],
    ids=["csv", "jsonl", "parquet", "arrow", "python", "safetensors"],
)
def test_file_that_grows_over_the_limit_is_one_sentence_whoever_writes_it(
    write: Callable[[Path], object], tmp_path: Path, small_files: None
) -> None:
    found = "expected a file within the size that the system allows, found one that is too large. Raise the limit"
    with pytest.raises(ArtifactError, match=found), disk_errors(tmp_path / "out"):
        write(tmp_path / "out")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "expected room on the disk, found a full disk"),
        (errno.EDQUOT, "expected room on the disk, found a quota that is used up"),
        (errno.EFBIG, "found one that is too large"),
        (errno.EIO, "found an input/output error"),
        (errno.ENAMETOOLONG, "expected a name that the file system can hold, found one that is too long"),
        (errno.EROFS, "expected a place that can be written, found 'Read-only file system'"),
        (errno.EACCES, "found 'Permission denied'"),
        (errno.EPERM, "found 'Operation not permitted'"),
        (errno.ENOTDIR, "found 'Not a directory'"),
        (errno.ENOENT, "found 'No such file or directory'"),
    ],
)
def test_each_number_has_a_sentence_in_whatever_form_it_comes(number: int, said: str) -> None:
    text = os.strerror(number)
    forms = [
        OSError(number, text),
        OSError(f"{text} (os error {number})"),
        pl.exceptions.ComputeError(f"{text} (os error {number}): out.csv"),
        RuntimeError(f"[Errno {number}] {text}: 'x'"),
    ]
    for error in forms:
        found = system_error(error, "out.csv")
        assert type(found) is ArtifactError
        assert str(found).startswith("out.csv: expected ")
        assert said in str(found)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "expected enough memory, found too little"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "expected enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "enough memory"),
        (ImportError("libx.so: failed to map segment from shared object"), "enough memory"),
        (RuntimeError("can't start new thread"), "expected room for another thread or process, found none"),
        (OSError(errno.EMFILE, "Too many open files"), "expected room for another open file"),
    ],
)
def test_memory_threads_and_open_files_are_resources(error: Exception, said: str) -> None:
    found = system_error(error, "x.csv", DataError, writing=False)
    assert type(found) is ResourceError
    assert said in str(found)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no space left on device"),
        KeyError("out of memory"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"),
        pl.exceptions.ColumnNotFoundError("age"),
        OSError("image file is truncated"),
        ImportError("No module named 'captum'"),
    ],
)
def test_a_fault_in_the_program_or_the_data_is_none_of_the_system(error: Exception) -> None:
    assert system_error(error, "x") is None
    assert last_resort(error) is None
    assert not means_memory(error)


def test_a_read_and_a_write_are_told_apart() -> None:
    with (
        pytest.raises(DataError, match="expected a file that can be read, found 'Permission denied'"),
        read_errors(Path("x.csv")),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")
    with (
        pytest.raises(ConfigError, match="expected a place that can be written, found 'Is a directory'"),
        disk_errors(Path("x.csv"), ConfigError),
    ):
        raise IsADirectoryError(errno.EISDIR, "Is a directory")


def test_our_own_errors_and_other_faults_pass_unchanged() -> None:
    own = DataError("x", expected="a", found="b", action="c")
    for error in (own, ValueError("bad"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, disk_errors(Path("x")):
            raise error
        assert caught.value is error
    assert last_resort(own) is None


def caused(first: Exception, then: Exception) -> Exception:
    try:
        raise then from first
    except type(then) as error:
        return error


def test_last_resort_names_the_file_and_looks_at_what_caused_an_error() -> None:
    found = last_resort(FileNotFoundError(errno.ENOENT, "No such file or directory", "gone.json"))
    assert isinstance(found, LubanError)
    assert str(found).startswith("gone.json: expected a file that can be read, found 'No such file or directory'.")
    within = last_resort(caused(MemoryError(), ImportError("cannot import name 'x'")))
    assert isinstance(within, ResourceError)
    assert str(within).startswith("this process: expected enough memory")
