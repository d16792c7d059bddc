"""Each check finds the defect that is planted, and every fix mends it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from luban.audit import CHECKS, AuditReport, Finding, Subject, audit, too_slow
from luban.audit.confident import doubt, out_of_fold
from luban.audit.fixes import FIXES, apply_fixes
from luban.audit.label_errors import audit_label_errors
from luban.core.answers import AnswerKind
from luban.data import sources
from luban.features import schema
from luban.features.plain.columns import fit_text
from luban.tasks import infer_task

ROWS = 240


def subject(columns: Any, target: str = "y", *, budget: float | None = None, **others: Any) -> Subject:
    table = sources.read(columns)
    plans = schema.plan(table, target=target, missing_values=("?",))
    answer = infer_task(schema.profile(table, target)).answer
    tables = {role: sources.read(other) for role, other in others.items()}
    return Subject(table, target, answer, {plan.name: plan.kind for plan in plans}, tables, ("?",), budget=budget)


def clean() -> dict[str, list[Any]]:
    draw = np.random.default_rng(0)
    words = np.array(
        [
            "card",
            "bank",
            "loan",
            "rate",
            "open",
            "lost",
            "stolen",
            "money",
            "transfer",
            "fee",
            "paid",
            "late",
            "early",
            "branch",
            "phone",
        ]
    )
    x = draw.normal(size=ROWS).round(3)
    return {
        "x": x.tolist(),
        "colour": draw.choice(["red", "green", "blue"], ROWS).tolist(),
        "text": [" ".join(draw.permutation(words)[:12]) for _ in range(ROWS)],
        "y": np.where(x + draw.normal(size=ROWS) > 0, "yes", "no").tolist(),
    }


def planted(**changes: Any) -> dict[str, list[Any]]:
    """Return clean rows with other columns, or with cells by position."""
    columns = clean()
    for name, change in changes.items():
        if isinstance(change, dict):
            cells = list(columns[name])
            for position, cell in change.items():
                cells[position] = cell
            columns[name] = cells
        else:
            columns[name] = list(change)
    return columns


def with_copies(rows: list[int], **changes: Any) -> dict[str, list[Any]]:
    columns = clean()
    for name in columns:
        copies = [columns[name][row] for row in rows]
        columns[name] = columns[name] + [changes.get(name, str)(copy) if name in changes else copy for copy in copies]
    return columns


def serious(report: AuditReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity != "note"]


def test_clean_rows_have_nothing_worse_than_notes() -> None:
    assert serious(audit(subject(clean()))) == []


DRAW = np.random.default_rng(1)
WHEN = [f"20{year:02}-03-1{day}" for year in range(10, 20) for day in range(10)] * 3
DEFECTS: dict[str, dict[str, list[Any]]] = {
    "no-inputs": {"user_id": list(range(5000, 5000 + ROWS)), "y": clean()["y"]},
    "missing-target": planted(y={3: None}),
    "rare-classes": planted(y={3: "maybe"}),
    "imbalance": planted(y=["no"] * (ROWS - 4) + ["yes"] * 4),
    "label-case": planted(y={3: "Yes", 4: "YES", 5: "ｎｏ"}),
    "leakage": planted(leak=[f"{label}{number % 5}" for number, label in enumerate(clean()["y"])]),
    "order": planted(date=[f"2024-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(ROWS)]),
    "duplicates": with_copies([5, 9]),
    "conflicting": with_copies([5], y=lambda cell: "no" if cell == "yes" else "yes"),
    "near-duplicates": with_copies([5, 9], text=lambda cell: cell.upper() + "!"),
    "constant": planted(same=["a"] * ROWS),
    "identifiers": planted(user_id=range(5000, 5000 + ROWS)),
    "almost-unique": planted(street=[f"Lane{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}" for n in range(ROWS // 2)] * 2),
    "number-text": planted(price=[f"${1000 + 7 * n:,}" for n in DRAW.integers(0, 90, ROWS)]),
    "impossible": planted(age=[-4, *DRAW.integers(20, 70, ROWS - 1).tolist()]),
    "future-dates": planted(born=[*WHEN[: ROWS - 1], "2999-01-01"]),
    "missing-cells": planted(filled=[None if y == "no" else float(n % 17) for n, y in enumerate(clean()["y"])]),
    "encodings": planted(text={7: "Ã©tÃ© cafÃ© card bank loan rate open"}),
    "languages": planted(
        text=[
            *(f"the card {n} is lost and what is this" for n in range(200)),
            *(f"die Karte {n} ist nicht da und das ist" for n in range(40)),
        ]
    ),
}


@cache
def audited(name: str) -> AuditReport:
    """Return the audit of the rows with a defect, made once for the tests that read it."""
    return audit(subject(DEFECTS[name]))


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found_and_can_be_shown(name: str) -> None:
    found = [finding for finding in audited(name).findings if finding.check == name]
    assert found
    assert all(finding.rows > 0 and str(finding).endswith(".") for finding in found)
    assert all(len(finding.examples) <= 3 for finding in found)


@pytest.mark.parametrize("name", [fix.name for fix in FIXES if fix.name in DEFECTS and fix.name != "suspects"])
def test_a_fix_mends_what_its_check_found(name: str) -> None:
    columns = DEFECTS[name]
    frame, (done,) = apply_fixes(subject(columns), [name])
    assert done.startswith(f"{name}: ")
    assert pl.DataFrame(columns, strict=False).height >= frame.height
    left = [found for found in audit(subject(frame)).findings if found.setting == f"--fix {name}"]
    assert left == []


@pytest.mark.parametrize(
    ("price", "weight", "mended"),
    [
        (["1,5", "-12,25", "1.234,5"], ["1,250", "2,375", "3,125"], [[1.5, -12.25, 1234.5], [1.25, 2.375, 3.125]]),
        (["1,500", "2,250", "1,234"], ["1,250", "2,375", "3,125"], [[1500, 2250, 1234], [1250, 2375, 3125]]),
        (["$1,500.5", "$2", "$1,234,567"], ["0,5", "1,5", "2,5"], [[1500.5, 2, 1234567], [0.5, 1.5, 2.5]]),
    ],
    ids=["decimals decide", "thousands", "both"],
)
def test_commas_are_taken_for_what_they_are(price: list[str], weight: list[str], mended: list[list[float]]) -> None:
    rows = subject(planted(price=price * (ROWS // 3), weight=weight * (ROWS // 3)))
    frame, _ = apply_fixes(rows, ["number-text"])
    assert [frame[name].cast(pl.Float64).head(3).to_list() for name in ("price", "weight")] == mended


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("weight", [-4], "1 row holds numbers below 0 or infinite ones"),
        ("lat", [-91, 95], "2 rows hold numbers outside -90 to 90 or infinite ones"),
        ("size", [np.inf], "1 row holds infinite numbers"),
    ],
)
def test_what_a_number_cannot_be_is_said(name: str, cells: list[float], said: str) -> None:
    numbers = [*cells, *(20.0 + n % 50 for n in range(ROWS - len(cells)))]
    found = [finding.message for finding in audit(subject(planted(**{name: numbers}))).findings]
    assert said in found


def test_every_check_says_its_own_name() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    alone = {check.name for check in CHECKS if not check.needs_others}
    for name in DEFECTS:
        report = audited(name)
        assert {finding.check for finding in report.findings} <= set(report.checks) == alone
    with_others = audit(subject(clean(), test=clean()))
    assert {finding.check for finding in with_others.findings} <= set(with_others.checks) == set(names)


def test_rows_of_the_test_table_are_found_and_removed() -> None:
    test = {name: cells[:30] for name, cells in clean().items()}
    rows = subject(clean(), test=test)
    (found,) = [finding for finding in audit(rows).findings if finding.check == "overlap"]
    assert (found.severity, found.rows) == ("warning", 30)
    assert apply_fixes(rows, ["overlap"])[0].height == ROWS - 30


def test_rows_to_predict_on_that_come_from_elsewhere_are_found() -> None:
    other = clean() | {"x": [x + 3 for x in clean()["x"]], "colour": ["purple"] * ROWS}
    found = {item.column for item in audit(subject(clean(), against=other)).findings if item.check == "drift"}
    assert found == {"x", "colour"}


def test_a_training_leaves_out_the_costliest_checks_only() -> None:
    assert audit(subject(clean(), budget=5.0)).skipped == ()
    report = audit(subject(clean(), budget=0.03))
    assert set(report.skipped) == {"label-errors", "leakage"}
    assert not set(report.skipped) & set(report.checks)
    assert 1 < report.skipped_seconds < 2


def test_a_training_does_not_wait_for_a_look_at_each_of_many_columns() -> None:
    columns: dict[str, Any] = {f"c{place}": [row * place % 97 for row in range(100)] for place in range(1, 1_001)}
    report = audit(subject(columns | {"y": ["a", "b"] * 50}, budget=2.0))
    assert report.skipped_seconds > 10  # a model of each column alone
    assert "leakage" in report.skipped
    assert {"duplicates", "conflicting"} <= set(report.checks)
    assert report.seconds < 20


@pytest.mark.parametrize(
    ("name", "target", "skipped"),
    [
        ("adult/adult.csv", "income", set()),
        ("banking77/train.csv", "category", set()),
        ("mrpc/train.csv", "label", set()),
        ("mnist/train.parquet", "label", {"unreadable", "near-duplicates", "label-errors"}),
        ("fsdd/train.csv", "digit", set()),
    ],
)
def test_what_a_training_waits_for(shared_data: Path, name: str, target: str, skipped: set[str]) -> None:
    rows = subject(shared_data / name, target, budget=5.0)
    assert set(too_slow(rows, [check for check in CHECKS if not check.needs_others], 5.0)) == skipped


def test_planted_wrong_labels_of_banking77_lead_the_ranking(shared_data: Path) -> None:
    frame = pl.read_csv(shared_data / "banking77" / "train.csv")
    names = frame["category"].unique().sort()
    labels = frame["category"].rank("dense").to_numpy().astype(np.int64) - 1
    draw = np.random.default_rng(0)
    wrong = draw.choice(len(labels), len(labels) // 20, replace=False)
    labels[wrong] = (labels[wrong] + draw.integers(1, len(names), len(wrong))) % len(names)
    transform = fit_text(frame["text"])
    assert transform is not None
    doubts = doubt(out_of_fold(transform(frame["text"]), labels, len(names), 0), labels)
    first = doubts.order[: int(0.08 * len(labels))]
    assert np.isin(wrong, first).mean() >= 0.7
    mislabelled = frame.with_columns(names.gather(labels).alias("category"))
    (found,) = audit_label_errors(subject(mislabelled, "category"))
    assert found.severity == "warning"
    assert "with odds of 50 to 1 and more" in found.message


@pytest.mark.parametrize(
    ("name", "target"),
    [("adult/adult.csv", "income"), ("banking77/train.csv", "category"), ("mrpc/train.csv", "label")],
)
def test_clean_real_data_have_nothing_worse_than_notes(shared_data: Path, name: str, target: str) -> None:
    report = audit(subject(shared_data / name, target))
    assert serious(report) == []
    assert report.suspects or name.startswith("mrpc")


def test_clean_digits_have_nothing_worse_than_notes(shared_data: Path) -> None:
    frame = pl.read_parquet(shared_data / "mnist" / "train.parquet").gather_every(15)
    assert serious(audit(subject(frame, "label"))) == []


def test_texts_too_short_to_compare_are_near_no_other() -> None:
    texts = ["so", "or", "", "be it"] * 10
    table = subject({"text": texts, "y": ["a", "b"] * 20})
    table = Subject(table.table, "y", AnswerKind.CLASS, {"text": "text"})
    assert not [found for found in audit(table).findings if found.check == "near-duplicates"]
