"""Scores of predictions, each for many weightings of the rows at once.

Legend: R weightings (bootstrap resamples), `rows` rows, C classes or labels. A weight says how often a row counts, so
that a score under integer weights is the score of the rows repeated that often. A score that is not defined for a
weighting (ROC AUC with one class only) is NaN there, and a class that is absent from a weighting takes no part in a
mean over classes. Time and memory grow with R * rows; for `roc_auc` and `mean_average_precision` the time grows with
R * rows * C. Callers bound the memory by handing in few weightings at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from luban.tasks.base import Array, Floats, Metric

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Ranking = Callable[[Booleans, Floats, Floats, Floats], Floats]  # positive, scores, columns (rows, R), total (R,)

LABEL_THRESHOLD = 0.5  # a label is predicted from this probability on


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where the denominator is zero."""
    quotient: Floats = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def _mean_of_defined(values: Floats) -> Floats:
    """(R, C) -> (R,): the mean over the classes that are not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))


def _total(weights: Floats) -> Floats:
    return cast(Floats, weights.sum(axis=1))


def _class_sums(weights: Floats, classes: Integers, num_classes: int) -> Floats:
    """Return the weight of each class, (R, C); classes: (rows,), and rows of a negative class count for none."""
    from scipy.sparse import csr_array  # takes long to import: not before the first step

    rows = np.flatnonzero(classes >= 0)
    members = csr_array((np.ones(len(rows)), (classes[rows], rows)), shape=(num_classes, len(classes)))
    sums: Floats = (members @ weights.T).T
    return sums


def _class_counts(targets: Array, outputs: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the weight of the rows of each class that are found, that are its own, that are predicted: (R, C) each."""
    classes, predicted = targets.astype(np.int64), outputs.argmax(axis=1)
    num_classes = outputs.shape[1]
    found = _class_sums(weights, np.where(classes == predicted, classes, -1), num_classes)
    return found, _class_sums(weights, classes, num_classes), _class_sums(weights, predicted, num_classes)


