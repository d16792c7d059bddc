"""TensorBoard's event files, written under the run: the only place that imports TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from luban.core.events import (
    Evaluated,
    Event,
    Resumed,
    RunSaved,
    StepDone,
    Stopped,
    TrainingEnded,
    TrainingStarted,
    Validated,
)
from luban.report.trackers.base import StepAverages, Tracker, final_scores, flat, last_step

FOLDER = "tensorboard"
FLUSH_SECONDS = 10


class TensorBoard(Tracker):
    """A listener that writes curves and settings for `tensorboard --logdir RUN/tensorboard`."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder, self.settings = folder / FOLDER, settings
        self.note = f"curves: tensorboard --logdir {self.folder}"
        self.writer: SummaryWriter | None = None
        self.averages = StepAverages(0)
        self.step = 0

    def __call__(self, event: Event) -> None:
        match event:
            case TrainingStarted():
                self.averages = StepAverages(event.steps)
                rows = flat(self.settings | {"train": event.settings}).items()
                table = "\n".join(f"| {name} | {value.replace('|', '/')} |" for name, value in rows)
                self.opened().add_text("settings", f"| setting | value |\n|---|---|\n{table}")
            case Resumed():
                self.close()
                # What a kill left at later steps is hidden: these steps come again.
                self.writer = SummaryWriter(str(self.folder), purge_step=event.step, flush_secs=FLUSH_SECONDS)
            case StepDone():
                self.add(self.averages.add(event))
            case Validated():
                scores = {f"validation/{name}": value for name, value in event.scores.items()}
                self.add((last_step(event.step), scores))
            case TrainingEnded() | Stopped():
                self.add(self.averages.rest())
                if self.writer:
                    self.writer.flush()
            case Evaluated():
                self.add((self.step, final_scores(event.evaluation)))
            case RunSaved():
                self.close()

    def opened(self) -> SummaryWriter:
        """Return the writer; there is none before the training, so that a run that never began leaves no files."""
        if self.writer is None:
            self.writer = SummaryWriter(str(self.folder), flush_secs=FLUSH_SECONDS)
        return self.writer

    def add(self, point: tuple[int, Mapping[str, float]] | None) -> None:
        if point is None:
            return
        self.step, values = point
        for name, value in values.items():
            self.opened().add_scalar(name, value, self.step)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None
