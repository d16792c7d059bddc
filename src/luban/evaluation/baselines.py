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

from luban.core.answers import AnswerKind
from luban.data.table import Table
from luban.evaluation.answers import answer_of
from luban.evaluation.answers.base import Constant
from luban.features.plain.columns import FITTERS, Matrix
from luban.features.plain.matrix import DENSE_C, SPARSE_C, Images, SimpleFeatures, fit_features
from luban.tasks.base import Array, Floats, Task

Predict = Callable[[Matrix], Floats]

MAX_ROWS = 20_000  # that a linear model is fitted on
ROWS_AT_ONCE = 8_192  # that it predicts
MAX_PASSES = 30  # over the rows of a sparse matrix
MAX_STEPS = 50  # of L-BFGS on a dense one
BUDGET = 3e9  # multiplications of one fit: some seconds on one core


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
    (rows, C, H, W), and may be memory-mapped. The linear baseline is left out where no column has plain features, or
    the answers are of a kind that has none.
    """
    constant = answer_of(task).constant(task, targets)
    baselines = [] if constant is None else [_constant(constant)]
    rows = np.arange(len(table))
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_ROWS])
    columns = [column for column, kind in kinds.items() if kind in FITTERS]
    frame = table.frame.select(columns)
    frame = frame[rows] if columns else frame
    chosen = {name: pixels[rows] for name, pixels in (images or {}).items()}
    fit_linear = LINEAR.get(task.answer)
    if fit_linear is None:
        return baselines
    features, matrix = fit_features(frame, kinds, chosen)
    if matrix is not None:
        predict = fit_linear(task, matrix, targets[rows], seed)
        note = f"linear model on {', '.join(features.names)}; {len(rows)} of {len(table)} training rows"
        baselines.append(Baseline("linear", note, _in_chunks(features, predict)))
    return baselines


def _constant(found: Constant) -> Baseline:
    """The same answer for every row."""
    one = found.outputs
    width = [] if one.dtype == object else [1] * one.ndim  # of an answer of parts, which has a row of its own already
    return Baseline(found.name, found.note, lambda table, images: np.tile(one, (len(table), *width)))


def _in_chunks(features: SimpleFeatures, predict: Predict) -> Callable[[Table, Images], Floats]:
    def outputs(table: Table, images: Images) -> Floats:
        frame = table.frame.select(list(features.transforms))
        parts = []
        for start in range(0, len(table), ROWS_AT_ONCE):
            chosen = {name: images[name][start : start + ROWS_AT_ONCE] for name in features.images}
            parts.append(predict(features.matrix(frame.slice(start, ROWS_AT_ONCE), chosen)))
        return np.concatenate(parts)

    return outputs


def _linear_of_classes(task: Task, matrix: Matrix, targets: Array, seed: int) -> Predict:
    return _fit_classes(matrix, targets.astype(np.int64), len(task.names), seed)


def _linear_of_labels(task: Task, matrix: Matrix, targets: Array, seed: int) -> Predict:
    labels = [_fit_classes(matrix, column.astype(np.int64), 2, seed) for column in targets.T]
    return lambda new: np.stack([label(new)[:, 1] for label in labels], axis=1)


def _linear_of_numbers(task: Task, matrix: Matrix, targets: Array, seed: int) -> Predict:
    ridge = Ridge(alpha=1.0, solver="sparse_cg" if issparse(matrix) else "auto").fit(matrix, targets)
    return lambda new: np.asarray(ridge.predict(new), dtype=np.float64)


# How a linear model is fitted; a kind of answer that does not stand here has none.
LINEAR: dict[AnswerKind, Callable[[Task, Matrix, Array, int], Predict]] = {
    AnswerKind.CLASS: _linear_of_classes,
    AnswerKind.LABELS: _linear_of_labels,
    AnswerKind.NUMBER: _linear_of_numbers,
}


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
