"""How much is tried to explain a row: counts that follow from how much one prediction computes, and never from a clock,
so that an explanation is the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

MOST_STEPS = 5  # of the deletion curve
FEWEST_EDITS, MOST_EDITS = 4, 24  # words that the search for an edit tries to take out, or values of each column


@dataclass(frozen=True)
class Effort:
    """check, edit: floating-point operations for the deletions of a check, and for those of the search for an edit."""

    check: float
    edit: float

    def steps(self, flops: float, orders: int) -> int:
        """Return the steps of a deletion curve of so many orders. flops: of one prediction."""
        return _within(1, self.check / (flops * orders), MOST_STEPS)

    def edits(self, flops: float, rounds: int) -> int:
        """Return how many edits, of each kind, may be tried in each of the rounds of the search."""
        return _within(FEWEST_EDITS, self.edit / (flops * rounds), MOST_EDITS)


THOROUGH = Effort(check=150e9, edit=100e9)  # about a second for MiniLM on two cores
BRIEF = Effort(check=60e9, edit=25e9)  # of each of the rows that a training explains by itself


def _within(low: int, found: float, high: int) -> int:
    return int(min(max(low, found), high))
