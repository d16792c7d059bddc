"""What nothing else has caught is one sentence on the command line, also where there is no memory left to print it."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys

import polars as pl
import pytest

from luban import cli
from luban.core.errors import ResourceError
from luban.core.machine import address_space
from luban.core.machine.address_space import check_room_to_load, left_of_limit
from luban.report import wrapping


class Ended(BaseException):
    pass


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes of a process that was ended at once."""
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    return codes


@pytest.mark.parametrize(
    "error",
    [MemoryError(), ImportError("libx.so: failed to map segment from shared object"), RuntimeError("bad_alloc")],
)
def test_memory_is_one_sentence_and_the_process_ends_at_once(
    error: Exception, ended: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Ended):
        cli.told(error)
    assert ended == [1]
    assert capsys.readouterr().err.startswith("luban: this process: expected enough memory, found too little. Close ")


def test_memory_that_is_short_while_the_error_is_printed_is_said(
    ended: list[int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def short(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(wrapping, "tell", short)
    with pytest.raises(Ended):
        cli.told(ValueError("a fault"))
    assert ended == [1]
    assert capfd.readouterr().err == cli.NO_MEMORY.decode()


def test_what_the_system_refuses_and_a_fault_of_ours_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.told(OSError(errno.EIO, os.strerror(errno.EIO), "x.csv")) == 1
    assert capsys.readouterr().err.startswith(
        "luban: x.csv: expected a disk that can be read and written, found an inp"
    )
    assert cli.told(ZeroDivisionError("division by zero")) == 2
    assert "an error of Luban's own, ZeroDivisionError: division by zero" in capsys.readouterr().err
    assert cli.told(pl.exceptions.PanicException("a panic")) == 2


def test_limit_below_what_the_libraries_take_is_refused_before_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_space, "left_of_limit", lambda: 10**9)
    with pytest.raises(
        ResourceError, match="expected at least 2.00 GB of address space, found a limit that leaves 1.0"
    ):
        check_room_to_load()
    monkeypatch.setattr(address_space, "left_of_limit", lambda: None)
    check_room_to_load()


def test_limit_of_the_system_is_read() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    if before[0] != resource.RLIM_INFINITY:
        pytest.skip("this process has a limit already")
    assert left_of_limit() is None
    code = "from luban.core.machine.address_space import left_of_limit; print(left_of_limit())"
    limited = f"ulimit -v 1000000; exec {sys.executable} -c '{code}'"
    found = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=True)
    assert 0 < int(found.stdout) < 1_000_000 * 1024
