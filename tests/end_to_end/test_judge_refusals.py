"""What the judging refuses, each in one sentence: damaged facts of validation rows, levels, columns of groups."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.end_to_end.test_goal import noisy, tagged

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError
from luban.predictor import Predictor
from luban.tasks.validated import Validated

GOOD: dict[str, Any] = {
    "temperature": 1.5,
    "rows": 90,
    "threshold": {"goal": "f1", "threshold": 0.3, "met": True, "stated": True, "labels": None},
    "conformal": {"method": "lac", "scores": [0.1, 0.2, 0.3], "weights": None, "rows": None},
}
DAMAGED: list[tuple[tuple[str, ...], object, str]] = [
    (("temperature",), 0, "temperature"),
    (("temperature",), -1.0, "temperature"),
    (("temperature",), math.nan, "temperature"),
    (("temperature",), math.inf, "temperature"),
    (("temperature",), "1.5", "temperature"),
    (("temperature",), None, "temperature"),
    (("rows",), -3, "rows"),
    (("rows",), 1.5, "rows"),
    (("threshold", "threshold"), 1.5, "threshold.threshold"),
    (("threshold", "threshold"), math.nan, "threshold.threshold"),
    (("threshold", "threshold"), [0.5], "threshold.threshold"),
    (("threshold", "goal"), "speed", "balanced_accuracy"),
    (("threshold", "stated"), "yes", "threshold.stated"),
    (("threshold", "labels"), {"never": 0.5}, "thresholds of unknown labels, 'never'"),
    (("threshold", "more"), 1, "threshold.more"),
    (("threshold",), 0.5, "threshold"),
    (("conformal", "scores"), [0.3, 0.2], "ascending order"),
    (("conformal", "scores"), [0.1, math.nan], "conformal.scores.1"),
    (("conformal", "scores"), "0.1", "conformal.scores"),
    (("conformal", "weights"), [0.5], "one weight a score"),
    (("conformal", "method"), "residual", "prediction sets by 'residual', which the task binary has not"),
    (("conformal", "method"), "magic", "conformal.method"),
]


def damaged(path: tuple[str, ...], value: object) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(GOOD))
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return content


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run; tests damage copies of it."""
    import luban as library

    folder = tmp_path_factory.mktemp("runs")
    library.train(noisy(400), target="sold", runs=str(folder), train__epochs=1, quiet=True)
    return folder / "table"


