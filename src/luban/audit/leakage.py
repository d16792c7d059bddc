"""Inputs that give the answer away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.audit.finding import Finding
from luban.audit.subject import Subject
from luban.core.answers import AnswerKind
from luban.core.sentence import Sentence, sentence
from luban.features.cells import hashes, strings
from luban.features.number import parse_numbers

MIN_ROWS = 20  # with fewer, two columns may go together by chance
MODEL_ROWS = 100  # with fewer, a model of one column is judged on too few
MODEL_SAMPLE = 10_000  # rows that the models of one column see
FOLDS = 3
MAX_CLASSES = 100
NEAR_PERFECT = 0.99  # of what a guess gets wrong, a model of one column gets right
NEAR_PERFECT_R2 = 0.999
TREE_LEAVES = 256
GLANCE_ROWS, GLANCE_SKILL = 1_000, 0.5  # a column that tells less than this of so few rows is looked at no further


def audit_leakage(subject: Subject) -> list[Finding]:
    """Find inputs that are the target under another name: equal cells, values that stand for each other one to one, or
    a column from which alone nearly every answer follows in rows that were not looked at.

    Compared are the rows where both are there. Columns of lists and bytes are passed over. One-to-one values need 20
    rows and must repeat, since unique cells always stand for each other. Text is expected to tell the answer.
    """
    if subject.target is None or not _is_comparable(subject.frame[subject.target]):
        return []
    target = subject.target
    answers = hashes(subject.frame[target])
    findings = []
    for column in subject.inputs:
        cells = subject.frame[column]
        if not _is_comparable(cells):
            continue
        pairs = pl.DataFrame({"x": hashes(cells), "y": answers}).drop_nulls()
        distinct = pairs["y"].n_unique()
        if distinct < 2:
            continue
        setting = f"data.columns: {{{column}: ignore}}"
        if_late = sentence(
            "audit.leakage.action_late",
            "If it is not known before the answer is, leave it out: {setting}",
            setting=setting,
        )
        may_stand = pairs["x"].n_unique() == distinct
        if may_stand and _are_equal(cells, subject.frame[target]):
            message = sentence("audit.leakage.found_copy", "it is a copy of the target '{target}'", target=target)
            remedy = sentence("audit.leakage.action", "Leave it out: {setting}", setting=setting)
            found = Finding("error", "leakage", message, remedy, column, len(pairs), setting=setting)
        elif may_stand and len(pairs) >= MIN_ROWS and 2 * distinct <= len(pairs) and pairs.n_unique() == distinct:
            message = sentence(
                "audit.leakage.found_one_to_one",
                "each of its {values} values stands for one value of the target '{target}'",
                values=distinct,
                target=target,
            )
            found = Finding("warning", "leakage", message, if_late, column, len(pairs), setting=setting)
        elif (near := _near_perfect(subject, column)) is not None:
            found = Finding("warning", "leakage", near, if_late, column, len(pairs), setting=setting)
        else:
            continue
        rows = (cells.is_not_null() & subject.frame[target].is_not_null()).head(1000).arg_true()
        findings.append(replace(found, examples=subject.examples(rows.to_list(), (column, target))))
    return findings


def _near_perfect(subject: Subject, column: str) -> Sentence | None:
    """Say so where a model of this column alone is near perfect on rows that it was not fitted on."""
    kind = subject.kinds[column]
    if kind not in ("number", "date", "category") or len(subject) < MODEL_ROWS:
        return None
    rows = np.arange(len(subject))
    if len(rows) > MODEL_SAMPLE:
        rows = np.sort(np.random.default_rng(subject.seed).permutation(rows)[:MODEL_SAMPLE])
    labels = subject.labels.gather(rows)
    present = labels.is_not_null().to_numpy()
    rows, labels = rows[present], labels.drop_nulls()
    cells = subject.frame[column].gather(rows)
    if len(rows) < MODEL_ROWS:
        return None
    target = subject.target
    folds = np.random.default_rng(subject.seed).integers(0, FOLDS, len(rows))
    if subject.has_classes:
        codes = labels.rank("dense").to_numpy().astype(np.int64) - 1
        counts = np.bincount(codes)
        if len(counts) > MAX_CLASSES or counts.max() == len(codes):
            return None
        guess = counts.max() / len(codes)
        if kind == "number" and len(codes) > GLANCE_ROWS:
            some = np.random.default_rng(subject.seed).permutation(len(codes))[:GLANCE_ROWS]
            seen = _predict_classes(cells.gather(some), codes[some], kind, folds[some])
            if (np.mean(seen == codes[some]) - guess) / (1 - guess) < GLANCE_SKILL:
                return None
        predicted = _predict_classes(cells, codes, kind, folds)
        right = float(np.mean(predicted == codes))
        if (right - guess) / (1 - guess) < NEAR_PERFECT:
            return None
        return sentence(
            "audit.leakage.found_alone",
            "it alone tells the target '{target}' in {right:.1%} of the rows (a guess: {guess:.1%})",
            target=target,
            right=right,
            guess=float(guess),
        )
    if subject.answer != AnswerKind.NUMBER:
        return None
    values, _ = parse_numbers(labels)
    is_known = np.isfinite(values)
    if kind != "number" or is_known.sum() < MODEL_ROWS or np.ptp(values[is_known]) == 0:
        return None
    numbers, _ = parse_numbers(cells, frozenset(subject.missing_values))
    both = is_known & np.isfinite(numbers)
    if both.sum() < MODEL_ROWS or np.ptp(numbers[both]) == 0:
        return None
    explained = float(np.corrcoef(numbers[both], values[both])[0, 1] ** 2)
    if explained <= NEAR_PERFECT_R2:
        return None
    return sentence(
        "audit.leakage.found_scale",
        "it is the target '{target}' on another scale (R² {explained:.4f})",
        target=target,
        explained=explained,
    )


def _predict_classes(
    cells: pl.Series, codes: npt.NDArray[np.int64], kind: str, folds: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Predict each row from the rows of the other folds: by the most frequent answer of its value, or for numbers by a
    small tree."""
    from sklearn.tree import DecisionTreeClassifier

    predicted = np.zeros(len(codes), np.int64)
    numbers = None
    if kind == "number":
        parsed, _ = parse_numbers(cells)
        numbers = np.where(np.isfinite(parsed), np.clip(parsed, -1e30, 1e30), -1e30)[:, None].astype(np.float32)
    values = hashes(cells).fill_null(0)
    for fold in range(FOLDS):
        is_held = folds == fold
        if not is_held.any() or is_held.all():
            continue
        usual = np.bincount(codes[~is_held]).argmax()
        if numbers is not None:
            tree = DecisionTreeClassifier(max_leaf_nodes=TREE_LEAVES, min_samples_leaf=2, random_state=0)
            predicted[is_held] = tree.fit(numbers[~is_held], codes[~is_held]).predict(numbers[is_held])
            continue
        known = pl.DataFrame({"x": values.filter(pl.Series(~is_held)), "y": codes[~is_held]})
        best = known.group_by("x", "y").len().sort("len", "y", descending=True).unique("x", keep="first")
        held = pl.DataFrame({"x": values.filter(pl.Series(is_held))})
        joined = held.join(best, on="x", how="left", maintain_order="left")
        predicted[is_held] = joined["y"].fill_null(int(usual)).to_numpy()
    return predicted


def _is_comparable(column: pl.Series) -> bool:
    return not (column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object))


def _are_equal(left: pl.Series, right: pl.Series) -> bool:
    """Tell whether cells that are there are the same text or the same numbers ('1.50' and '1.5')."""
    pairs = pl.DataFrame({"x": strings(left), "y": strings(right)}).drop_nulls()
    if (pairs["x"] == pairs["y"]).all():
        return True
    numbers, others = (side.cast(pl.Float64, strict=False) for side in (pairs["x"], pairs["y"]))
    return not numbers.null_count() and not others.null_count() and bool((numbers == others).all())
