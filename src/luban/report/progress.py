"""How far a training is, how fast and how large: the numbers behind the live line, and the line itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from luban.core.events import StepDone
from luban.core.machine.resources import device_memory, resident_memory

LOSS_MEMORY = 0.95  # of the moving average that is shown
LABEL_WIDTH = 11
MAX_BAR, MIN_BAR = 18, 6  # columns
CHECKPOINT_RANK = 5  # of the piece that gives way to the bar


@dataclass(frozen=True)
class Piece:
    """A part of a line that may be left out where the line is too short. rank: the highest is left out first."""

    text: str
    rank: int


def fitted(pieces: list[Piece], width: int, separator: str = "  ") -> str:
    """Return the pieces that fit into `width` columns, in their order, cut where even the first does not."""
    kept = list(pieces)
    while len(kept) > 1 and len(separator.join(piece.text for piece in kept)) > width:
        kept.remove(max(kept, key=lambda piece: piece.rank))
    return separator.join(piece.text for piece in kept)[: max(width, 0)]


class Pace:
    """Steps, rows and time of this process alone, so that a resumed run neither gains nor loses by the earlier one.

    clock: seconds. Time that passes before a validation or a checkpoint ends is not the throughput's, but it is part
    of the time that is left.
    """

    def __init__(self, epochs: int, steps: int, clock: Callable[[], float]) -> None:
        self.epochs, self.total, self.clock = epochs, steps, clock
        self.started = self.last = clock()
        self.training_seconds = 0.0
        self.steps = self.rows = self.tokens = 0
        self.epoch, self.next_step = 1, 0
        self.loss: float | None = None
        self.checkpoint: int | None = None

    def step(self, event: StepDone) -> None:
        now = self.clock()
        self.training_seconds += now - self.last
        self.last = now
        self.steps += 1
        self.rows += event.rows
        self.tokens += event.tokens
        self.epoch, self.next_step = event.epoch, event.step + 1
        if math.isfinite(event.loss):  # one that is not would stay in the average for good
            self.loss = event.loss if self.loss is None else LOSS_MEMORY * self.loss + (1 - LOSS_MEMORY) * event.loss

    def pause(self) -> None:
        """What passed since the last step was not spent on training."""
        self.last = self.clock()

    def seconds_left(self) -> float | None:
        """Return the seconds to the last step, validations included; None before the first step."""
        if not self.steps:
            return None
        return (self.clock() - self.started) / self.steps * max(0, self.total - self.next_step)

    def loss_text(self) -> str:
        return "" if self.loss is None else f"loss {self.loss:.4f}"

    def speed_texts(self) -> list[str]:
        """Return rows a second, and tokens a second where the rows are packed."""
        if not self.training_seconds:
            return []
        texts = [f"{self.rows / self.training_seconds:,.0f} rows/s"]
        if self.tokens != self.rows:
            texts.append(f"{short(self.tokens / self.training_seconds)} tok/s")
        return texts

    def left_text(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f"{clock_time(left)} left"

    def pieces(self) -> list[Piece]:
        """Return what there is to say, in order."""
        left = self.left_text()
        speeds = self.speed_texts()
        saved = "" if self.checkpoint is None else f"saved at {self.checkpoint:,}"
        memory = memory_texts()
        texts = [
            Piece(self.loss_text(), 0),
            Piece(speeds[0] if speeds else "", 2),
            Piece(speeds[1] if len(speeds) > 1 else "", 4),
            Piece(left, 1),
            *(Piece(text, 3) for text in memory),
            Piece(saved, CHECKPOINT_RANK),
        ]
        return [piece for piece in texts if piece.text]


class LiveLine:
    """The one line that changes while a network trains; it never wraps."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        label, pieces = f"epoch {self.pace.epoch}", self.pace.pieces()
        text = fitted(pieces, options.max_width - LABEL_WIDTH - MIN_BAR - 3)
        bar = min(MAX_BAR, options.max_width - LABEL_WIDTH - len(text) - 3)
        grid = Table.grid(padding=(0, 1))
        cells: list[RenderableType] = [Text(label, "bold cyan")]
        if any(piece.rank < CHECKPOINT_RANK and piece.text not in text for piece in pieces):
            text = fitted(pieces, options.max_width - len(label) - 2)  # what is said is worth more than the bar
            grid.add_column(width=len(label), no_wrap=True)
        else:
            grid.add_column(width=LABEL_WIDTH, no_wrap=True)
            grid.add_column(width=bar)
            cells.append(ProgressBar(self.pace.total or 1, self.pace.next_step, width=bar))
        grid.add_column(no_wrap=True)
        grid.add_row(*cells, Text(text))
        yield grid


def memory_texts() -> list[str]:
    """Return the memory of the process, and of the accelerator, where the system tells them."""
    resident, device = resident_memory(), device_memory()
    texts = [] if resident is None else [gigabytes(resident)]
    return [*texts, f"GPU {gigabytes(device)}"] if device else texts


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def short(count: float) -> str:
    """Return a count in at most four characters and its unit."""
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 100 * size else f"{count / size:.0f} {unit}"
    return f"{count:.0f}"


def clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
