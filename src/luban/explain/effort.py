"""How much is tried to explain a row: counts that follow from how much one prediction computes, and never from a clock,
so that an explanation is the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

FEWEST_SAMPLES, MOST_SAMPLES = 40, 384  # that a method draws
MOST_SAMPLES_A_PART = 16
SAMPLES_A_PART = 6  # with fewer, words are put together into segments
FEWEST_PARTS = 8  # of fewer there are too few halves for one to stand out
FEWEST_POINTS, MOST_POINTS = 5, 16  # on the path of integrated gradients
MOST_STEPS = 5  # of the deletion curve
FEWEST_EDITS, MOST_EDITS = 4, 24  # words that the search for an edit tries to take out, or values of each column
FEWEST_WORDS = 2  # of the words


@dataclass(frozen=True)
class Effort:
    """Floating-point operations. samples: for the deletions that a method draws. path: for the gradients of integrated
    gradients, or what occlusion deletes. check: for the deletions of a check. edit: for those of the search for an
    edit."""

    samples: float
    path: float
    check: float
    edit: float

    def drawn(self, flops: float, parts: int) -> int:
        """Return how many deletions are drawn, a multiple of four: pairs in two halves. A deletion leaves half of the
        parts, so that it computes half of the prediction's flops. parts: that get a weight."""
        most = min(max(MOST_SAMPLES_A_PART * parts, FEWEST_SAMPLES), MOST_SAMPLES)
        return _within(FEWEST_SAMPLES, 2 * self.samples / flops, most) // 4 * 4

    def told_apart(self, flops: float) -> int:
        """Return how many parts, at most, can be told apart by what is drawn; even, so that they have two halves."""
        return max(FEWEST_PARTS, self.drawn(flops, MOST_SAMPLES) // SAMPLES_A_PART // 2 * 2)

    def deleted(self, flops: float) -> int:
        """Return how many parts, at most, can be deleted one by one."""
        return max(FEWEST_PARTS, int(self.path / flops))

    def points(self, flops: float) -> int:
        """Return the points of a path; a gradient computes as much as three predictions."""
        return _within(FEWEST_POINTS, self.path / (3 * flops), MOST_POINTS)

    def beside_samples(self) -> Effort:
        """Return the effort of a method that draws, which leaves less for the rest."""
        return replace(self, check=self.check / 2, edit=self.edit / 2)

    def steps(self, flops: float, orders: int) -> int:
        """Return the steps of a deletion curve of so many orders. flops: of one prediction."""
        return _within(1, self.check / (flops * orders), MOST_STEPS)

    def edits(self, flops: float, rounds: int, fewest: int = FEWEST_EDITS) -> int:
        """Return how many edits, of each kind, may be tried in each of the rounds of the search."""
        return _within(fewest, self.edit / (flops * rounds), MOST_EDITS)


THOROUGH = Effort(samples=250e9, path=150e9, check=150e9, edit=80e9)  # MiniLM on two cores: well under two seconds
BRIEF = Effort(
    samples=60e9, path=150e9, check=60e9, edit=25e9
)  # of each of the rows that a training explains by itself


def _within(low: int, found: float, high: int) -> int:
    return int(min(max(low, found), high))
