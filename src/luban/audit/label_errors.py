"""Labels that a model doubts which never saw them: suspected label errors, ranked."""

from __future__ import annotations

from typing import Any

import numpy as np

from luban.audit.confident import Codes, Floats, doubt, folds, out_of_fold
from luban.audit.finding import Finding, Suspect
from luban.audit.pictures import small_images
from luban.audit.subject import Subject, counted, percent
from luban.features.labels import split_labels
from luban.features.number import parse_numbers
from luban.features.plain import FITTERS, fit_features

MIN_ROWS = 100  # with fewer the model knows too little to doubt anything
MAX_ROWS = 200_000
MAX_CLASSES = 500
MAX_LABELS = 100  # of a target with several labels a cell
SKILL = 0.2  # of what a guess gets wrong, the model must get right to be heard
KEPT = 1_000  # suspects that are listed
IMAGE_STEP = 2  # every second pixel of the small images
FAR = 8.0  # robust standard deviations of the error: so far out, a number is doubted
MAD_TO_STD = 1.4826


def plain_matrix(subject: Subject, rows: Codes) -> Any | None:
    """Return (rows, D) plain features of the inputs, None where there are none."""
    columns = [name for name in subject.inputs if subject.kinds[name] in FITTERS]
    pixels = {
        name: small_images(subject, name)[0][rows][:, :, ::IMAGE_STEP, ::IMAGE_STEP]
        for name in subject.of_kind("image")
    }
    frame = subject.frame.select(columns)
    if columns:
        frame = frame[rows]
    features = fit_features(frame, subject.kinds, pixels)
    return features.matrix(frame, pixels) if features.names else None


def audit_label_errors(subject: Subject) -> list[Finding]:
    """Find labels that cross-validated predictions of a linear model on plain features contradict with confidence.

    Every row is predicted by a model that was fitted without it. Numbers are doubted where the error is far beyond
    the others'.
    """
    judge = JUDGES.get(subject.task or "")
    if judge is None or subject.target is None:
        return []
    cells = subject.frame[subject.target]
    is_present = cells.is_not_null() if cells.dtype.is_nested() else subject.labels.is_not_null()
    rows = is_present.arg_true().to_numpy().astype(np.int64)
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(subject.seed).permutation(rows)[:MAX_ROWS])
    if len(rows) < MIN_ROWS:
        return []
    matrix = plain_matrix(subject, rows)
    found = judge(subject, matrix, rows) if matrix is not None else []
    if not found:
        return []
    positions = np.array([position for position, _ in found], np.int64)
    suspects = tuple(suspect for _, suspect in found[:KEPT])
    notes = [
        f"'{suspect.suggested}' is likelier"
        + (f" ({suspect.probability:.0%})" if suspect.probability is not None else "")
        for suspect in suspects[:3]
    ]
    return [
        Finding(
            "note",
            "label-errors",
            f"{counted(len(found))} ({percent(len(found), len(rows))}) have a label that a linear model on the other "
            "rows contradicts",
            "Look at them from the first on: some are wrong labels, others are hard rows",
            subject.target,
            len(found),
            subject.examples(positions, notes=notes),
            "--fix suspects",
            np.sort(positions),
            suspects,
        )
    ]


def _suspect(subject: Subject, position: int, label: str, suggested: str, probability: float | None) -> Suspect:
    row = int(subject.table.row_numbers[position])
    return Suspect(row, label, suggested, probability, subject.cells(position))


def _classes(subject: Subject, matrix: Any, rows: Codes) -> list[tuple[int, Suspect]]:
    labels = subject.labels.gather(rows)
    names = labels.unique().sort()
    if not 2 <= len(names) <= MAX_CLASSES:
        return []
    codes = labels.rank("dense").to_numpy().astype(np.int64) - 1
    probabilities = out_of_fold(matrix, codes, len(names), subject.seed)
    wrong = float((probabilities.argmax(axis=1) != codes).mean())
    if wrong > (1 - SKILL) * (1 - np.bincount(codes).max() / len(codes)):
        return []  # a model that hardly knows more than a guess has no say
    doubts = doubt(probabilities, codes)
    found = []
    for at in doubts.order[doubts.is_suspect[doubts.order]]:
        label, suggested = names[int(codes[at])], names[int(doubts.suggested[at])]
        position = int(rows[at])
        found.append((position, _suspect(subject, position, label, suggested, round(float(doubts.probability[at]), 4))))
    return found


def _several(subject: Subject, matrix: Any, rows: Codes) -> list[tuple[int, Suspect]]:
    """Doubt each label by itself: that it is there, or that it is not."""
    assert subject.target is not None
    lists = split_labels(subject.frame[subject.target]).gather(rows)
    names = lists.explode().drop_nulls().value_counts(sort=True).get_column(subject.target).head(MAX_LABELS).to_list()
    worst: dict[int, tuple[float, Suspect]] = {}
    for name in names:
        codes = lists.list.contains(name).fill_null(False).to_numpy().astype(np.int64)
        if not MIN_ROWS // 10 <= codes.sum() <= len(codes) - MIN_ROWS // 10:
            continue
        doubts = doubt(out_of_fold(matrix, codes, 2, subject.seed), codes)
        for at in np.flatnonzero(doubts.is_suspect):
            position, sure = int(rows[at]), float(doubts.probability[at])
            if position not in worst or worst[position][0] < sure:
                own = "; ".join(lists[int(at)].to_list()) if lists[int(at)] is not None else ""
                suggested = f"without {name}" if codes[at] else f"with {name}"
                worst[position] = sure, _suspect(subject, position, own, suggested, round(sure, 4))
    ranked = sorted(worst.items(), key=lambda item: (-item[1][0], item[0]))
    return [(position, suspect) for position, (_, suspect) in ranked]


def _numbers(subject: Subject, matrix: Any, rows: Codes) -> list[tuple[int, Suspect]]:
    from scipy.sparse import issparse
    from sklearn.linear_model import Ridge

    values, _ = parse_numbers(subject.frame[subject.target or ""].gather(rows))
    is_known = np.isfinite(values)
    values, rows = values[is_known], rows[is_known]
    matrix = matrix[np.flatnonzero(is_known)]
    if len(values) < MIN_ROWS:
        return []
    fold_of = folds(np.zeros(len(values), np.int64), subject.seed)
    predicted: Floats = np.zeros(len(values))
    scale = float(np.abs(values).max()) or 1.0
    for fold in np.unique(fold_of):
        train, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        ridge = Ridge(alpha=1.0, solver="sparse_cg" if issparse(matrix) else "auto")
        predicted[held] = ridge.fit(matrix[train], values[train] / scale).predict(matrix[held]) * scale
    errors = values - predicted
    spread = MAD_TO_STD * float(np.median(np.abs(errors - np.median(errors))))
    distance = np.abs(errors - np.median(errors)) / (spread or np.inf)
    order = np.argsort(-distance, kind="stable")
    found = []
    for at in order[distance[order] > FAR]:
        position = int(rows[at])
        found.append((position, _suspect(subject, position, f"{values[at]:g}", f"{predicted[at]:.4g}", None)))
    return found


# By task: the doubted rows, the most doubtful first.
JUDGES = {"binary": _classes, "multiclass": _classes, "multi_label": _several, "regression": _numbers}
