"""Streams that are closed, full, of few letters or read by nobody end nothing."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from luban.core.errors import ArtifactError
from luban.core.printing import Printer, deliver, printer

SAYS = """
import sys
from luban.core.printing import take_streams
take_streams()
print("列 caf\\u00e9 \\udc80")
print("out of line", file=sys.stderr)
with open(sys.argv[1], "w") as file:
    print("more" * 100_000)
    sys.stdout.flush()
    file.write(f"{file.fileno() > 2} {sys.stdout.isatty()}")
"""


def said(tmp_path: Path, redirections: str, **environment: str) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """Return what a process did whose streams go where a shell's redirections send them, and what it wrote."""
    file = tmp_path / "written"
    result = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" "$2" {redirections}', sys.executable, SAYS, str(file)],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )
    return result, file.read_text()


@pytest.mark.parametrize("redirections", [">&-", "2>&-", ">&- 2>&-", ">&- 2>&- <&-", "> /dev/full", "2> /dev/full"])
def test_a_process_goes_on_without_its_streams(tmp_path: Path, redirections: str) -> None:
    result, written = said(tmp_path, redirections)
    assert result.returncode == 0
    assert written == "True False"
    assert b"Traceback" not in result.stderr


def test_a_full_disk_is_told_once_on_stderr(tmp_path: Path) -> None:
    result, _ = said(tmp_path, "> /dev/full")
    assert result.stderr.count(b"No space left on device") == 1
    assert result.stdout == b""


def test_a_reader_that_has_seen_enough_ends_nothing(tmp_path: Path) -> None:
    result, written = said(tmp_path, "| head -c 3")
    assert (result.returncode, result.stdout, written) == (0, "列".encode(), "True False")
    assert result.stderr == b"out of line\n"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", b"\\u5217 caf\\xe9 \\udc80"),
        ("latin-1", b"\\u5217 caf\xe9 \\udc80"),
        ("utf-8", "列 café \\udc80".encode()),
    ],
)
def test_what_a_stream_cannot_encode_is_replaced(tmp_path: Path, encoding: str, expected: bytes) -> None:
    result, _ = said(tmp_path, "", PYTHONIOENCODING=f"{encoding}:strict")
    assert result.stdout.split(b"\n")[0] == expected


class Failing(io.StringIO):
    """A stream that fails with an error of the operating system."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.tries = number, 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EBADF, errno.ENOSPC, errno.EIO])
def test_a_stream_that_failed_is_not_tried_again(number: int) -> None:
    stream = Failing(number)
    for _ in range(3):
        assert printer(stream).write("abc") == 3
        wrapped = Printer(stream)
    wrapped.write("a")
    wrapped.write("b")
    assert stream.tries == 4
    assert not wrapped.isatty()


def test_a_closed_stream_goes_quiet() -> None:
    stream = io.StringIO()
    stream.close()
    wrapped = Printer(stream)
    assert wrapped.write("abc") == 3
    assert isinstance(wrapped.failure, ValueError)
    assert not wrapped.isatty()


def test_the_product_of_a_command_is_written_as_utf8_whatever_the_stream_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    deliver("列,\x1b\n")
    assert raw.getvalue() == "列,\x1b\n".encode()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EBADF])
def test_a_product_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(sys, "stdout", Failing(number))
    with pytest.raises(ArtifactError, match=f"found '{os.strerror(number)}'. Write to a file with -o"):
        deliver("a,b\n")


def test_a_product_whose_stream_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(ArtifactError, match="standard output: expected a stream"):
        deliver("a,b\n")


def test_a_product_whose_reader_has_seen_enough_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Failing(errno.EPIPE))
    with pytest.raises(BrokenPipeError):
        deliver("a,b\n")
