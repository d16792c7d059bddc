"""Cells that cannot be meant: numbers written as text, impossible values, dates in the future."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from luban.audit.finding import NO_ROWS, Finding
from luban.audit.subject import Subject
from luban.core.sentence import sentence, several
from luban.data.decimals import SIGNS, has_decimal_commas, pointed
from luban.features.cells import strings
from luban.features.infer import NUMBER_SIGNS
from luban.features.number import PARSED_SHARE, parse_numbers
from luban.features.parsing.date_format import reader

MOSTLY = 0.5
# By the name of a column: the values that there are, ends included.
RANGES: tuple[tuple[str, float, float], ...] = (
    (r"(^|[\W_])age([\W_]|$)|年龄", 0, 130),
    (r"(^|[\W_])lat(itude)?([\W_]|$)|纬度", -90, 90),
    (r"(^|[\W_])(lon|lng|longitude)([\W_]|$)|经度", -180, 180),
    (
        r"(^|[\W_])(count|quantity|qty|num|number|height|weight|duration|distance|area)([\W_]|$)|数量|身高|体重|面积",
        0,
        np.inf,
    ),
    (r"(^|[\W_])(probability)([\W_]|$)|概率", 0, 1),
)
# Numbers that often stand for 'missing', where they lie far from all others.
MARKERS = (*(sign * float("9" * digits) for digits in range(2, 8) for sign in (-1, 1)), -1.0, -9.0)
MARKER_ROWS = 3


def unsigned(cells: pl.Series, *, decimal_commas: bool) -> pl.Series:
    """Return numbers that are written with signs like 1234.5."""
    bare = strings(cells).str.replace_all(SIGNS, "")
    return pointed(bare) if decimal_commas else bare.str.replace_all(",", "", literal=True)


def audit_number_text(subject: Subject) -> list[Finding]:
    """Find columns of numbers that are written as text: with signs, or with words among them."""
    findings = []
    for name in subject.of_kind("category", "text"):
        if subject.frame[name].dtype != pl.String:
            continue
        cells = strings(subject.frame[name])
        head = cells.drop_nulls().head(1000)
        if not len(head) or np.isfinite(parse_numbers(head.str.replace_all(NUMBER_SIGNS, ""))[0]).mean() < MOSTLY:
            continue
        _, is_word = parse_numbers(cells.str.replace_all(NUMBER_SIGNS, ""))
        _, is_other = parse_numbers(cells)
        is_missing = cells.is_in(list(subject.missing_values)).fill_null(False).to_numpy()
        present = int(len(cells) - cells.null_count())
        if is_word.sum() - (is_word & is_missing).sum() <= (1 - PARSED_SHARE) * present and is_other.any():
            rows = np.flatnonzero(is_other & ~is_missing)
            if not len(rows):
                continue
            if has_decimal_commas(subject.frame, name):
                message = sentence(
                    "audit.number-text.found_commas",
                    "{rows:count row} {rows:do hold} numbers with decimal commas, so that it is taken as {kind}",
                    rows=len(rows),
                    kind=subject.kinds[name],
                )
            else:
                message = sentence(
                    "audit.number-text.found",
                    "{rows:count row} {rows:do hold} numbers written with signs, so that it is taken as {kind}",
                    rows=len(rows),
                    kind=subject.kinds[name],
                )
            action = sentence("audit.number-text.action", "Write them like 1234.5")
            setting = "--fix number-text"
        elif is_word.sum() < (1 - MOSTLY) * present and not bool((head.str.contains(r"^0\d")).any()):
            rows = np.flatnonzero(is_word)
            words = cells.gather(rows).value_counts(sort=True)[name].head(3)
            message = sentence(
                "audit.number-text.found_words",
                "most cells are numbers, but not {words}: it is taken as {kind}",
                words=several(words),
                kind=subject.kinds[name],
            )
            action = sentence(
                "audit.number-text.action_words", "If these mean 'missing', add them to data.missing_values"
            )
            setting = f"data.missing_values: [{', '.join(map(repr, words))}]"
        else:
            continue
        seen = subject.examples(rows, (name,))
        fixed = rows if setting.startswith("--fix") else NO_ROWS
        findings.append(Finding("warning", "number-text", message, action, name, len(rows), seen, setting, fixed))
    return findings


def audit_impossible(subject: Subject) -> list[Finding]:
    """Find numbers that are infinite or outside what the column's name allows, and numbers that stand for 'missing'."""
    findings = []
    for name in subject.of_kind("number"):
        numbers, _ = parse_numbers(subject.frame[name], frozenset(subject.missing_values))
        low, high = next((ends for pattern, *ends in RANGES if re.search(pattern, name.lower())), (-np.inf, np.inf))
        rows = np.flatnonzero(np.isinf(numbers) | (numbers < low) | (numbers > high))
        if len(rows):
            if np.isfinite([low, high]).any():
                message = sentence(
                    "audit.impossible.found_outside",
                    "{rows:count row} {rows:do hold} numbers outside {low} to {high} or infinite ones",
                    rows=len(rows),
                    low=f"{low:g}",
                    high=f"{high:g}",
                )
            else:
                message = sentence(
                    "audit.impossible.found", "{rows:count row} {rows:do hold} infinite numbers", rows=len(rows)
                )
            action = sentence("audit.impossible.action", "Correct them, or leave the cells empty")
            seen = subject.examples(rows, (name,))
            more = (name, len(rows), seen, "--fix impossible", rows)
            findings.append(Finding("warning", "impossible", message, action, *more))
        if (marker := _marker(numbers)) is not None:
            rows = np.flatnonzero(numbers == marker)
            message = sentence(
                "audit.impossible.found_marker",
                "{number} stands in {rows:count row}, far from all other numbers",
                number=f"{marker:g}",
                rows=len(rows),
            )
            action = sentence(
                "audit.impossible.action_marker",
                "If it means 'missing' or 'more than can be written', add '{number}' to data.missing_values",
                number=f"{marker:g}",
            )
            seen = subject.examples(rows, (name,))
            setting = f"data.missing_values: ['{marker:g}']"
            findings.append(Finding("note", "impossible", message, action, name, len(rows), seen, setting))
    return findings


def _marker(numbers: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    distinct = np.unique(numbers[np.isfinite(numbers)])
    if len(distinct) < 10:
        return None
    for end, next_, others in (
        (distinct[-1], distinct[-2], distinct[:-1]),
        (distinct[0], distinct[1], distinct[1:]),
    ):
        is_far = abs(end - next_) > np.ptp(others)
        if end in MARKERS and is_far and int((numbers == end).sum()) >= MARKER_ROWS:
            return float(end)
    return None


def audit_future(subject: Subject) -> list[Finding]:
    """Find dates that are still to come, where the others are past."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None)
    findings = []
    for name in subject.of_kind("date"):
        cells = subject.frame[name]
        read = reader(cells)
        if read is None:
            continue
        times = read(cells)
        rows = (times > tomorrow).fill_null(False).arg_true().to_numpy().astype(np.int64)
        if not len(rows) or len(rows) > MOSTLY * len(times):  # a calendar of what is planned
            continue
        message = sentence(
            "audit.future-dates.found", "{rows:count row} {rows:do have} a date in the future", rows=len(rows)
        )
        action = sentence("audit.future-dates.action", "Correct them, or leave the cells empty")
        seen = subject.examples(rows, (name,))
        more = (name, len(rows), seen, "--fix future-dates", rows)
        findings.append(Finding("warning", "future-dates", message, action, *more))
    return findings
