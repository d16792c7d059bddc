"""What the audit finds in a target and in the inputs, and what it leaves alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from luban.audit import AuditReport, Finding, Subject
from luban.audit import audit as audit_subject
from luban.audit.order import columns_in_order
from luban.core.errors import DataError
from luban.data.table import Table
from luban.features import schema
from luban.tasks import infer_task

# What these tables are made to show; of so few rows the other checks truly say that they repeat, or are numbered. The
# tables that are clean are not filtered.
CHECKED = ("missing-target", "one-class", "rare-classes", "imbalance", "leakage")


def table(columns: dict[str, Any]) -> Table:
    frame = pl.DataFrame(columns)
    return Table(frame, "rows.csv", None, np.arange(1, len(frame) + 1))


def whole_audit(rows: Table, target: str, inputs: list[str]) -> AuditReport:
    plans = schema.plan(rows, target=target)
    kinds = {plan.name: plan.kind for plan in plans if plan.name in inputs}
    profile = schema.profile(rows, target)
    answer = infer_task(profile).answer if len(profile.sample) else None
    return audit_subject(Subject(rows, target, answer, kinds))


def audit(rows: Table, target: str, inputs: list[str]) -> AuditReport:
    report = whole_audit(rows, target, inputs)
    return replace(report, findings=tuple(found for found in report.findings if found.check in CHECKED))


def findings_of(columns: dict[str, Any]) -> tuple[Finding, ...]:
    return audit(table(columns), "y", [name for name in columns if name != "y"]).findings


def test_clean_data_have_no_findings() -> None:
    columns = {"x": np.arange(60) % 7, "text": [f"row {i}" for i in range(60)], "y": ["a", "b", "c"] * 20}
    report = whole_audit(table(columns), "y", ["x", "text"])
    assert report.findings == ()
    report.check()


def test_a_target_of_one_value_is_an_error() -> None:
    report = audit(table({"x": range(5), "y": ["a", "a", "", "a", "a"]}), "y", ["x"])
    message = (
        r"rows.csv, column 'y': expected data that can be learned from, found every row of the target has the value"
    )
    with pytest.raises(DataError, match=message):
        report.check()
    assert [finding.severity for finding in report.findings] == ["error", "error"]
    assert json.loads(json.dumps(report.to_json()))["findings"][1] == {
        "severity": "error",
        "column": "y",
        "check": "missing-target",
        "message": "the target is missing in 1 of 5 rows",
        "message_parts": {"id": "audit.missing-target.found", "values": {"missing": 1, "rows": 5}},
        "rows": 1,
        "examples": [{"row": 3, "cells": {"y": ""}}],
        "action": "These rows cannot be trained on: fill them in or remove them",
        "action_parts": {"id": "audit.missing-target.action", "values": {}},
        "setting": "--fix missing-target",
    }


def test_a_target_without_cells_is_an_error() -> None:
    for empty in (["", None], pl.Series([None, None], dtype=pl.List(pl.String))):
        (found,) = findings_of({"x": [1, 2], "y": empty})
        assert str(found) == "column 'y': every cell of the target is missing. Check the name of the target."
        assert found.severity == "error"


def test_rare_classes_are_named() -> None:
    labels = ["a"] * 20 + ["b"] * 20 + ["c"] * 3 + ["d"] * 1 + ["e"] * 1
    found = findings_of({"x": range(45), "y": labels})
    assert [(finding.severity, finding.message) for finding in found] == [
        ("warning", "classes with one row: 'd', 'e'"),
        ("note", "classes with fewer than 5 rows: 'c'"),
    ]


def test_a_class_that_is_nearly_always_the_answer_is_noted() -> None:
    (found,) = findings_of({"x": range(200), "y": [0] * 192 + [1] * 8})
    assert (found.severity, found.message) == ("note", "'0' is the answer in 96.0% of the rows")


@pytest.mark.parametrize(
    "target",
    [
        np.linspace(0, 1, 60),
        [f"id{i}" for i in range(60)],
        [["a"], ["b"]] * 30,
        ["a;b", "b;c", "a", "b", "c", "c"] * 9 + ["a;b;c", "a;c", "a", "b", "c", "c"],
    ],
)
def test_targets_without_classes_have_no_rare_ones(target: Any) -> None:
    assert findings_of({"x": np.arange(60) % 7, "y": target}) == ()


@pytest.mark.parametrize(
    "copy",
    [
        ["1", "0", "1"] * 2,
        [1, 0, 1] * 2,
        [1.0, 0.0, None] * 2,
        ["1.00", "0.00", "1.00"] * 2,
    ],
)
def test_a_copy_of_the_target_is_an_error_that_says_how_to_go_on(copy: list[Any]) -> None:
    report = audit(table({"x": range(6), "copy": copy, "y": ["1", "0", "1"] * 2}), "y", ["x", "copy"])
    message = r"column 'copy': .* found it is a copy of the target 'y'. Leave it out: data.columns: {copy: ignore}."
    with pytest.raises(DataError, match=message):
        report.check()


def test_a_copy_of_a_quantity_is_found_too() -> None:
    values = np.random.default_rng(0).normal(size=30)
    (found,) = findings_of({"copy": values, "y": [str(value) for value in values]})
    assert (found.severity, found.column) == ("error", "copy")


def test_values_that_stand_for_the_answer_are_a_warning() -> None:
    names = ["zero", "one", "two"] * 10
    report = audit(table({"digit": [0, 1, 2] * 10, "same": names, "y": names}), "y", ["digit"])
    (found,) = report.findings
    assert found.severity == "warning"
    assert found.message == "each of its 3 values stands for one value of the target 'y'"
    assert found.action == "If it is not known before the answer is, leave it out: data.columns: {digit: ignore}"
    report.check()


@pytest.mark.parametrize(
    "columns",
    [
        {"x": ["p", "q"] * 9, "y": ["a", "b"] * 9},  # too few rows
        {"x": ["p", "q"] * 20, "y": ["a", "b"] * 19 + ["b", "a"]},  # not one to one
        {"x": ["p", "q", "r", "q"] * 10, "y": ["a", "b"] * 20},  # one way only
        {"x": [f"p{i}" for i in range(40)], "y": [i * 1.5 for i in range(40)]},  # unique cells
        {"x": ["p"] * 40, "y": [None] * 20 + ["a"] * 10 + ["b"] * 10},
        {"x": [[1], [2]] * 20, "y": ["a", "b"] * 20},
        {"x": [b"1", b"2"] * 20, "y": ["a", "b"] * 20},
    ],
)
def test_what_does_not_give_the_answer_away_is_left_alone(columns: dict[str, Any]) -> None:
    assert not [found for found in findings_of(columns) if found.column == "x"]


def test_adult_is_clean_and_its_two_names_of_education_are_no_leak(shared_data: Path) -> None:
    frame = pl.read_csv(shared_data / "adult" / "adult.csv", infer_schema=False)
    rows = Table(frame, "adult.csv", None, np.arange(1, len(frame) + 1))
    found = whole_audit(rows, "income", [name for name in frame.columns if name != "income"])
    assert {finding.severity for finding in found.findings} <= {"note"}
    others = [name for name in frame.columns if name != "education"]
    leaks = [found.column for found in audit(rows, "education", others).findings if "stands for" in found.message]
    assert leaks == ["education_num"]


def test_rows_in_the_order_of_time_are_seen() -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 31)]
    german = [f"{day:02}.{month:02}.2024 08:30" for month in (1, 2, 3) for day in range(1, 11)]
    frame = pl.DataFrame({"date": days, "time": [1] * 30, "Zeitpunkt": german, "seen": days[::-1], "x": range(30)})

    def in_order(frame: pl.DataFrame) -> list[str]:
        kinds = {"date": "date", "time": "number", "Zeitpunkt": "date", "seen": "date", "x": "number"}
        rows = Table(frame, "rows.csv", None, np.arange(1, len(frame) + 1))
        return columns_in_order(Subject(rows, None, None, kinds))

    assert in_order(frame) == ["date", "Zeitpunkt", "seen"]
    assert in_order(frame.sample(fraction=1.0, shuffle=True, seed=1)) == []