def with_calibration(run: Path, folder: Path, content: bytes, *, sealed: bool = True) -> Path:
    """Copy a run and write its calibration.json; sealed: with the hash that belongs to it."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    (copy / artifact.CALIBRATION).write_bytes(content)
    if sealed:
        manifest = json.loads((copy / artifact.MANIFEST).read_text())
        manifest["files"][artifact.CALIBRATION] = artifact.sha256(copy / artifact.CALIBRATION)
        (copy / artifact.MANIFEST).write_text(json.dumps(manifest))
    return copy


@pytest.mark.parametrize(("path", "value", "words"), DAMAGED)
def test_facts_of_wrong_types_or_ranges_are_refused(
    run: Path, tmp_path: Path, path: tuple[str, ...], value: object, words: str
) -> None:
    task = Predictor.load(run).task
    (tmp_path / artifact.CALIBRATION).write_text(json.dumps(damaged(path, value)))
    with pytest.raises(ArtifactError) as caught:
        Validated.load(RunDirectory(tmp_path), task)
    message = str(caught.value)
    assert "calibration.json: expected what a training stored of its validation rows, found " in message
    assert words in message
    assert "\n" not in message


def test_sound_facts_are_read(run: Path, tmp_path: Path) -> None:
    (tmp_path / artifact.CALIBRATION).write_text(json.dumps(GOOD))
    found = Validated.load(RunDirectory(tmp_path), Predictor.load(run).task)
    assert found.temperature == 1.5
    assert found.threshold is not None
    assert found.threshold.threshold == 0.3


def test_every_command_refuses_a_damaged_file(luban, run: Path, tmp_path: Path) -> None:
    noisy(50).write_csv(tmp_path / "rows.csv")
    good = (run / artifact.CALIBRATION).read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    for content, sealed, words in (
        (bytes(flipped), False, "found one that was changed since"),
        (good[: len(good) // 2], False, "found one that was changed since"),
        (good[: len(good) // 2], True, "expected what a training stored"),
        (b"", True, "expected what a training stored"),
        (b"[1, 2]", True, "expected what a training stored"),
        (bytes(flipped), True, "calibration.json: expected what a training stored"),
        (json.dumps(damaged(("temperature",), 0)).encode(), True, "greater than 0"),
        (json.dumps(damaged(("temperature",), math.nan)).encode(), True, "temperature"),
    ):
        copy = with_calibration(run, tmp_path, content, sealed=sealed)
        for command in ("predict", "evaluate"):
            found = luban(command, copy, "rows.csv")
            assert found.code == 1, found.err
            assert words in found.err
            assert len(found.err.strip().splitlines()) == 1


@pytest.mark.parametrize("level", ["0", "1", "1.5", "-0.1", "nan"])
def test_levels_that_nothing_can_promise_are_refused(luban, run: Path, tmp_path: Path, level: str) -> None:
    noisy(20).write_csv(tmp_path / "rows.csv")
    found = luban("predict", run, "rows.csv", "--sets", level)
    assert found.code == 1
    assert "--sets: expected a number between 0 and 1, found " in found.err


def test_a_run_without_validation_rows_has_no_sets(luban, tmp_path: Path) -> None:
    noisy(200).write_csv(tmp_path / "rows.csv")
    settings = ("--set", "data.split.validation=0", "--set", "train.epochs=1")
    assert luban("train", "rows.csv", "--target", "sold", *settings).code == 0
    found = luban("predict", "runs/rows", "rows.csv", "--sets", "0.9")
    assert found.code == 1
    assert "expected a run with validation rows, which prediction sets are made from, found none stored" in found.err
    assert luban("predict", "runs/rows", "rows.csv", "-o", "out.csv").code == 0


def test_validations_between_epochs_need_rows_for_them(luban, tmp_path: Path) -> None:
    noisy(200).write_csv(tmp_path / "rows.csv")
    settings = ("--set", "data.split.validation=0", "--set", "train.validate_every=5")
    found = luban("train", "rows.csv", "--target", "sold", *settings)
    assert found.code == 1
    assert "train.validate_every: expected validation rows, found none. Leave it out, or set data.split." in found.err


def test_labels_need_rows_enough_for_a_level_too(luban, tmp_path: Path) -> None:
    tagged(200).write_csv(tmp_path / "rows.csv")
    assert luban("train", "rows.csv", "--target", "tags", "--set", "train.epochs=1").code == 0
    found = luban("predict", "runs/rows", "rows.csv", "--sets", "0.99")
    assert "expected 99 validation rows or more for the level 0.99, found 20" in found.err


def test_columns_of_groups(luban, run: Path, tmp_path: Path) -> None:
    rows = 3000
    names = pl.Series([f"g{place % 100}" for place in range(rows)])
    noisy(rows).with_columns(
        many=names,
        alone=pl.Series([f"u{place}" for place in range(rows)]),
        one=pl.lit("x"),
        gone=pl.lit(None, pl.String),
    ).write_csv(tmp_path / "rows.csv")
    for column, words in (
        ("mane", "Did you mean 'many'?"),
        ("many", "column 'many': expected at most 50 groups of 20 rows or more to compare, found 100"),
        ("alone", "column 'alone': expected two groups of 20 rows or more to compare, found fewer"),
        ("one", "column 'one': expected two groups of 20 rows or more to compare, found fewer"),
        ("gone", "column 'gone': expected two groups of 20 rows or more to compare, found fewer"),
    ):
        found = luban("evaluate", run, "rows.csv", "--by", column)
        assert found.code == 1, column
        assert words in found.err
        assert len(found.err.strip().splitlines()) == 1
    assert luban("evaluate", run, "rows.csv", "--by", "size", "-o", "scores.json").code == 0
    groups = json.loads((tmp_path / "scores.json").read_text())["fairness"]["groups"]
    assert [abs(group["rows"] - 600) < 3 for group in groups] == [True] * 5
    assert np.all([" to " in group["value"] for group in groups])


def test_a_training_says_which_groups_it_left_out(luban, tmp_path: Path) -> None:
    rows = 12_000
    noisy(rows).with_columns(many=pl.Series([f"g{place % 55}" for place in range(rows)])).write_csv(
        tmp_path / "rows.csv"
    )
    settings = ("--set", "evaluate.fairness_column=many", "--set", "train.epochs=1", "--set", "data.split.test=0.4")
    found = luban("train", "rows.csv", "--target", "sold", *settings)
    assert found.code == 0, found.err
    assert "groups of 'many' the 50 largest are compared" in found.out + found.err
