"""Ctrl-C and SIGTERM during a training: noted at once, obeyed after the step under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass
class Interrupt:
    """number: of the signal that came, 0 for none."""

    number: int = 0

    @property
    def name(self) -> str:
        return SIGNALS[signal.Signals(self.number)]


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Note the first signal, leave a second Ctrl-C to Python; handlers can only be set in the main thread."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.number:
            raise KeyboardInterrupt
        interrupt.number = number

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
