"""Whether the target can be learned at all, and scored."""

from __future__ import annotations

import polars as pl

from luban.audit.finding import Finding, Severity
from luban.core.errors import listed
from luban.data.table import REJECTED_LIMIT
from luban.features.base import ColumnProfile
from luban.features.cells import strings
from luban.features.labels import LabelsFeature

FEW_CLASSES = 20  # more distinct numbers than this are quantities
RARE_ROWS = 5  # a class with fewer rows is rare
DOMINANT_SHARE = 0.95  # a class this common makes accuracy say little


def audit_target(target: pl.Series) -> list[Finding]:
    """Find a target that is missing, has one value only, or has classes too rare to be scored.

    Only columns whose values repeat have classes: numbers with more than 20 values and near-unique cells have none.
    """
    if target.dtype.is_nested() or target.dtype == pl.Binary:
        return _missing(target, target.null_count())
    cells = strings(target)
    present = cells.drop_nulls().rename("label")
    findings: list[Finding] = []
    counted = present.value_counts(sort=True)
    if len(counted) == 1:
        findings.append(
            Finding(
                "error",
                target.name,
                f"every row of the target has the value '{counted['label'][0]}'",
                "Add rows with other values, or choose another target",
            )
        )
    elif len(counted) > 1 and _has_classes(present, len(counted)):
        findings += _rare(target.name, counted.sort("count", "label")) + _dominant(target.name, counted, len(present))
    return findings + _missing(target, len(cells) - len(present))


def _missing(target: pl.Series, num_missing: int) -> list[Finding]:
    if num_missing == len(target):
        message, action = "every cell of the target is missing", "Check the name of the target"
        return [Finding("error", target.name, message, action)]
    if num_missing:
        message = f"the target is missing in {num_missing} of {len(target)} rows"
        severity: Severity = "error" if num_missing > REJECTED_LIMIT * len(target) else "warning"
        return [Finding(severity, target.name, message, "These rows cannot be trained on: fill them in or remove them")]
    return []


def _has_classes(present: pl.Series, num_distinct: int) -> bool:
    numbers = present.cast(pl.Float64, strict=False)
    if numbers.null_count() == 0 and num_distinct > FEW_CLASSES:
        return False
    profile = ColumnProfile(present.name, present, len(present), 0, num_distinct)
    has_several = LabelsFeature.match(profile) > 0  # combinations of labels are rarer than the labels
    return not has_several and 2 * num_distinct <= len(present)


def _rare(column: str, counted: pl.DataFrame) -> list[Finding]:
    """counted: label and count, rarest first."""
    findings = []
    lone = counted.filter(pl.col("count") == 1)["label"]
    if len(lone):
        message = f"classes with one row: {listed(lone)}"
        action = "Such a row is trained on and its class is never scored: add rows, or merge the class with another"
        findings.append(Finding("warning", column, message, action))
    rare = counted.filter(pl.col("count").is_between(2, RARE_ROWS - 1))["label"]
    if len(rare):
        message = f"classes with fewer than {RARE_ROWS} rows: {listed(rare)}"
        findings.append(Finding("note", column, message, "Their scores are chance: add rows, or merge classes"))
    return findings


def _dominant(column: str, counted: pl.DataFrame, num_rows: int) -> list[Finding]:
    """counted: label and count, most frequent first."""
    share = int(counted["count"][0]) / num_rows
    if share < DOMINANT_SHARE:
        return []
    message = f"'{counted['label'][0]}' is the answer in {share:.1%} of the rows"
    action = "Read balanced_accuracy or f1, and consider train.loss.class_weights=balanced"
    return [Finding("note", column, message, action)]
