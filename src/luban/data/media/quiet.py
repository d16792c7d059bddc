"""What decoders write to the terminal of files that are damaged or odd: nothing that a user could act on."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

SYMBOL = {"linux": "stderr", "darwin": "__stderrp"}.get(sys.platform)


class _Quiet:
    """Keeps warnings of Pillow, and what C libraries (libtiff, mpg123) print, off the terminal while a thread decodes.

    Filters of warnings, and the stream of the C library, belong to all threads: the first to enter sets them, the last
    to leave restores them. What Python prints does not go through that stream and is not touched. What a decoder makes
    of a damaged file is told by its error.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.filters = threading.Lock(), 0, warnings.catch_warnings()
        self.nowhere: int | None = None  # a stream of the C library that leads to the null device, opened once
        self.before: int | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            if not self.inside:
                self.filters = warnings.catch_warnings()
                self.filters.__enter__()
                warnings.filterwarnings("ignore", module="PIL")
                self.before = self._exchange(self._null_stream())
            self.inside += 1
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
                if not self.inside:
                    self._exchange(self.before)
                    self.filters.__exit__(None, None, None)

    def _null_stream(self) -> int | None:
        if self.nowhere is None and SYMBOL is not None:
            opening = ctypes.CDLL(None).fopen
            opening.restype = ctypes.c_void_p
            self.nowhere = opening(os.devnull.encode(), b"w")
        return self.nowhere

    def _exchange(self, stream: int | None) -> int | None:
        """Put a stream in the place of the C library's standard error; return what was there."""
        if stream is None or SYMBOL is None:
            return None
        try:
            place = ctypes.c_void_p.in_dll(ctypes.CDLL(None), SYMBOL)
        except ValueError:  # a C library without that name
            return None
        before, place.value = place.value, stream
        return before


quiet = _Quiet()
logging.getLogger("PIL").addHandler(logging.NullHandler())  # a program that asks for its messages still has them
