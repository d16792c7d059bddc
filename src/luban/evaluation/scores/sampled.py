"""The rows that scores are resampled over: units of them, and pseudo-observations beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from luban.data.draw import sample_rows
from luban.evaluation.scores.bootstrap import MAX_ROWS
from luban.evaluation.scores.intervals import HALF
from luban.tasks.base import Array, Floats, Metric

MIN_UNITS = 6  # below, resamples of units say less than nothing of how far others may be off
COPIES = 256  # pseudo-observations, about
Units = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that are resampled, at most 8,000 of all. scale: the share of all rows that they are, by which variances
    shrink (Politis, Romano and Wolf, Subsampling, 1999, section 2.2). units: that rows belong to; all rows are taken
    then."""

    targets: Array
    outputs: tuple[Floats, ...]
    scale: float
    seed: int
    units: Units | None = None

    @classmethod
    def of(cls, targets: Array, outputs: tuple[Floats, ...], seed: int, units: Units | None) -> Rows:
        if units is not None:
            return cls(targets, outputs, 1.0, seed, np.unique(units, return_inverse=True)[1].reshape(-1))
        chosen = sample_rows(len(targets), MAX_ROWS, np.random.default_rng(seed))
        scale = len(chosen) / max(1, len(targets))
        if len(chosen) < len(targets):
            targets, outputs = targets[chosen], tuple(found[chosen] for found in outputs)
        return cls(targets, outputs, scale, seed)

    @property
    def are_few(self) -> bool:
        """Whether the units are so few that their resamples tell nothing."""
        return self.units is not None and self.num_units < MIN_UNITS

    def parts(self, metric: Metric, targets: Array, outputs: Floats) -> Floats:
        """Return what a metric is made of, (rows, K), or the sums of units and their sizes, (units, K + 1); of pseudo-
        observations behind the rows each is a unit of mean size."""
        assert metric.parts is not None
        found = metric.parts(targets, outputs)
        if self.units is None:
            return found
        found, count = np.concatenate([found, np.ones((len(found), 1))], axis=1), len(self.units)
        sums = np.zeros((self.num_units, found.shape[1]))
        np.add.at(sums, self.units, found[:count])
        return np.concatenate([sums, found[count:] * (count / len(sums))])

    @property
    def num_units(self) -> int:
        """How many are drawn in a resample."""
        return len(self.targets) if self.units is None else int(self.units.max()) + 1

    def of_rows(self, weights: Floats) -> Floats:
        """Return the weights of rows, from those of units; of pseudo-observations they are as they were."""
        if self.units is None:
            return weights
        return np.concatenate([weights[:, self.units], weights[:, self.num_units :]], axis=1)

    def formula(self, metric: Metric) -> Callable[[Floats], Floats]:
        """Return what makes scores of the means of `parts`."""
        assert metric.formula is not None
        own = metric.formula
        return own if self.units is None else lambda means: own(means[:, :-1] / means[:, -1:])

    @cached_property
    def with_pseudo_observations(self) -> tuple[Array, tuple[Floats, ...], npt.NDArray[np.float64]]:
        """Targets and outputs with pseudo-observations after the rows, and their masses: each model's in turn."""
        own, others, masses = pseudo_observations(self.targets, self.outputs[0], self.seed)
        if not len(own):
            return self.targets, self.outputs, masses
        count = len(self.outputs)
        targets = np.concatenate([self.targets, *[self.targets[own]] * count])
        outputs = []
        for place, mine in enumerate(self.outputs):
            swapped = _swapped(mine, own, others)
            outputs.append(np.concatenate([mine, *(swapped if turn == place else mine[own] for turn in range(count))]))
        return targets, tuple(outputs), np.tile(masses, count)


def pseudo_observations(
    targets: Array, outputs: Floats, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | tuple[npt.NDArray[np.int64], ...], npt.NDArray[np.float64]]:
    """Choose rows of each class, and for each a row of another class whose outputs stand for its own.

    Returns their positions, those of the others (of several labels a row with the label that is exchanged), and masses,
    which sum to half a row a class: the half row of each kind that Jeffreys' prior adds to a share. Empty where rows
    have no classes, or one only.
    """
    none = np.zeros(0, np.int64)
    if outputs.ndim != 2:
        return none, none, np.zeros(0)
    rng = np.random.default_rng(seed)
    labels = targets.T if targets.ndim == 2 else targets[None]
    classes = [np.unique(label) for label in labels]
    each = max(1, COPIES // max(1, sum(len(found) for found in classes)))
    own, others, places, masses = [], [], [], []
    for place, (label, found) in enumerate(zip(labels, classes, strict=True)):
        if len(found) < 2:
            continue
        for name in found:
            inside, outside = np.flatnonzero(label == name), np.flatnonzero(label != name)
            count = min(each, len(inside))
            own.append(rng.choice(inside, count, replace=False))
            others.append(rng.choice(outside, count))
            places.append(np.full(count, place))
            masses.append(np.full(count, HALF / count))
    if not own:
        return none, none, np.zeros(0)
    theirs = np.concatenate(others)
    return (
        np.concatenate(own),
        (theirs, np.concatenate(places)) if targets.ndim == 2 else theirs,
        np.concatenate(masses),
    )


def _swapped(
    outputs: Floats,
    own: npt.NDArray[np.int64],
    others: npt.NDArray[np.int64] | tuple[npt.NDArray[np.int64], ...],
) -> Floats:
    if not isinstance(others, tuple):
        return outputs[others]
    rows, labels = others
    changed = outputs[own].copy()
    changed[np.arange(len(own)), labels] = outputs[rows, labels]
    return changed
