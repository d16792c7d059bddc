"""Whether the rows to predict on come from where the training rows come from."""

from __future__ import annotations

import numpy as np
import polars as pl

from luban.audit.confident import out_of_fold
from luban.audit.finding import Finding
from luban.audit.pictures import small_images, thumbnails
from luban.audit.subject import Subject, examples_of
from luban.core.sentence import Sentence, sentence, several
from luban.data.draw import sample_rows
from luban.data.table import Table
from luban.features.cells import strings
from luban.features.number import parse_numbers
from luban.features.plain.columns import FITTERS

MIN_ROWS = 50  # on each side
SAMPLE = 5_000  # rows of each side that are compared
SMALLEST_P = 1e-4  # for all columns together (Bonferroni)
CLEAR, STRONG = 0.1, 0.25  # distance of two distributions, from 0 to 1
AUC_CLEAR, AUC_STRONG = 0.65, 0.8  # of a model that tells the two sides apart
SIDE = 8  # pixels


def audit_drift(subject: Subject) -> list[Finding]:
    """Compare each input of the other tables with the training rows': numbers by Kolmogorov and Smirnov's distance,
    categories by total variation, texts and images by how well a linear model tells the two sides apart."""
    findings = []
    for role, table in subject.others.items():
        for name in subject.inputs:
            if name not in table.columns:
                continue
            finding = _compare(subject, role, table, name)
            if finding is not None:
                findings.append(finding)
    return findings


def _compare(subject: Subject, role: str, table: Table, name: str) -> Finding | None:
    kind = subject.kinds[name]
    rows, others = (sample_rows(len(side), SAMPLE, np.random.default_rng(subject.seed)) for side in (subject, table))
    if min(len(rows), len(others)) < MIN_ROWS:
        return None
    mine, theirs = subject.frame[name].gather(rows), table.frame[name].gather(others)
    unseen, is_auc = pl.Series(dtype=pl.String), kind in ("text", "image")
    if kind == "number":
        distance = _numbers(mine, theirs, len(subject.inputs))
    elif kind in ("category", "identifier"):
        distance = _categories(mine, theirs)
        unseen = strings(table.frame[name]).drop_nulls().unique().sort()
        unseen = unseen.filter(~unseen.is_in(strings(subject.frame[name]).drop_nulls().unique().to_list()))
    elif kind == "text":
        distance = _texts(mine, theirs, subject.seed)
    elif kind == "image":
        pixels = [small_images(subject, name, side)[0] for side in (subject.table, table)]
        # Brightness and colour themselves tell sources apart, so that it is pixels here, and not edges.
        flat = np.concatenate([thumbnails(pixels[0][rows], SIDE), thumbnails(pixels[1][others], SIDE)])
        distance = _tell_apart(flat, len(rows), subject.seed)
    else:
        return None
    clear, strong = (AUC_CLEAR, AUC_STRONG) if is_auc else (CLEAR, STRONG)
    if distance < clear:
        return None
    return Finding(
        "warning" if distance >= strong else "note",
        "drift",
        _told_apart(role, distance) if is_auc else _differs(role, distance, unseen),
        sentence("audit.drift.action", "Expect lower scores there: train on rows like them, or leave the column out"),
        name,
        len(table),
        examples_of(table, range(min(3, len(table))), (name,)),
        f"data.columns: {{{name}: ignore}}",
    )


def _told_apart(role: str, auc: float) -> Sentence:
    return sentence(
        "audit.drift.found_model",
        "in the {role} rows a model tells them from the training rows with AUC {auc:.2f}",
        role=role,
        auc=auc,
    )


def _differs(role: str, distance: float, unseen: pl.Series) -> Sentence:
    if not len(unseen):
        return sentence(
            "audit.drift.found",
            "in the {role} rows they are other values than in training: distance {distance:.2f}",
            role=role,
            distance=distance,
        )
    return sentence(
        "audit.drift.found_new",
        "in the {role} rows they are other values than in training: distance {distance:.2f}; new are {unseen}",
        role=role,
        distance=distance,
        unseen=several(unseen, limit=3),
    )


def _numbers(mine: pl.Series, theirs: pl.Series, looks: int) -> float:
    from scipy.stats import ks_2samp

    sides = [numbers[np.isfinite(numbers)] for numbers, _ in (parse_numbers(mine), parse_numbers(theirs))]
    if min(map(len, sides)) < MIN_ROWS:
        return 0.0
    found = ks_2samp(*sides, method="asymp")
    return float(found.statistic) if found.pvalue < SMALLEST_P / looks else 0.0


def _categories(mine: pl.Series, theirs: pl.Series) -> float:
    """Return the total variation beyond what two draws of one distribution have by chance."""
    cells = pl.concat([strings(mine).alias("x"), strings(theirs).alias("x")]).fill_null("")
    codes = cells.rank("dense").to_numpy().astype(np.int64) - 1
    counts = [np.bincount(part, minlength=codes.max() + 1) for part in (codes[: len(mine)], codes[len(mine) :])]
    shares = [count / count.sum() for count in counts]
    pooled = (counts[0] + counts[1]) / len(codes)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / len(mine) + 1 / len(theirs)))
    chance = 0.5 * float(np.sqrt(2 / np.pi) * spread.sum())  # the mean of half the sum of |differences|
    return max(0.0, 0.5 * float(np.abs(shares[0] - shares[1]).sum()) - chance)


def _texts(mine: pl.Series, theirs: pl.Series, seed: int) -> float:
    both = pl.concat([strings(mine).alias("x"), strings(theirs).alias("x")])
    transform = FITTERS["text"](both)
    return 0.5 if transform is None else _tell_apart(transform(both), len(mine), seed)


def _tell_apart(matrix: object, num_mine: int, seed: int) -> float:
    """Return the area under the curve of a linear model between the two sides, each row by a fit without it."""
    from sklearn.metrics import roc_auc_score

    side = (np.arange(matrix.shape[0]) >= num_mine).astype(np.int64)  # type: ignore[attr-defined]
    return float(roc_auc_score(side, out_of_fold(matrix, side, 2, seed)[:, 1]))
