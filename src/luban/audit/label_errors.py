"""Labels that a model doubts which never saw them: suspected label errors, ranked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luban.audit.clips import MAX_CLIPS, clips_of
from luban.audit.confident import MAX_CLASSES, Codes, Floats, doubt, folds, out_of_fold
from luban.audit.finding import Finding, Suspect
from luban.audit.pictures import small_images
from luban.audit.subject import Subject, percent
from luban.core.answers import AnswerKind
from luban.core.sentence import Sentence, sentence
from luban.features.number import parse_numbers
from luban.features.parsing.lists import split
from luban.features.plain.audio import standardised
from luban.features.plain.columns import FITTERS, Matrix
from luban.features.plain.image import fit_images
from luban.features.plain.matrix import SimpleFeatures, beside, fit_columns

MIN_ROWS = 100  # with fewer the model knows too little to doubt anything
MAX_ROWS = 200_000
MAX_LABELS = 100  # of a target with several labels a cell
SKILL = 0.2  # of what a guess gets wrong, the model must get right to be heard
KEPT = 1_000  # suspects that are listed
VOCABULARY_ROWS = 20_000
# Two signs of wrong labels. Many classes: a model cannot learn them, and contradicts them with high odds. Few classes:
# it learns how many are wrong, so that no odds are high; but it is contradicted as often where it is surest, where hard
# rows are rare. A model that is often wrong is sure of wrong things, too, and has no say. How the limits were chosen,
# and what they find where, is in docs/audit.md.
STRONG_ODDS, STRONG_SHARE, STRONG_ROWS = 50.0, 0.01, 10
STRONG_ACCURACY = 0.8
SUREST, SUREST_SHARE, SUREST_ROWS = 1 / 3, 0.04, 10  # of all rows; wrong among them
SUREST_ACCURACY = 0.85
FAR = 8.0  # robust standard deviations of the error: so far out, a number is doubted
MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class Doubted:
    """found: the rows, the most doubtful first. strong: how many are contradicted by high odds. surest: the share of
    wrong ones among the rows that the model is surest of; both 0 where it is too often wrong for that to count."""

    found: list[tuple[int, Suspect]] = field(default_factory=list)
    strong: int = 0
    surest: float = 0.0


def plain_images(subject: Subject, column: str, rows: Codes) -> Matrix:
    """Return (rows, D) plain features of images, of mean 0."""
    return fit_images(small_images(subject, column)[0][rows])[1]


def plain_clips(subject: Subject, column: str, rows: Codes) -> Matrix:
    """Return (rows, D) plain features of sound, standardised. rows: positions within the first 100,000."""
    clips = clips_of(subject, column)
    return standardised(clips.statistics[rows], clips.length[rows] > 0)


# By kind of column whose cells are files. Those of other kinds are in FITTERS.
PLAIN: dict[str, Callable[[Subject, str, Codes], Matrix]] = {"image": plain_images, "audio": plain_clips}


def plain_matrix(subject: Subject, rows: Codes) -> Matrix | None:
    """Return (rows, D) plain features of the inputs, None where there are none.

    Vocabularies and scales are learnt from at most 20,000 of the rows.
    """
    blocks = [PLAIN[subject.kinds[name]](subject, name, rows) for name in subject.of_kind(*PLAIN)]
    columns = [name for name in subject.inputs if subject.kinds[name] in FITTERS]
    if columns:
        frame = subject.frame.select(columns)[rows]
        seen = frame
        if len(rows) > VOCABULARY_ROWS:
            seen = frame[np.sort(np.random.default_rng(subject.seed).permutation(len(rows))[:VOCABULARY_ROWS])]
        features = SimpleFeatures(fit_columns(seen, subject.kinds), {})
        blocks = [features.matrix(frame, {}), *blocks] if features.names else blocks
    return beside(blocks) if blocks else None


def audit_label_errors(subject: Subject) -> list[Finding]:
    """Find labels that cross-validated predictions of a linear model on plain features contradict with confidence.

    Every row is predicted by a model that was fitted without it. Numbers are doubted where the error is far beyond
    the others'. It is a warning where so many classes are contradicted so strongly that hard rows alone do not explain
    it, or so many of the rows that the model is surest of; of several labels a row and of numbers it is always a note.
    """
    judge = None if subject.answer is None else JUDGES.get(subject.answer)
    if judge is None or subject.target is None or (subject.has_classes and subject.labels.n_unique() > MAX_CLASSES):
        return []
    cells = subject.frame[subject.target]
    is_present = cells.is_not_null() if cells.dtype.is_nested() else subject.labels.is_not_null()
    rows = is_present.arg_true().to_numpy().astype(np.int64)
    if subject.of_kind("audio"):
        rows = rows[rows < MAX_CLIPS]
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(subject.seed).permutation(rows)[:MAX_ROWS])
    if len(rows) < MIN_ROWS:
        return []
    matrix = plain_matrix(subject, rows)
    doubted = judge(subject, matrix, rows) if matrix is not None else Doubted()
    found = doubted.found
    if not found:
        return []
    num_strong = doubted.strong if doubted.strong >= max(STRONG_ROWS, STRONG_SHARE * len(rows)) else 0
    surest = doubted.surest if doubted.surest >= SUREST_SHARE else 0.0
    positions = np.array([position for position, _ in found], np.int64)
    suspects = tuple(suspect for _, suspect in found[:KEPT])
    return [
        Finding(
            "warning" if num_strong or surest else "note",
            "label-errors",
            *_told(len(found), percent(len(found), len(rows)), num_strong, surest),
            subject.target,
            len(found),
            subject.examples(positions, notes=map(_likelier, suspects[:3])),
            "--fix suspects",
            np.sort(positions),
            suspects,
        )
    ]


def _told(rows: int, share: str, strong: int, surest: float) -> tuple[Sentence, Sentence]:
    """Return message and action. strong, surest: as of Doubted; 0 where they are too small to tell."""
    if not strong and not surest:
        return (
            sentence(
                "audit.label-errors.found",
                "{rows:count row} ({share}) {rows:do have} a label that a linear model on the other rows contradicts",
                rows=rows,
                share=share,
            ),
            sentence(
                "audit.label-errors.action",
                "Look at them from the first on: some are wrong labels, others are hard rows",
            ),
        )
    action = sentence(
        "audit.label-errors.action_strong",
        "Look at them from the first on: many are wrong labels, others are hard rows",
    )
    if not strong:
        found = sentence(
            "audit.label-errors.found_surest",
            "{rows:count row} ({share}) {rows:do have} a label that a linear model on the other rows contradicts, "
            "and so have {surest} of the third of all rows that it is surest of",
            rows=rows,
            share=share,
            surest=f"{100 * surest:.2g} %",
        )
        return found, action
    found = sentence(
        "audit.label-errors.found_strong",
        "{rows:count row} ({share}) {rows:do have} a label that a linear model on the other rows contradicts, "
        "{strong:,} of them with odds of {odds:g} to 1 and more",
        rows=rows,
        share=share,
        strong=strong,
        odds=STRONG_ODDS,
    )
    return found, action


def _likelier(suspect: Suspect) -> Sentence:
    if suspect.probability is None:
        return sentence("audit.label-errors.note", "'{label}' is likelier", label=suspect.suggested)
    return sentence(
        "audit.label-errors.note_probability",
        "'{label}' is likelier ({probability:.0%})",
        label=suspect.suggested,
        probability=suspect.probability,
    )


def _suspect(subject: Subject, position: int, label: str, suggested: str, probability: float | None) -> Suspect:
    row = int(subject.table.row_numbers[position])
    return Suspect(row, label, suggested, probability, subject.cells(position))


def _classes(subject: Subject, matrix: Any, rows: Codes) -> Doubted:
    labels = subject.labels.gather(rows)
    names = labels.unique().sort()
    if len(names) < 2:
        return Doubted()
    codes = labels.rank("dense").to_numpy().astype(np.int64) - 1
    probabilities = out_of_fold(matrix, codes, len(names), subject.seed)
    wrong = float((probabilities.argmax(axis=1) != codes).mean())
    if wrong > (1 - SKILL) * (1 - np.bincount(codes).max() / len(codes)):
        return Doubted()  # a model that hardly knows more than a guess has no say
    doubts = doubt(probabilities, codes)
    found = []
    for at in doubts.order[doubts.is_suspect[doubts.order]]:
        label, suggested = names[int(codes[at])], names[int(doubts.suggested[at])]
        position = int(rows[at])
        found.append((position, _suspect(subject, position, label, suggested, round(float(doubts.probability[at]), 4))))
    is_strong = doubts.is_suspect & (doubts.odds >= STRONG_ODDS)
    return Doubted(
        found,
        int(is_strong.sum()) if 1 - wrong >= STRONG_ACCURACY else 0,
        wrong_where_sure(probabilities, codes) if 1 - wrong >= SUREST_ACCURACY else 0.0,
    )


def wrong_where_sure(probabilities: Floats, codes: Codes) -> float:
    """Return the share of wrong predictions among the third of the rows that the model is surest of; 0 where these are
    fewer than ten."""
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")[: int(SUREST * len(codes))]
    is_wrong = probabilities[surest].argmax(axis=1) != codes[surest]
    return float(is_wrong.mean()) if is_wrong.sum() >= SUREST_ROWS else 0.0


def _several(subject: Subject, matrix: Any, rows: Codes) -> Doubted:
    """Doubt each label by itself: that it is there, or that it is not."""
    assert subject.target is not None
    lists = split(subject.frame[subject.target]).gather(rows)
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
                if codes[at]:
                    suggested = sentence("audit.label-errors.without", "without {label}", label=name)
                else:
                    suggested = sentence("audit.label-errors.with", "with {label}", label=name)
                worst[position] = sure, _suspect(subject, position, own, suggested, round(sure, 4))
    ranked = sorted(worst.items(), key=lambda item: (-item[1][0], item[0]))
    return Doubted([(position, suspect) for position, (_, suspect) in ranked])


def _numbers(subject: Subject, matrix: Any, rows: Codes) -> Doubted:
    from scipy.sparse import issparse
    from sklearn.linear_model import Ridge

    values, _ = parse_numbers(subject.frame[subject.target or ""].gather(rows))
    is_known = np.isfinite(values)
    values, rows = values[is_known], rows[is_known]
    matrix = matrix[np.flatnonzero(is_known)]
    if len(values) < MIN_ROWS:
        return Doubted()
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
    return Doubted(found)


# By kind of answer.
JUDGES = {AnswerKind.CLASS: _classes, AnswerKind.LABELS: _several, AnswerKind.NUMBER: _numbers}
