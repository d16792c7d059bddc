"""Standard output and standard error, whose failures end nothing.

What a stream cannot encode is replaced, and a stream that is closed, full or read by nobody any more goes quiet.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable
from typing import TextIO, cast

from luban.core.errors import ArtifactError
from luban.core.shown import shown

QUIET = {errno.EPIPE, errno.EBADF}  # nobody reads: there is nothing to tell anybody


class Printer:
    """A text stream that goes quiet where the stream behind it fails, and replaces what that cannot encode.

    stream: None where the process has none. failure: what made it quiet, None while it prints.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.failure: Exception | None = OSError(errno.EBADF, "it is closed") if stream is None else None

    @property
    def encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write text where that is possible; return its length."""
        if not isinstance(text, str):
            raise TypeError("text is written here, and bytes elsewhere")
        if self.stream is not None and self.failure is None:
            try:
                try:
                    self.stream.write(text)
                except UnicodeEncodeError:
                    self.stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
            except (OSError, ValueError) as error:  # a ValueError says that the stream is closed
                self.fails(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.stream is not None and self.failure is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self.fails(error)

    def fails(self, error: Exception) -> None:
        """Go quiet, and say why on standard error where somebody may miss what is left out."""
        self.failure = error
        self.goes_nowhere()
        if self is sys.stdout and getattr(error, "errno", errno.EBADF) not in QUIET:
            sys.stderr.write(f"luban: what is printed cannot be written ({reason(error)}), and is left out.\n")

    def goes_nowhere(self) -> None:
        """Let what the stream still holds go nowhere, so that Python's own last flush succeeds."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream of a test has no descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast(TextIO, self.stream).fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        try:
            return self.stream is not None and self.failure is None and self.stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        if self.stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self.stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return False


def reason(error: Exception) -> str:
    """Return what an error of the operating system says, without its number."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def printer(stream: TextIO | None) -> TextIO:
    """Return a stream whose failures end nothing; the same one where it is such a stream already."""
    return cast(TextIO, stream if isinstance(stream, Printer) else Printer(stream))


def take_streams() -> None:
    """Make the process's standard streams such whose failures end nothing.

    A descriptor that is closed is opened on nothing first: the next file would get its number, and what a library or
    a compiler prints would go into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    sys.stdout, sys.stderr = printer(sys.stdout), printer(sys.stderr)


def deliver(text: str) -> None:
    """Write to standard output what a command was asked for, as UTF-8 where no terminal shows it.

    Raises ArtifactError where it cannot be written, BrokenPipeError where its reader has seen enough.
    """
    stream = printer(sys.stdout)
    assert isinstance(stream, Printer)
    stream.flush()
    buffer = None if stream.isatty() else getattr(stream.stream, "buffer", None)
    if stream.failure is None and buffer is not None:
        try:
            buffer.write(text.encode("utf-8", "surrogatepass"))
            buffer.flush()
        except (OSError, ValueError) as error:
            stream.failure = error
            stream.goes_nowhere()
    else:
        stream.write(shown(text, keep="\n\t"))
        stream.flush()
    if isinstance(stream.failure, BrokenPipeError):
        raise stream.failure
    if stream.failure is not None:
        raise ArtifactError(
            "standard output",
            expected="a stream that takes what is printed",
            found=f"'{reason(stream.failure)}'",
            action="Write to a file with -o, or mend what standard output is sent to",
        ) from stream.failure
