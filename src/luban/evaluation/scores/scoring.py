"""Every score of a model with its interval, and how far two models are apart on the same rows.

What the interval of a metric rests on, the metric itself says (`Metric.interval`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from luban.evaluation.scores.bootstrap import RESAMPLES, weights_of_resamples
from luban.evaluation.scores.intervals import Score, Z, proportion, studentised, wilson
from luban.evaluation.scores.sampled import Rows, Units
from luban.tasks.base import Array, Floats, Metric

SOFT_SHARE = 0.25  # of their mass, where scores are of probabilities: each weighs there by how wrong it is
GRID = 10_001  # shares by which a score is turned into the one that it ascends with
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

    units: (rows,) which rows belong together, a document or a stretch of a series. These are resampled as wholes, and a
    share has the interval of as many rows as its variance is worth, too; of less than six units there is no interval.
    """
    rows = Rows.of(targets, (outputs,), seed, units)
    values = {metric.name: _value(metric, targets, outputs) for metric in metrics}
    found = {}
    kinds = ("bounded",) if units is None else ("bounded", "share")
    spread = _spread([metric for metric in metrics if metric.interval in kinds], rows, resamples, seed)
    for metric in metrics:
        value = values[metric.name]
        if rows.are_few:
            found[metric.name] = Score(value, math.nan, math.nan)
        elif metric.interval == "share" and units is None:
            found[metric.name] = _of_share(metric, value, targets, outputs)
        elif metric.interval in kinds:
            smoothed, variance = spread[metric.name]
            worth = smoothed * (1 - smoothed) / variance if variance > 0 else rows.num_units
            found[metric.name] = _of_worth(metric, value, worth / rows.scale)
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
    rows = Rows.of(targets, outputs, seed, units)
    found = {}
    pairs = list(zip(*metrics, strict=True))
    spread = _spread([pair for pair in pairs if pair[0].interval != "means"], rows, resamples, seed)
    for one, other in pairs:
        value = _value(other, targets, outputs[1]) - _value(one, targets, outputs[0])
        if rows.are_few:
            found[one.name] = Score(value, math.nan, math.nan)
        elif one.interval == "means":
            found[one.name] = _difference_of_means(one, other, value, rows)
        else:
            half = Z * math.sqrt(spread[one.name][1] * rows.scale)
            found[one.name] = Score(value, max(-1.0, value - half), min(1.0, value + half))
    return found


def mean_of(values: Floats, seed: int = 0) -> Score:
    """Return the mean of numbers of any size, (rows,), with the interval of the studentised bootstrap."""
    resamples = int(np.clip(1_000_000 // max(1, len(values)), 200, RESAMPLES))
    value = float(values.mean()) if len(values) else math.nan
    return _studentised(values[:, None].astype(np.float64), lambda means: means[:, 0], value, 1.0, resamples, seed)


def _value(metric: Metric, targets: Array, outputs: Floats) -> float:
    return float(metric.compute(targets, outputs, np.ones((1, len(targets))))[0])


def _spread(
    metrics: Sequence[Metric | tuple[Metric, Metric]], rows: Rows, resamples: int, seed: int
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
        for drawn_units in weights_of_resamples(rows.num_units, resamples if chosen else 0, seed, share * masses):
            weights = rows.of_rows(drawn_units)
            for pair in chosen:
                samples[pair[0].name].append(computed(pair, weights))
        whole = np.concatenate([np.ones(len(rows.targets)), share * masses])[None]
        for pair in chosen:
            drawn, score = np.concatenate(samples[pair[0].name]), computed(pair, whole)
            if len(pair) == 1:
                drawn, score = (_share_of(pair[0], values) for values in (drawn, score))
            drawn = drawn[~np.isnan(drawn)]
            found[pair[0].name] = (float(score[0]), float(drawn.var()) if len(drawn) else math.nan)
    return found


def _share_of(metric: Metric, scores: Floats) -> Floats:
    """Return the shares that scores ascend with; scores that are bounded alone as they are."""
    if metric.interval != "share":
        return scores
    assert metric.formula is not None
    shares = np.linspace(0, 1, GRID)
    return np.interp(scores, metric.formula(shares[:, None]), shares)


def _of_worth(metric: Metric, value: float, worth: float) -> Score:
    """Return Wilson's interval of a score, or of the share that it ascends with, that is worth so many rows."""
    if metric.interval != "share":
        return wilson(value, worth)
    assert metric.formula is not None
    share = wilson(float(_share_of(metric, np.array([value]))[0]), worth)
    low, high = metric.formula(np.array([[share.low], [share.high]])).tolist()
    return Score(value, low, high)


def _of_share(metric: Metric, value: float, targets: Array, outputs: Floats) -> Score:
    assert metric.counts is not None
    assert metric.formula is not None
    share = proportion(*metric.counts(targets, outputs))
    low, high = metric.formula(np.array([[share.low], [share.high]])).tolist()
    return Score(value, low, high)


def _of_means(metric: Metric, value: float, rows: Rows, resamples: int, seed: int) -> Score:
    formula, best, sign = rows.formula(metric), metric.best, -1.0 if metric.higher_is_better else 1.0

    def logged(means: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance: Floats = np.log(np.abs(best - formula(means)))
        return distance

    if metric.extremes is not None and value in (0.0, best):
        return _of_extreme(metric, value, rows)
    if value == best or math.isnan(value):
        return Score(value, value, value)
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


def _of_extreme(metric: Metric, value: float, rows: Rows) -> Score:
    """Return the interval of a score whose rows are all wrong, or all right: as many others may there be as of a share
    of none among so many rows."""
    assert metric.parts is not None
    assert metric.formula is not None
    assert metric.extremes is not None
    parts = metric.parts(rows.targets, rows.outputs[0])
    means, share = parts.mean(axis=0), proportion(0, rows.num_units).high
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


def _difference_of_means(one: Metric, other: Metric, value: float, rows: Rows) -> Score:
    mine, theirs = (rows.parts(own, rows.targets, said) for own, said in zip((one, other), rows.outputs, strict=True))
    width = mine.shape[1]

    def difference(means: Floats) -> Floats:
        return rows.formula(other)(means[:, width:]) - rows.formula(one)(means[:, :width])

    from scipy.stats import t as student  # takes long to import: not before the first step

    both = np.concatenate([mine, theirs], axis=1)
    pooled = np.tile((mine.mean(axis=0) + theirs.mean(axis=0)) / 2, 2)  # slopes as if the two were equal, as a test has
    (_,), (error,) = _Means.of(both, difference).estimates(np.ones((1, len(both))), pooled)
    half = float(student.ppf(0.975, max(1, len(both) - 1))) * float(error) * math.sqrt(rows.scale)
    if one.extremes is not None:  # a score between 0 and 1
        return Score(value, max(-1.0, value - half), min(1.0, value + half))
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