def _label_counts(targets: Array, outputs: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """As `_class_counts`, where a row may have several labels: targets (rows, C) of 0 and 1."""
    present, predicted = targets.astype(np.float64), (outputs >= LABEL_THRESHOLD).astype(np.float64)
    return weights @ (present * predicted), weights @ present, weights @ predicted


def _f1(found: Floats, present: Floats, predicted: Floats) -> Floats:
    return _ratio(2 * found, present + predicted)


def accuracy(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The share of rows whose most probable class is theirs."""
    return _ratio(weights @ (outputs.argmax(axis=1) == targets).astype(np.float64), _total(weights))


def balanced_accuracy(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean over classes of the share of a class's rows that are found."""
    found, present, _ = _class_counts(targets, outputs, weights)
    return _mean_of_defined(_ratio(found, present))


def f1(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """F1 of the positive class, which is the second of two."""
    found, present, predicted = _class_counts(targets, outputs, weights)
    return _f1(found[:, 1], present[:, 1], predicted[:, 1])


def macro_f1(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean over classes of F1."""
    return _mean_of_defined(_f1(*_class_counts(targets, outputs, weights)))


def weighted_f1(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean over classes of F1, each class by its number of rows."""
    found, present, predicted = _class_counts(targets, outputs, weights)
    return _ratio((np.nan_to_num(_f1(found, present, predicted)) * present).sum(axis=1), present.sum(axis=1))


def log_loss(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean negative log probability of the right class, in nats."""
    return _ratio(weights @ log_losses(targets, outputs), _total(weights))


def log_losses(targets: Array, outputs: Floats) -> Floats:
    """The negative log probability of each row's class, (rows,), in nats."""
    smallest = np.finfo(outputs.dtype).eps
    right = outputs[np.arange(len(outputs)), targets.astype(np.int64)]
    losses: Floats = -np.log(np.clip(right, smallest, 1 - smallest).astype(np.float64))
    return losses


def _area_under_roc(positive: Booleans, scores: Floats, columns: Floats, total: Floats) -> Floats:
    """Return the share of pairs (a positive row, a negative row) in order, ties half.

    Mid-ranks over all rows count pairs of two positive rows as well: half the square of their weight is taken off.
    """
    order = np.argsort(scores, kind="stable")
    ranked, places = scores[order], np.flatnonzero(positive[order])
    own, tied = columns[order[places]], ranked[places]
    first, last = np.searchsorted(ranked, tied, "left"), np.searchsorted(ranked, tied, "right")
    below = _weight_below(columns, order, np.stack([first, last]))
    positives = own.sum(axis=0)
    wins = (own * (below[0] + below[1])).sum(axis=0) / 2 - positives**2 / 2
    return _ratio(wins, positives * (total - positives))


def _average_precision(positive: Booleans, scores: Floats, columns: Floats, total: Floats) -> Floats:
    """Return the sum over thresholds of precision times the gain in recall."""
    order = np.argsort(scores, kind="stable")
    ranked, places = scores[order], np.flatnonzero(positive[order])
    own, tied = columns[order[places]], ranked[places]
    positives = own.sum(axis=0)
    selected = total - _weight_below(columns, order, np.searchsorted(ranked, tied, "left"))
    found = positives - _weight_below(own, np.arange(len(own)), np.searchsorted(tied, tied, "left"))
    return _ratio((own * np.nan_to_num(_ratio(found, selected))).sum(axis=0), positives)


def _weight_below(columns: Floats, order: Integers, places: Integers) -> Floats:
    """Return the weight of the rows before each of the given places of an order, (*places.shape, R).

    columns: (rows, R). Only the sums between neighbouring places are formed, which a sparse product does in one pass.
    """
    from scipy.sparse import csr_array

    ends, inverse = np.unique(places, return_inverse=True)
    last = int(ends[-1])
    between = csr_array((np.ones(last), order[:last], np.append(0, ends)), shape=(len(ends), len(order)))
    below: Floats = np.cumsum(between @ columns, axis=0)[inverse]
    return below


def _mean_over_classes(ranking: Ranking, present: Booleans, outputs: Floats, weights: Floats) -> Floats:
    """(R,): the mean over classes of a ranking score of each class against the rest; present: (rows, C)."""
    columns = np.ascontiguousarray(weights.T, dtype=np.float64)
    total = _total(weights)
    scores = np.full((len(weights), outputs.shape[1]), np.nan)
    for label in np.flatnonzero(present.any(axis=0)):
        scores[:, label] = ranking(present[:, label], outputs[:, label], columns, total)
    return _mean_of_defined(scores)


def roc_auc(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The area under the ROC curve: of the second of two classes, or the mean over classes of one against the rest."""
    classes = range(1, 2) if outputs.shape[1] == 2 else range(outputs.shape[1])
    present: Booleans = np.stack([targets == label for label in classes], axis=1)
    return _mean_over_classes(_area_under_roc, present, outputs[:, list(classes)], weights)


def micro_f1(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """F1 over all labels of all rows."""
    found, present, predicted = _label_counts(targets, outputs, weights)
    return _f1(_total(found), _total(present), _total(predicted))


def label_macro_f1(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean over labels of F1, where a row may have several."""
    return _mean_of_defined(_f1(*_label_counts(targets, outputs, weights)))


def mean_average_precision(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean over labels of average precision."""
    return _mean_over_classes(_average_precision, targets.astype(np.bool_), outputs, weights)


def _errors(targets: Array, outputs: Floats) -> Floats:
    difference: npt.NDArray[np.floating[Any]] = outputs.astype(np.float64) - targets.astype(np.float64)
    return difference


def mse(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean squared error, in the target's unit squared."""
    return _ratio(weights @ _errors(targets, outputs) ** 2, _total(weights))


def rmse(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The root of the mean squared error, in the target's unit."""
    return cast(Floats, np.sqrt(mse(targets, outputs, weights)))


def mae(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The mean absolute error, in the target's unit."""
    return _ratio(weights @ np.abs(_errors(targets, outputs)), _total(weights))


def r2(targets: Array, outputs: Floats, weights: Floats) -> Floats:
    """The share of the targets' variance that is explained: 1 at best, 0 for their mean, negative for worse."""
    values = targets.astype(np.float64)
    values = values - values.mean()  # centred, so that the variance below loses no digits
    total = _total(weights)
    spread = weights @ values**2 - _ratio((weights @ values) ** 2, total)
    return 1 - _ratio(weights @ _errors(targets, outputs) ** 2, np.where(spread > 1e-12 * total, spread, 0.0))


def of_answers(metrics: tuple[Metric, ...], answers: Callable[[Floats], Floats]) -> tuple[Metric, ...]:
    """Return metrics that score other answers than those of the largest probability. answers: from outputs to outputs
    (rows, C) of 0 and 1; metrics of probabilities stay as they are."""

    def scored(metric: Metric) -> Metric:
        counts = metric.counts
        return replace(
            metric,
            compute=lambda targets, outputs, weights: metric.compute(targets, answers(outputs), weights),
            counts=None if counts is None else lambda targets, outputs: counts(targets, answers(outputs)),
        )

    return tuple(scored(metric) if metric.of_answers else metric for metric in metrics)


def _r2_parts(targets: Array, outputs: Floats) -> Floats:
    values = targets.astype(np.float64)
    values = values - values.mean()
    return np.stack([values, values**2, _errors(targets, outputs) ** 2], axis=1)


def _r2_of_means(means: Floats) -> Floats:
    return 1 - _ratio(means[:, 2], np.maximum(means[:, 1] - means[:, 0] ** 2, 0.0))


def _right(targets: Array, outputs: Floats) -> tuple[int, int]:
    return int((outputs.argmax(axis=1) == targets).sum()), len(targets)


def _found(targets: Array, outputs: Floats) -> tuple[int, int]:
    """The positive rows that are found, of those that are found, false or missed."""
    present, said = targets == 1, outputs.argmax(axis=1) == 1
    return int((present & said).sum()), int((present | said).sum())


def _first(means: Floats) -> Floats:
    return means[:, 0]


LOG_LOSS = Metric(
    "log_loss",
    log_loss,
    higher_is_better=False,
    of_answers=False,
    breaks_ties=True,
    interval="means",
    parts=lambda targets, outputs: log_losses(targets, outputs)[:, None],
    formula=_first,
)
ACCURACY = Metric("accuracy", accuracy, interval="share", counts=_right, formula=_first)
F1 = Metric("f1", f1, interval="share", counts=_found, formula=lambda shares: 2 * shares[:, 0] / (1 + shares[:, 0]))
BINARY = (
    ACCURACY,
    Metric("balanced_accuracy", balanced_accuracy),
    F1,
    Metric("roc_auc", roc_auc, of_answers=False),
    LOG_LOSS,
)
MULTICLASS = (
    ACCURACY,
    Metric("balanced_accuracy", balanced_accuracy),
    Metric("macro_f1", macro_f1),
    Metric("weighted_f1", weighted_f1),
    Metric("roc_auc", roc_auc, of_answers=False),
    LOG_LOSS,
)
MULTI_LABEL = (
    Metric("micro_f1", micro_f1),
    Metric("macro_f1", label_macro_f1),
    Metric("mAP", mean_average_precision, of_answers=False),
)
REGRESSION = (
    Metric(
        "mse",
        mse,
        higher_is_better=False,
        interval="means",
        parts=lambda targets, outputs: _errors(targets, outputs)[:, None] ** 2,
        formula=_first,
    ),
    Metric(
        "rmse",
        rmse,
        higher_is_better=False,
        interval="means",
        parts=lambda targets, outputs: _errors(targets, outputs)[:, None] ** 2,
        formula=lambda means: np.sqrt(np.maximum(means[:, 0], 0.0)),
    ),
    Metric(
        "mae",
        mae,
        higher_is_better=False,
        interval="means",
        parts=lambda targets, outputs: np.abs(_errors(targets, outputs))[:, None],
        formula=_first,
    ),
    Metric("r2", r2, interval="means", parts=_r2_parts, formula=_r2_of_means, best=1.0),
)
