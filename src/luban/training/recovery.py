"""When a loss has gone astray, and what is done about it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from luban.core.errors import TrainingError
from luban.core.sentence import Sentence, sentence

WINDOW = 15  # steps whose median loss is looked at: single outliers do not end a run
FIRST = 10  # steps whose mean says where the loss began
RUNAWAY = 5.0  # times where it began, or chance
TRIES = 4
RATE_CUT = 0.5


class Diverging(Exception):  # noqa: N818 - raised by the loop for itself
    """A step whose loss or gradient cannot be used. is_batch: its batch may be at fault. rows: of it, by number."""

    def __init__(self, reason: Sentence, loss: float, *, is_batch: bool) -> None:
        super().__init__(reason)
        self.reason, self.loss, self.is_batch = reason, loss, is_batch
        self.rows: list[int] = []


@dataclass
class LossWatch:
    """What the losses so far say. chance: the loss of guessing, 0 where it is not known."""

    chance: float = 0.0
    first: list[float] = field(default_factory=list)
    window: list[float] = field(default_factory=list)

    def check(self, loss: float, grad_norm: float) -> Diverging | None:
        """Take the loss of a step in; return what is wrong where it or the gradient is not finite, or it runs away."""
        if not math.isfinite(loss):
            return Diverging(sentence("diverged.loss", "a loss of {loss}", loss=str(loss)), loss, is_batch=True)
        if not math.isfinite(grad_norm):
            found = sentence("diverged.gradient", "a gradient of norm {norm}", norm=str(grad_norm))
            return Diverging(found, loss, is_batch=True)
        if len(self.first) < FIRST:
            self.first = [*self.first, loss]
        self.window = [*self.window[1 - WINDOW :], loss]
        began = max(self.chance, statistics.fmean(self.first))
        if len(self.window) == WINDOW and statistics.median(self.window) > RUNAWAY * began > 0:
            found = sentence(
                "diverged.away", "a loss that runs away ({began:.3g} at first, {now:.3g} now)", began=began, now=loss
            )
            return Diverging(found, loss, is_batch=False)
        return None


@dataclass
class Recovery:
    """How often a run went back, and what it does differently since. skipped: steps whose batch is left out."""

    tries: int = 0
    rate_scale: float = 1.0
    skipped: list[int] = field(default_factory=list)

    def decide(self, found: Diverging, step: int, epoch: int, rate: float) -> Sentence:
        """Choose a remedy and say what it is for: the batch is left out once; after that the learning rate is cut.

        Raises TrainingError after too many tries.
        """
        self.tries += 1
        if self.tries > TRIES:
            raise TrainingError(
                f"training, epoch {epoch}, step {step}",
                expected="a finite loss that does not run away",
                found=f"{found.reason} at learning rate {rate:.2g}, for rows {shown(found.rows)}, "
                f"after {TRIES} returns to a checkpoint",
                action="Lower train.optim.learning_rate, or look at these rows for extreme numbers",
            )
        if found.is_batch and not self.skipped:
            self.skipped.append(step)
            return sentence(
                "diverged.skipped", "{reason}: back to the last checkpoint, this batch is left out", reason=found.reason
            )
        self.rate_scale *= RATE_CUT
        return sentence(
            "diverged.slowed",
            "{reason}: back to the start of the epoch, the learning rate is cut to {scale:.3g} of what was set",
            reason=found.reason,
            scale=self.rate_scale,
        )

    @property
    def from_epoch_start(self) -> bool:
        """Whether the last remedy begins at the start of an epoch, so that it does not depend on when a checkpoint
        happened to be written."""
        return self.rate_scale < 1.0


def shown(rows: Sequence[int], limit: int = 10) -> str:
    """Return row numbers for a message."""
    listed = ", ".join(str(row) for row in rows[:limit])
    return f"{listed} and {len(rows) - limit} more" if len(rows) > limit else listed
