"""Every score of a model with its interval, and how far two models are apart on the same rows.

What the interval of a metric rests on, the metric itself says (`Metric.interval`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from luban.data.draw import sample_rows
from luban.evaluation.scores.bootstrap import MAX_ROWS, RESAMPLES, weights_of_resamples
from luban.evaluation.scores.intervals import HALF, Score, Z, proportion, studentised, wilson
from luban.tasks.base import Array, Floats, Metric

Units = npt.NDArray[np.int64]

COPIES = 256  # pseudo-observations, about
SOFT_SHARE = 0.25  # of their mass, where scores are of probabilities: each weighs there by how wrong it is
STEP = 1e-5  # of a standard deviation: where slopes are measured


def score_rows(
    metrics: Sequence[Metric],
    targets: Array,
    outputs: Floats,
    resamples: int = RESAMPLES,
    seed: int = 0,
    units: Units | None = None,
) -> dict[str, Score]:
    """Return the score by each metric, with its 95 % interval. targets, outputs: rows first, as the task makes them.

    A share has Wilson's interval, and so has what ascends with one, as F1 of one class does. So has another score
    between 0 and 1, with as many rows as its variance is worth: that of resamples of the rows and of
    pseudo-observations beside them, without which a perfect score would have none. Functions of means have the
    studentised bootstrap's, on the scale of the logarithm of their distance from the best score, of numbers widened to
    what the plain scale says.

    units: (rows,) which rows belong together, a document or a stretch of a series: functions of means are then
    resampled by units, as ratios of their sums. Shares and bounded scores are taken by rows.
    """
    rows = _Rows.of(targets, (outputs,), seed, units)
    values = {metric.name: _value(metric, targets, outputs) for metric in metrics}
    found = {}
    spread = _spread([metric for metric in metrics if metric.interval == "bounded"], rows, resamples, seed)
    for metric in metrics:
        value = values[metric.name]
        if metric.interval == "share":
            found[metric.name] = _of_share(metric, value, targets, outputs)
        elif metric.interval == "bounded":
            smoothed, variance = spread[metric.name]
            worth = smoothed * (1 - smoothed) / variance if variance > 0 else len(rows.targets)
            found[metric.name] = wilson(value, worth / rows.scale)
        else:
            found[metric.name] = _of_means(metric, value, rows, resamples, seed)
    return {metric.name: found[metric.name] for metric in metrics}


def compare_rows(
    metrics: tuple[Sequence[Metric], Sequence[Metric]],
    targets: Array,
    outputs: tuple[Floats, Floats],
    resamples: int = RESAMPLES,
    seed: int = 0,
    units: Units | None = None,
) -> dict[str, Score]:
    """Return by how much the second of two models scores higher than the first on the same rows, with 95 % intervals.

    metrics: of the same names, at each one's own threshold. Of scores between 0 and 1 the interval is the normal one,
    with the spread of resamples of the rows and of pseudo-observations of either model: of shares that is Bonett and
    Price's (2012). Of functions of means it is Student's, by the delta method. units: as `score_rows` takes them.
    """
    rows = _Rows.of(targets, outputs, seed, units)
    found = {}
    pairs = list(zip(*metrics, strict=True))
    spread = _spread([pair for pair in pairs if pair[0].interval != "means"], rows, resamples, seed)
    for one, other in pairs:
        value = _value(other, targets, outputs[1]) - _value(one, targets, outputs[0])
        if one.interval == "means":
            found[one.name] = _difference_of_means(one, other, value, rows)
        else:
            half = Z * math.sqrt(spread[one.name][1] * rows.scale)
            found[one.name] = Score(value, max(-1.0, value - half), min(1.0, value + half))
    return found


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows that are resampled, at most 8,000 of all. scale: the share of all rows that they are, by which variances
    shrink (Politis, Romano and Wolf, Subsampling, 1999, section 2.2). units: that rows belong to; all rows are taken
    then."""

    targets: Array
    outputs: tuple[Floats, ...]
    scale: float
    seed: int
    units: Units | None = None

    @classmethod
    def of(cls, targets: Array, outputs: tuple[Floats, ...], seed: int, units: Units | None) -> _Rows:
        if units is not None:
            return cls(targets, outputs, 1.0, seed, np.unique(units, return_inverse=True)[1].reshape(-1))
        chosen = sample_rows(len(targets), MAX_ROWS, np.random.default_rng(seed))
        scale = len(chosen) / max(1, len(targets))
        if len(chosen) < len(targets):
            targets, outputs = targets[chosen], tuple(found[chosen] for found in outputs)
        return cls(targets, outputs, scale, seed)

    @property
    def is_one_unit(self) -> bool:
        """Whether nothing tells how far other rows would be off."""
        return self.units is not None and not self.units.any()

    def parts(self, metric: Metric, targets: Array, outputs: Floats) -> Floats:
        """Return what a metric is made of, (rows, K), or the sums of units and their sizes, (units, K + 1)."""
        assert metric.parts is not None
        found = metric.parts(targets, outputs)
        if self.units is None:
            return found
        sums = np.zeros((int(self.units.max()) + 1, found.shape[1] + 1))
        np.add.at(sums, self.units, np.concatenate([found, np.ones((len(found), 1))], axis=1))
        return sums

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


