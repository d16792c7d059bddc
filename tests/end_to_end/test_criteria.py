"""What a run is judged by is what its configuration says: in its own verdict, in `evaluate` and in `compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.end_to_end.resealed import reseal
from tests.end_to_end.test_compare_command import intents, refusal
from tests.end_to_end.test_goal import noisy

from luban.core.artifact import RunDirectory
from luban.core.errors import ArtifactError, ConfigError
from luban.evaluation.compare import Judged, check_rows
from luban.evaluation.criteria import Criteria
from luban.predictor import Predictor
from luban.tasks.regression import Regression


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_metric_level_groups_and_seed_are_the_runs(luban, tmp_path: Path) -> None:
    with_groups(600, 0).write_csv(tmp_path / "sales.csv")
    with_groups(300, 1).write_csv(tmp_path / "new.csv")
    noisy(300, seed=1).write_csv(tmp_path / "bare.csv")
    settings = ("train.metric=log_loss", "evaluate.level=0.8", "evaluate.fairness_column=shop", "train.epochs=1")
    settings = (*settings, "data.columns={shop: ignore}")
    options = [option for setting in settings for option in ("--set", setting)]
    trained = luban("train", "sales.csv", "--test", "new.csv", "--target", "sold", "--seed", "3", *options)
    assert trained.code == 0, trained.err
    run = tmp_path / "runs/sales"
    own = read(run / "metrics.json")
    assert (own["decider"], own["conformal"]["level"], own["fairness"]["column"]) == ("log_loss", 0.8, "shop")

    evaluated = luban("evaluate", run, "new.csv", "-o", "scores.json")
    assert evaluated.code == 0, evaluated.err
    again = read(tmp_path / "scores.json")
    for part in ("decider", "rows", "conformal", "calibration"):
        assert again[part] == own[part]
    assert again["scores"] == {name: pytest.approx(score, rel=1e-4) for name, score in own["scores"].items()}
    assert [group["value"] for group in again["fairness"]["groups"]] == ["'east'", "'west'"]

    bare = luban("evaluate", run, "bare.csv", "-o", "bare.json")
    assert bare.code == 0, bare.err
    assert "bare.csv has no column 'shop', whose groups were compared in the training" in bare.err
    assert read(tmp_path / "bare.json")["fairness"] is None

    other = luban("train", "sales.csv", "--test", "new.csv", "--target", "sold", "--set", "train.epochs=1")
    assert other.code == 0, other.err
    compared = luban("compare", run, "runs/sales-2", "-o", "c.json")
    assert compared.code == 0, compared.err
    found = read(tmp_path / "c.json")
    assert found["decider"] == "log_loss"
    assert "log loss" in found["verdict"].split(":")[1]
    assert "McNemar" not in found["verdict"]
    assert found["verdict"].endswith("B was trained for accuracy, A for log loss, which decides here.")
    turned = luban("compare", "runs/sales-2", run, "new.csv", "-o", "t.json")
    assert turned.code == 0, turned.err
    assert read(tmp_path / "t.json")["decider"] == "accuracy"


def with_groups(rows: int, seed: int) -> Any:
    frame = noisy(rows, seed)
    return frame.with_columns(shop=(frame["noise"] > 0).replace_strict({True: "east", False: "west"}))


def test_what_decides_must_be_known_of_the_rows(luban, tmp_path: Path) -> None:
    intents().write_csv(tmp_path / "intents.csv")
    settings = ("--target", "intent", "--set", "train.epochs=1", "--set", "train.metric=log_loss")
    trained = luban("train", "intents.csv", *settings)
    assert trained.code == 0, trained.err
    shutil.copytree("runs/intents", "copy")
    line = refusal(luban, "runs/intents", "copy")
    assert "expected probabilities, since log loss decides (train.metric)" in line
    assert "Name rows for both to predict: luban compare RUN_A RUN_B DATA" in line
    found = luban("compare", "runs/intents", "copy", "intents.csv")
    assert "log loss" in found.out.splitlines()[-1]

    run = RunDirectory.open("copy")
    task = Predictor.load("copy").task
    config = tmp_path / "copy/config.yaml"
    settings = yaml.safe_load(config.read_text())
    for damage in ("[", "[1]", "train: {metric: acuracy}", "evaluate: {level: 2}"):
        config.write_text(damage)
        reseal(tmp_path / "copy")
        with pytest.raises(
            ArtifactError, match="config.yaml: expected the settings (that the run was judged by|of a run)"
        ):
            Criteria.load(run, task)
    del settings["evaluate"], settings["train"]["metric"]
    config.write_text(yaml.safe_dump(settings))
    reseal(tmp_path / "copy")
    old = Criteria.load(run, task)
    assert (old.decider.name, old.config.level, old.seed) == ("accuracy", 0.9, 0)


def test_rows_that_were_named_are_not_asked_for_again(tmp_path: Path) -> None:
    def judged(rows: int, **named: bool) -> Judged:
        place = np.arange(rows)
        return Judged(RunDirectory(tmp_path), Regression("y", 0.0, 1.0), place, place * 1.0, place * 1.0, **named)

    with pytest.raises(ConfigError, match="Name rows for both to predict"):
        check_rows(judged(3), judged(4))
    with pytest.raises(ConfigError, match="Name rows that both read alike"):
        check_rows(judged(3, is_named=True), judged(4, is_named=True))
