"""What a model has to beat: the most frequent answer, and a linear model on plain features, both fitted in seconds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from luban.data.table import Table
from luban.features.plain import FITTERS, Images, Matrix, SimpleFeatures, fit_features
from luban.tasks.base import Array, Floats, Task
from luban.tasks.classification import Classification
from luban.tasks.multi_label import MultiLabel

Predict = Callable[[Matrix], Floats]

MAX_ROWS = 20_000  # that a linear model is fitted on
ROWS_AT_ONCE = 8_192  # that it predicts
MAX_PASSES = 30  # over the rows of a sparse matrix
MAX_STEPS = 50  # of L-BFGS on a dense one
BUDGET = 3e9  # multiplications of one fit: some seconds on one core
SPARSE_C, DENSE_C = 10.0, 0.1  # inverse strength of the penalty


@dataclass(frozen=True)
class Baseline:
    """A simple predictor. note: what it is, in words."""

    name: str
    note: str
    outputs: Callable[[Table, Images], Floats]

    def predict(self, table: Table, images: Images | None = None) -> Floats:
        """Return outputs as the task makes them, rows first. images: as in `fit_baselines`, of these rows."""
        return self.outputs(table, images or {})


def fit_baselines(
    task: Task, table: Table, targets: Array, kinds: Mapping[str, str], images: Images | None = None, seed: int = 0
) -> list[Baseline]:
    """Fit the baselines of a task on training rows.

    targets: of the table's rows, as the task encodes them. kinds: the kind of each input column (`number`, `date`,
    `category`, `identifier`, `labels`, `text`; sound and sequences are not used). images: by input name, uint8 of
    (rows, C, H, W), and may be memory-mapped. The linear baseline is left out where no column has plain features.
    """
    baselines = [_constant(task, targets)]
    rows = np.arange(len(table))
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_ROWS])
    columns = [column for column, kind in kinds.items() if kind in FITTERS]
    frame = table.frame.select(columns)
    frame = frame[rows] if columns else frame
    chosen = {name: pixels[rows] for name, pixels in (images or {}).items()}
    features = fit_features(frame, kinds, chosen)
    if features.names:
        predict = _fit_linear(task, features.matrix(frame, chosen), targets[rows], seed)
        note = f"linear model on {', '.join(features.names)}; {len(rows)} of {len(table)} training rows"
        baselines.append(Baseline("linear", note, _in_chunks(features, predict)))
    return baselines


def _constant(task: Task, targets: Array) -> Baseline:
    """The same answer for every row: how frequent each class or label is, or the mean."""
    if isinstance(task, Classification):
        answer = np.bincount(targets.astype(np.int64), minlength=len(task.labels)) / len(targets)
        name, note = "majority", "always the most frequent class"
    elif isinstance(task, MultiLabel):
        answer = targets.mean(axis=0, dtype=np.float64)
        name, note = "frequency", "each label as probable as it is frequent"
    else:
        answer = targets.mean(dtype=np.float64)
        name, note = "mean", "always the mean of the training rows"
    return Baseline(name, note, lambda table, images: np.tile(answer, (len(table), *[1] * np.ndim(answer))))


def _in_chunks(features: SimpleFeatures, predict: Predict) -> Callable[[Table, Images], Floats]:
    def outputs(table: Table, images: Images) -> Floats:
        frame = table.frame.select(list(features.transforms))
        parts = []
        for start in range(0, len(table), ROWS_AT_ONCE):
            chosen = {name: images[name][start : start + ROWS_AT_ONCE] for name in features.image_means}
            parts.append(predict(features.matrix(frame.slice(start, ROWS_AT_ONCE), chosen)))
        return np.concatenate(parts)

    return outputs


def _fit_linear(task: Task, matrix: Matrix, targets: Array, seed: int) -> Predict:
    if isinstance(task, Classification):
        return _fit_classes(matrix, targets.astype(np.int64), len(task.labels), seed)
    if isinstance(task, MultiLabel):
        labels = [_fit_classes(matrix, column.astype(np.int64), 2, seed) for column in targets.T]
        return lambda new: np.stack([label(new)[:, 1] for label in labels], axis=1)
    ridge = Ridge(alpha=1.0, solver="sparse_cg" if issparse(matrix) else "auto").fit(matrix, targets)
    return lambda new: np.asarray(ridge.predict(new), dtype=np.float64)


def _fit_classes(matrix: Matrix, targets: npt.NDArray[np.int64], num_classes: int, seed: int) -> Predict:
    """Multinomial logistic regression, stopped early where it would take long: a baseline need not be the optimum."""
    present = np.unique(targets)
    if len(present) < 2:
        return lambda new: np.tile(np.eye(num_classes)[present[0]], (new.shape[0], 1))
    cells = matrix.nnz if issparse(matrix) else matrix.size
    affordable = int(BUDGET / (cells * (len(present) if len(present) > 2 else 1)))
    if issparse(matrix):
        passes = max(2, min(MAX_PASSES, affordable))
        model = LogisticRegression(C=SPARSE_C, solver="saga", max_iter=passes, random_state=seed)
    else:
        steps = max(10, min(MAX_STEPS, affordable))
        model = LogisticRegression(C=DENSE_C, solver="lbfgs", max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)  # few rows a class
        model.fit(matrix, targets)

    def predict(new: Matrix) -> Floats:
        outputs = np.zeros((new.shape[0], num_classes))
        outputs[:, model.classes_] = model.predict_proba(new)
        return outputs

    return predict