def mean_of(values: Floats, seed: int = 0) -> Score:
    """Return the mean of numbers of any size, (rows,), with the interval of the studentised bootstrap."""
    resamples = int(np.clip(1_000_000 // max(1, len(values)), 200, RESAMPLES))
    value = float(values.mean()) if len(values) else math.nan
    return _studentised(values[:, None].astype(np.float64), lambda means: means[:, 0], value, 1.0, resamples, seed)


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


def _value(metric: Metric, targets: Array, outputs: Floats) -> float:
    return float(metric.compute(targets, outputs, np.ones((1, len(targets))))[0])


def _spread(
    metrics: Sequence[Metric | tuple[Metric, Metric]], rows: _Rows, resamples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return by metric, or by pair of them their difference, the score and its variance over resamples, in which
    pseudo-observations are drawn, too."""
    found: dict[str, tuple[float, float]] = {}
    targets, outputs, masses = rows.with_pseudo_observations
    pairs = [(metric if isinstance(metric, tuple) else (metric,)) for metric in metrics]

    def computed(pair: tuple[Metric, ...], weights: Floats) -> Floats:
        scores = [metric.compute(targets, mine, weights) for metric, mine in zip(pair, outputs, strict=True)]
        return scores[-1] - scores[0] if len(scores) > 1 else scores[0]

    for of_answers, share in ((True, 1.0), (False, SOFT_SHARE)):
        chosen = [pair for pair in pairs if pair[0].of_answers == of_answers]
        samples: dict[str, list[Floats]] = {pair[0].name: [] for pair in chosen}
        for weights in weights_of_resamples(len(rows.targets), resamples if chosen else 0, seed, share * masses):
            for pair in chosen:
                samples[pair[0].name].append(computed(pair, weights))
        whole = np.concatenate([np.ones(len(rows.targets)), share * masses])[None]
        for pair in chosen:
            drawn = np.concatenate(samples[pair[0].name])
            drawn = drawn[~np.isnan(drawn)]
            found[pair[0].name] = (float(computed(pair, whole)[0]), float(drawn.var()) if len(drawn) else math.nan)
    return found


def _of_share(metric: Metric, value: float, targets: Array, outputs: Floats) -> Score:
    assert metric.counts is not None
    assert metric.formula is not None
    share = proportion(*metric.counts(targets, outputs))
    low, high = metric.formula(np.array([[share.low], [share.high]])).tolist()
    return Score(value, low, high)


def _of_means(metric: Metric, value: float, rows: _Rows, resamples: int, seed: int) -> Score:
    formula, best, sign = rows.formula(metric), metric.best, -1.0 if metric.higher_is_better else 1.0

    def logged(means: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance: Floats = np.log(np.abs(best - formula(means)))
        return distance

    if metric.extremes is not None and value in (0.0, best):
        return _of_extreme(metric, value, rows)
    if value == best or math.isnan(value):
        return Score(value, value, value)
    if rows.is_one_unit:
        return Score(value, math.nan, math.nan)
    targets, outputs, masses = rows.with_pseudo_observations
    parts, added = rows.parts(metric, targets, outputs[0]), masses * SOFT_SHARE
    found = _studentised(parts, logged, math.log(abs(best - value)), rows.scale, resamples, seed, added)
    # Where one row outweighs all others by far, most resamples lack it and their pivots know no bounds.
    # Pseudo-observations stand for mistakes of a kind not met so far; without them, every second row may be the worst.
    count = len(parts) - len(masses)
    share = proportion(0, count).high if len(masses) else 0.5
    furthest = max(math.log(abs(best - value)), _log_of_worst(parts, count, share, logged))
    ends = sorted(best + sign * math.exp(min(end, furthest)) for end in (found.low, found.high))
    if not len(masses):  # no pseudo-observations stand for the tail that few rows do not show
        plain = _studentised(parts, formula, value, rows.scale, resamples, seed)
        ends = [np.nanmin([ends[0], plain.low]), np.nanmax([ends[1], plain.high])]
        far = best + sign * math.exp(furthest)
        ends = [max(ends[0], far), min(ends[1], best)] if sign < 0 else [max(ends[0], best), min(ends[1], far)]
    return Score(value, float(ends[0]), float(ends[1]))


def _of_extreme(metric: Metric, value: float, rows: _Rows) -> Score:
    """Return the interval of a score whose rows are all wrong, or all right: as many others may there be as of a share
    of none among so many rows."""
    assert metric.parts is not None
    assert metric.formula is not None
    assert metric.extremes is not None
    parts = metric.parts(rows.targets, rows.outputs[0])
    means, share = parts.mean(axis=0), proportion(0, len(parts)).high
    wrong, right = metric.extremes(means)
    other = right if value == 0 else wrong
    end = float(metric.formula(((1 - share) * means + share * other)[None])[0])
    return Score(value, min(value, end), max(value, end))


def _log_of_worst(parts: Floats, rows: int, share: float, logged: Callable[[Floats], Floats]) -> float:
    """Return the logarithm of the distance from the best score if a share of the rows were as bad as the worst. parts:
    (N, K), of which the first `rows` are observed."""
    found = logged((1 - share) * parts[:rows].mean(axis=0) + share * parts)
    found = found[np.isfinite(found)]
    return float(found.max()) if len(found) else -math.inf


def _difference_of_means(one: Metric, other: Metric, value: float, rows: _Rows) -> Score:
    mine, theirs = (rows.parts(own, rows.targets, said) for own, said in zip((one, other), rows.outputs, strict=True))
    width = mine.shape[1]

    def difference(means: Floats) -> Floats:
        return rows.formula(other)(means[:, width:]) - rows.formula(one)(means[:, :width])

    if rows.is_one_unit:
        return Score(value, math.nan, math.nan)
    from scipy.stats import t as student  # takes long to import: not before the first step

    both = np.concatenate([mine, theirs], axis=1)
    pooled = np.tile((mine.mean(axis=0) + theirs.mean(axis=0)) / 2, 2)  # slopes as if the two were equal, as a test has
    (_,), (error,) = _Means.of(both, difference).estimates(np.ones((1, len(both))), pooled)
    half = float(student.ppf(0.975, max(1, len(both) - 1))) * float(error) * math.sqrt(rows.scale)
    return Score(value, value - half, value + half)


@dataclass(frozen=True, eq=False)
class _Means:
    """A function of means over rows. columns: (rows, K), standardised by centre and unit; products: of each pair of
    columns. degrees: of freedom of a variance."""

    columns: Floats
    products: Floats
    centre: Floats
    unit: Floats
    formula: Callable[[Floats], Floats]
    degrees: int

    @classmethod
    def of(cls, parts: Floats, formula: Callable[[Floats], Floats], added: int = 0) -> _Means:
        """parts: (rows, K); added: how many of them, the last ones, are pseudo-observations."""
        centre, spread = parts.mean(axis=0), parts.std(axis=0)
        unit = np.where(spread > 0, spread, 1.0)
        columns = (parts - centre) / unit
        products = (columns[:, :, None] * columns[:, None, :]).reshape(len(parts), -1)
        return cls(columns, products, centre, unit, formula, max(1, len(parts) - added - 1))

    def estimates(self, weights: Floats, slopes_at: Floats | None = None) -> tuple[Floats, Floats]:
        """Return the function on weighted rows, and its standard errors by the delta method, (R,) each.

        slopes_at: (K,) means at which the function's slopes are taken, in place of those of the rows.
        """
        width = self.columns.shape[1]
        total = weights.sum(axis=1, keepdims=True)
        means = weights @ self.columns / total
        squares = (weights @ self.products / total).reshape(-1, width, width)
        covariance = squares - means[:, :, None] * means[:, None, :]
        base = means if slopes_at is None else np.tile((slopes_at - self.centre) / self.unit, (len(means), 1))
        steps = STEP * np.eye(width)
        with np.errstate(invalid="ignore"):  # where the function is not defined; such resamples are passed over
            slopes = np.stack([(self._at(base + step) - self._at(base - step)) / (2 * STEP) for step in steps], axis=1)
        variance = np.einsum("ri,rij,rj->r", slopes, covariance, slopes)
        return self._at(means), np.sqrt(np.maximum(variance, 0) / self.degrees)

    def _at(self, means: Floats) -> Floats:
        return self.formula(self.centre + means * self.unit)


def _studentised(
    parts: Floats,
    formula: Callable[[Floats], Floats],
    value: float,
    scale: float,
    resamples: int,
    seed: int,
    masses: npt.NDArray[np.float64] | None = None,
) -> Score:
    """Return the interval of a function of means. parts: (rows, K). masses: of the pseudo-observations at their end."""
    added = np.zeros(0) if masses is None else masses
    count = len(parts) - len(added)
    means = _Means.of(parts, formula, len(added))
    (middle,), (error,) = means.estimates(np.concatenate([np.ones(count), added])[None])
    drawn = [means.estimates(weights) for weights in weights_of_resamples(count, resamples, seed, added)]
    estimates, errors = (np.concatenate(found) for found in zip(*drawn, strict=True))
    return studentised(value, float(error) * math.sqrt(scale), estimates, errors, float(middle))
