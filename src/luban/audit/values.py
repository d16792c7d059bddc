"""Cells that cannot be meant: numbers written as text, impossible values, dates in the future."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from luban.audit.finding import Finding
from luban.audit.subject import Subject
from luban.core.sentence import sentence, several
from luban.features.cells import commonest, quoted, strings
from luban.features.number import parse_numbers
from luban.features.parsing.columns import in_one_writing
from luban.features.parsing.date_format import reader
from luban.features.parsing.numbers import may_be_numbers, reads, several_units

MOSTLY = 0.5
LOOKED_AT = 1000  # first cells of a column, of which most have to be numbers
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


def audit_number_text(subject: Subject) -> list[Finding]:
    """Find columns of numbers that are written as text: with signs and units, in several units, with words among
    them."""
    findings = []
    for name in subject.of_kind("number", "category", "text"):
        if subject.frame[name].dtype != pl.String:
            continue
        cells = _unmarked(subject, name)
        if subject.kinds[name] == "number":
            findings += _written_with_signs(subject, name, cells)
        elif may_be_numbers(cells.drop_nulls().head(LOOKED_AT), MOSTLY):
            findings += _not_all_numbers(subject, name, cells)
    return findings


def _unmarked(subject: Subject, name: str) -> pl.Series:
    """Return the cells of a column that do not mean 'missing'."""
    cells = strings(subject.frame[name])
    return cells.set(cells.is_in(list(subject.missing_values)).fill_null(False), None)


def _written_with_signs(subject: Subject, name: str, cells: pl.Series) -> list[Finding]:
    if subject.budget is not None:  # a training says itself how it reads them
        return []
    rewritten = strings(plain_numbers(subject)[name])
    rows = np.flatnonzero(strings(subject.frame[name]).ne_missing(rewritten).to_numpy())
    if not len(rows):
        return []
    first = int(rows[0])
    message = sentence(
        "audit.number-text.found",
        "{rows:count row} {rows:do hold} numbers written otherwise than 1234.5; {cell} is read as {number}",
        rows=len(rows),
        cell=quoted(cells[first]),
        number=str(rewritten[first]),
    )
    action = sentence("audit.number-text.action", "Write them like 1234.5, if that is not what is meant")
    seen = subject.examples(rows, (name,))
    return [Finding("note", "number-text", message, action, name, len(rows), seen, "--fix number-text", rows)]


def _not_all_numbers(subject: Subject, name: str, cells: pl.Series) -> list[Finding]:
    if units := several_units(cells):
        rows = cells.is_not_null().arg_true().to_numpy().astype(np.int64)
        message = sentence(
            "audit.number-text.found_units",
            "the cells are numbers in several units, {units}: it is taken as {kind}",
            units=several(units),
            kind=subject.kinds[name],
        )
        action = sentence("audit.number-text.action_units", "Write them in one unit, if their size matters")
        seen = subject.examples(rows, (name,))
        return [Finding("warning", "number-text", message, action, name, len(rows), seen)]
    found = reads(cells, least=MOSTLY)
    rows = np.flatnonzero(found.is_other)
    if not len(rows) or found.share < MOSTLY or bool(cells.head(LOOKED_AT).str.contains(r"^0\d").any()):
        return []
    others = commonest(cells.gather(rows))
    words = others.filter(~others.str.contains(r"\d")).head(3).to_list()
    message = sentence(
        "audit.number-text.found_words",
        "most cells are numbers, but not {words}: it is taken as {kind}",
        words=several(words or others.head(3)),
        kind=subject.kinds[name],
    )
    if words:
        action = sentence("audit.number-text.action_words", "If these mean 'missing', add them to data.missing_values")
        setting = f"data.missing_values: [{', '.join(map(repr, words))}]"
    else:  # what holds digits says something: it is not to be thrown away
        action, setting = sentence("audit.number-text.action_others", "Write these like 1234.5, if size matters"), None
    seen = subject.examples(rows, (name,))
    return [Finding("warning", "number-text", message, action, name, len(rows), seen, setting)]


def plain_numbers(subject: Subject) -> pl.DataFrame:
    """Return the columns with all numbers as a training would read them, written like 1234.5."""
    if "plain numbers" not in subject.cache:
        rewritten = in_one_writing(subject.table, subject.of_kind("number"), (), subject.missing_values)
        subject.cache["plain numbers"] = rewritten.table.frame
    frame: pl.DataFrame = subject.cache["plain numbers"]
    return frame


def audit_impossible(subject: Subject) -> list[Finding]:
    """Find numbers that are infinite or outside what the column's name allows, and numbers that stand for 'missing'."""
    findings = []
    for name in subject.of_kind("number"):
        numbers, _ = parse_numbers(subject.frame[name], frozenset(subject.missing_values))
        low, high = next((ends for pattern, *ends in RANGES if re.search(pattern, name.lower())), (-np.inf, np.inf))
        rows = np.flatnonzero(np.isinf(numbers) | (numbers < low) | (numbers > high))
        if len(rows):
            if np.isfinite(low) and np.isinf(high):
                message = sentence(
                    "audit.impossible.found_below",
                    "{rows:count row} {rows:do hold} numbers below {low} or infinite ones",
                    rows=len(rows),
                    low=f"{low:g}",
                )
            elif np.isfinite(low):
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
