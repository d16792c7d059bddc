"""A run under way: what its stages share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from luban.config import RunConfig
from luban.core import events
from luban.core.artifact import RunDirectory
from luban.core.events import Event, Listener


@dataclass
class Run:
    """Its settings, its directory, who listens, and how long each stage took."""

    config: RunConfig
    directory: RunDirectory
    listeners: Sequence[Listener]
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def note(self, stage: str, *texts: str, warning: bool = False) -> None:
        for text in texts:
            self.tell(events.Noted(stage, text, warning))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)
