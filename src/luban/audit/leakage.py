"""Inputs that give the answer away."""

from __future__ import annotations

import polars as pl

from luban.audit.finding import Finding
from luban.features.cells import hashes, strings

MIN_ROWS = 20  # with fewer, two columns may go together by chance


def audit_leakage(frame: pl.DataFrame, target: str, inputs: list[str]) -> list[Finding]:
    """Find inputs that are the target under another name: equal cells, or values that stand for each other one to one.

    Compared are the rows where both are there. Columns of lists and bytes are passed over. One-to-one values need 20
    rows and must repeat, since unique cells always stand for each other.
    """
    if not _is_comparable(frame[target]):
        return []
    answers = hashes(frame[target])
    findings = []
    for column in inputs:
        if column == target or not _is_comparable(frame[column]):
            continue
        pairs = pl.DataFrame({"x": hashes(frame[column]), "y": answers}).drop_nulls()
        distinct = pairs["y"].n_unique()
        if distinct < 2 or pairs["x"].n_unique() != distinct:
            continue
        remedy = f"Leave it out: data.columns: {{{column}: ignore}}"
        if _are_equal(frame[column], frame[target]):
            findings.append(Finding("error", column, f"it is a copy of the target '{target}'", remedy))
        elif len(pairs) >= MIN_ROWS and 2 * distinct <= len(pairs) and pairs.n_unique() == distinct:
            message = f"each of its {distinct} values stands for one value of the target '{target}'"
            findings.append(
                Finding("warning", column, message, f"If it is not known before the answer is, {_lower(remedy)}")
            )
    return findings


def _is_comparable(column: pl.Series) -> bool:
    return not (column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object))


def _are_equal(left: pl.Series, right: pl.Series) -> bool:
    """Tell whether cells that are there are the same text or the same numbers ('1.50' and '1.5')."""
    pairs = pl.DataFrame({"x": strings(left), "y": strings(right)}).drop_nulls()
    if (pairs["x"] == pairs["y"]).all():
        return True
    numbers, others = (side.cast(pl.Float64, strict=False) for side in (pairs["x"], pairs["y"]))
    return not numbers.null_count() and not others.null_count() and bool((numbers == others).all())


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
