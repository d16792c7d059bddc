"""Rows that are nearly there twice: within the table, and in one of the tables beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from luban.audit.duplicates import MANY
from luban.audit.finding import Finding, Severity
from luban.audit.near.audio import near_clips
from luban.audit.near.hamming import Pairs, components
from luban.audit.near.image import near_images
from luban.audit.near.text import near_texts
from luban.audit.pictures import small_images
from luban.audit.subject import AGAINST, Subject, later, percent
from luban.core.sentence import Sentence, sentence
from luban.data.groups import group_ids
from luban.data.table import Table
from luban.features.cells import strings

JOINT = "\n"  # between the texts of a row: it is a blank to the comparison


def _texts(subject: Subject, columns: list[str]) -> Pairs:
    cells = subject.frame.select(
        pl.concat_str([strings(subject.frame[name]).fill_null("") for name in columns], separator=JOINT)
    )
    return near_texts(cells.to_series())


def _images(subject: Subject, columns: list[str]) -> Pairs:
    return _all_of(subject, [near_images(*small_images(subject, name)) for name in columns])


def _sounds(subject: Subject, columns: list[str]) -> Pairs:
    return _all_of(subject, [near_clips(subject, name) for name in columns])


# By kind of column: the pairs of rows that are nearly alike in all columns of the kind.
NEAR: dict[str, Callable[[Subject, list[str]], Pairs]] = {"text": _texts, "image": _images, "audio": _sounds}


def _all_of(subject: Subject, found: list[Pairs]) -> Pairs:
    """Return the pairs that are in all of them."""
    rows = len(subject)
    codes = [np.unique(pairs.min(axis=1) * rows + pairs.max(axis=1)) for pairs in found]
    common = codes[0]
    for other in codes[1:]:
        common = np.intersect1d(common, other)
    return np.stack([common // rows, common % rows], axis=1)


def near_pairs(subject: Subject) -> Pairs:
    """Return pairs of rows that are nearly alike in their texts, images and sounds and alike in all other inputs."""
    by_kind = {kind: subject.of_kind(kind) for kind in NEAR if subject.of_kind(kind)}
    if not by_kind:
        return np.zeros((0, 2), np.int64)
    pairs = _all_of(subject, [NEAR[kind](subject, columns) for kind, columns in by_kind.items()])
    others = [name for name in subject.inputs if subject.kinds[name] not in NEAR]
    if others:
        rest = group_ids(subject.frame.select(others))
        pairs = pairs[rest[pairs[:, 0]] == rest[pairs[:, 1]]]
    return pairs


def audit_near(subject: Subject) -> list[Finding]:
    """Find rows that nearly repeat an earlier one, or a row of the validation or test table."""
    if not any(subject.of_kind(kind) for kind in NEAR):
        return []
    tables = {role: other for role, other in subject.others.items() if role != AGAINST}
    joined = replace(subject, table=_joined(subject, list(tables.values())), cache={}) if tables else subject
    pairs = near_pairs(joined)
    keys = joined.keys
    pairs = pairs[keys[pairs[:, 0]] != keys[pairs[:, 1]]]  # what is the same in everything is another finding
    if not len(pairs):
        return []
    own = len(subject)
    return _within(subject, pairs[(pairs < own).all(axis=1)]) + [
        finding
        for role, (start, stop) in _spans(own, tables).items()
        for finding in _across(subject, joined.table, role, pairs, start, stop)
    ]


def _joined(subject: Subject, others: list[Table]) -> Table:
    """Put the inputs of all tables below each other; paths are read in the folder of the audited table."""
    frames = []
    for table in (subject.table, *others):
        cells = {
            name: strings(table.frame[name]) if table.frame[name].dtype != pl.Binary else table.frame[name]
            for name in subject.inputs
        }
        frames.append(pl.DataFrame(cells))
    frame = pl.concat(frames, how="vertical")
    numbers = np.concatenate([table.row_numbers for table in (subject.table, *others)])
    return Table(frame, subject.table.name, subject.table.folder, numbers)


def _spans(own: int, tables: dict[str, Table]) -> dict[str, tuple[int, int]]:
    ends = np.cumsum([own, *map(len, tables.values())]).tolist()
    return {role: (ends[at], ends[at + 1]) for at, role in enumerate(tables)}


def _within(subject: Subject, pairs: Pairs) -> list[Finding]:
    if not len(pairs):
        return []
    keys = subject.keys
    groups = components(np.concatenate([pairs, _repeats(keys)]), len(subject))
    repeated = later(groups)
    rows = np.setdiff1d(repeated, later(keys))  # exact repetitions are told elsewhere
    rows = rows if len(rows) else repeated
    first = np.unique(groups, return_index=True)[1]
    numbers = subject.table.row_numbers
    notes = []
    for row in rows[:3]:
        earlier = int(first[groups[row]])
        shown = next(iter(subject.cells(earlier).values()))
        notes.append(
            sentence("audit.near-duplicates.note", "near row {row}: {cell}", row=int(numbers[earlier]), cell=shown)
        )
    severity: Severity = "warning" if len(rows) >= MANY * len(subject) else "note"
    torn = 0
    if subject.has_classes:
        labels = subject.labels.to_numpy()
        torn = int((labels[rows] != labels[first[groups[rows]]]).sum())
    return [
        Finding(
            severity,
            "near-duplicates",
            _told(len(rows), percent(len(rows), len(subject)), torn),
            sentence(
                "audit.near-duplicates.action",
                "A random split may put one into training and one into test: remove all but the first",
            ),
            None,
            len(rows),
            subject.examples(rows, notes=notes),
            "--fix near-duplicates",
            repeated,
        )
    ]


def _told(rows: int, share: str, torn: int) -> Sentence:
    if not torn:
        return sentence(
            "audit.near-duplicates.found",
            "{rows:count row} ({share}) nearly {rows:do repeat} an earlier row",
            rows=rows,
            share=share,
        )
    return sentence(
        "audit.near-duplicates.found_torn",
        "{rows:count row} ({share}) nearly {rows:do repeat} an earlier row; {torn:,} of them {torn:do have} another "
        "answer",
        rows=rows,
        share=share,
        torn=torn,
    )


def _repeats(keys: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Pairs:
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.stack([first[inverse], np.arange(len(keys))], axis=1)


def _across(subject: Subject, joined: Table, role: str, pairs: Pairs, start: int, stop: int) -> list[Finding]:
    is_across = (pairs[:, 0] < len(subject)) & (pairs[:, 1] >= start) & (pairs[:, 1] < stop)
    rows, at = np.unique(pairs[is_across, 0], return_index=True)
    if not len(rows):
        return []
    others = pairs[is_across, 1][at]
    texts = subject.of_kind("text")
    notes = []
    for other in others[:3]:
        row = int(joined.row_numbers[other])
        if texts:
            cell = str(joined.frame[texts[0]][int(other)])[:100]
            note = sentence(
                "audit.near-duplicates.note_text", "near row {row} of {role}: {cell}", row=row, role=role, cell=cell
            )
        else:
            note = sentence("audit.near-duplicates.note_other", "near row {row} of {role}", row=row, role=role)
        notes.append(note)
    return [
        Finding(
            "warning" if len(rows) >= MANY * len(subject) else "note",
            "near-duplicates",
            sentence(
                "audit.near-duplicates.found_across",
                "{rows:count row} nearly {rows:do stand} in the {role} rows as well",
                rows=len(rows),
                role=role,
            ),
            sentence(
                "audit.near-duplicates.action_across",
                "The scores on these are better than on new rows: remove them from the training rows",
            ),
            None,
            len(rows),
            subject.examples(rows, notes=notes),
            None,
        )
    ]
