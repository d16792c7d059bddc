"""Confident learning: which labels a model doubts that never saw them (Northcutt, Jiang and Chuang 2021,
"Confident Learning: Estimating Uncertainty in Dataset Labels", arXiv:1911.00068)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from luban.features.plain.matrix import DENSE_C, SPARSE_C

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
FOLDS = 3
MAX_CLASSES = 500
SPARSE_PASSES, DENSE_STEPS = 5, 25  # measured on banking77: five passes rank as well as thirty
FITTED_ROWS = 30_000  # at most, of each fold: what more rows add to a linear model hardly moves the ranking
SMALLEST = 1e-9


@dataclass(frozen=True)
class Doubts:
    """order: all rows, the most doubtful label first. suggested: (rows,) the likeliest other class.
    probability: (rows,) of it. is_suspect: (rows,) whether the row is off the diagonal of the confident joint.
    odds: (rows,) of the suggested class against the given one."""

    order: Codes
    suggested: Codes
    probability: Floats
    is_suspect: npt.NDArray[np.bool_]
    odds: Floats


def doubt(probabilities: Floats, labels: Codes) -> Doubts:
    """Rank labels by out-of-sample probabilities, (rows, classes).

    A row is suspect where its likeliest class is another one, and as likely as that class is, on average, in the rows
    that have it as their label (the thresholds of the confident joint, section 3.1). The order is that of the
    log-odds of the given label against the likeliest other one.
    """
    rows = np.arange(len(labels))
    given = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    probability = others[rows, suggested]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    thresholds = np.bincount(labels, weights=given, minlength=probabilities.shape[1]) / np.maximum(counts, 1)
    odds = np.maximum(probability, SMALLEST) / np.maximum(given, SMALLEST)
    is_suspect = (probability >= thresholds[suggested]) & (probability > given)
    return Doubts(np.argsort(-odds, kind="stable"), suggested, probability, is_suspect, odds)


def out_of_fold(matrix: Any, labels: Codes, num_classes: int, seed: int) -> Floats:
    """Return (rows, classes) probabilities of multinomial logistic regression, each row from a fit without it.

    matrix: (rows, D), sparse or dense. The fit is stopped early: a ranking does not need the optimum.
    """
    from scipy.sparse import issparse
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(labels), num_classes))
    fold_of = folds(labels, seed)
    for fold in range(FOLDS):
        train, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if len(train) > FITTED_ROWS:
            train = np.sort(np.random.default_rng([seed, fold]).permutation(train)[:FITTED_ROWS])
        present = np.unique(labels[train])
        if len(present) < 2:
            found[held, present[0]] = 1
            continue
        if issparse(matrix):
            model = LogisticRegression(C=SPARSE_C, solver="saga", max_iter=SPARSE_PASSES, random_state=seed)
        else:
            model = LogisticRegression(C=DENSE_C, max_iter=DENSE_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(matrix[train], labels[train])
        found[held[:, None], model.classes_[None]] = model.predict_proba(matrix[held])
    return found


def folds(labels: Codes, seed: int) -> Codes:
    """Return (rows,) the number of each row's fold, each class spread evenly over them."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold_of = np.empty(len(labels), np.int64)
    fold_of[order] = np.arange(len(labels)) % FOLDS
    return fold_of
