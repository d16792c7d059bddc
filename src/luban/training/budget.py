"""How long a training is, and over which rows each of its steps goes: epochs or steps of so many rows or tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from luban.core.sentence import Sentence, sentence
from luban.training.loader import Rows, epoch_batches, num_batches, token_batches, token_counts
from luban.training.recipe import TrainConfig


@dataclass(frozen=True, eq=False)
class Budget:
    """What the settings of a training come to on its rows.

    lengths: (rows,) tokens and frames of each training row, 1 where rows have no length. config: completed by the
    recipe, the batch size settled.
    """

    lengths: Rows
    config: TrainConfig
    seed: int = 0

    @cached_property
    def steps_per_epoch(self) -> int:
        """The same for every epoch; with `train.steps` the last may be cut short."""
        if self.config.batch_tokens:
            return len(self._counts)
        return num_batches(len(self.lengths), self.config.rows_per_step)

    @property
    def steps(self) -> int:
        """Of the optimizer, if the training is not stopped early."""
        if self.config.steps:
            return self.config.steps
        assert self.config.epochs
        return self.config.epochs * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """That are begun, if the training is not stopped early."""
        return -(-self.steps // self.steps_per_epoch)

    @property
    def rows_per_step(self) -> int:
        """The batch size; the mean of an epoch where batches are of so many tokens."""
        if self.config.batch_tokens:
            return max(1, round(len(self.lengths) / self.steps_per_epoch))
        return self.config.rows_per_step

    @property
    def longest_part(self) -> int:
        """Tokens of the longest forward pass of an epoch; rows, where they have no length."""
        if self.config.batch_tokens:
            largest = max(batch.sum() for batch in np.split(np.sort(self.lengths), np.cumsum(self._counts)[:-1]))
            return int(max(-(-largest // self.config.accumulate), self.lengths.max()))
        rows = -(-self.rows_per_step // self.config.accumulate)
        return int(np.sort(self.lengths)[-rows:].sum())

    @property
    def validations(self) -> int:
        """After epochs and between them, if the training is not stopped early."""
        every, each = self.config.validate_every, self.steps_per_epoch
        if not every:
            return self.epochs
        both = self.steps // int(np.lcm(every, each))
        last = bool(self.steps % each) and not self.steps % every  # an end that is not an epoch's, counted twice
        return self.epochs + self.steps // every - both - last

    def is_validation_due(self, step: int) -> bool:
        """Whether the settings ask for a validation after so many steps, beside that at the end of the epoch."""
        return bool(self.config.validate_every) and step % (self.config.validate_every or 1) == 0

    def batches(self, epoch: int, *, group: bool | None = None) -> list[Rows]:
        """Return the rows of each step of a whole epoch. group: rows of like length; None for what the settings say."""
        if self.config.batch_tokens:
            return token_batches(self.lengths, self.config.batch_tokens, self.seed, epoch)
        if group is None:
            group = self.config.group_by_length and int(np.ptp(self.lengths)) > 0
        return epoch_batches(self.lengths, self.config.rows_per_step, self.seed, epoch, group=group)

    def notes(self) -> Iterator[Sentence]:
        """Say which rows do not keep to the settings."""
        tokens = self.config.batch_tokens
        if tokens and (longer := int((self.lengths > tokens).sum())):
            yield sentence(
                "budget.longer",
                "{rows:count row} {rows:do are} longer than train.batch_tokens ({tokens:,}): a batch of its own each",
                rows=longer,
                tokens=tokens,
            )

    @cached_property
    def _counts(self) -> Rows:
        assert self.config.batch_tokens
        return token_counts(np.sort(self.lengths), self.config.batch_tokens)
