"""Several targets in one training, through the command line: a class, a number and labels, of which cells lack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import luban as library

TARGETS = ["buys", "hours", "tags"]
FAST = ("--set", "train.epochs=12", "--set", "train.optim.learning_rate=0.005", "--no-preflight")


def visits(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Each target follows from the inputs; of nine rows one or two lack it, each another one."""
    draw = np.random.default_rng(seed)
    x, city = draw.normal(size=rows).round(4), draw.choice(["u", "v", "w"], rows)
    numbers = np.arange(rows)
    labels = [
        ";".join(name for name, has in zip("pq", row, strict=True) if has) or "[]"
        for row in zip(x > 0, city == "v", strict=True)
    ]
    return pl.DataFrame(
        {
            "x": x,
            "city": city,
            "buys": [None if i % 9 == 2 else ("no", "yes")[int(v > 0)] for i, v in zip(numbers, x, strict=True)],
            "hours": [
                None if i % 9 in (4, 5) else round(float(3 * v + 2 * (c == "u")), 3)
                for i, v, c in zip(numbers, x, city, strict=True)
            ],
            "tags": [None if i % 9 == 7 else cell for i, cell in zip(numbers, labels, strict=True)],
        }
    )


def read(run: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / name).read_text("utf-8"))
    return found


def test_several_targets_are_trained_judged_and_predicted_together(luban, tmp_path: Path) -> None:
    visits().write_csv(tmp_path / "visits.csv")
    trained = luban("train", "visits.csv", "--target", "buys,hours,tags", *FAST)
    assert trained.code == 0, trained.err
    assert "target 'hours': regression" in trained.out
    run = tmp_path / "runs" / "visits"
    assert yaml.safe_load((run / "config.yaml").read_text("utf-8"))["data"]["target"] == TARGETS
    metrics = read(run, "metrics.json")
    assert (metrics["task"], metrics["decider"]) == ("several", "relative_loss")
    own = metrics["targets"]
    assert {name: found["task"] for name, found in own.items()} == {
        "buys": "binary",
        "hours": "regression",
        "tags": "multi_label",
    }
    assert own["buys"]["scores"]["accuracy"]["value"] > 0.85
    assert own["hours"]["scores"]["r2"]["value"] > 0.8
    assert own["tags"]["scores"]["micro_f1"]["value"] > 0.8
    relative = metrics["scores"]
    mean = np.mean([relative[f"relative_loss/{name}"]["value"] for name in TARGETS])
    assert relative["relative_loss"]["value"] == pytest.approx(mean)
    assert relative["relative_loss"]["low"] < mean < relative["relative_loss"]["high"] < 1
    for found in own.values():
        assert found["baselines"].keys() >= {"linear"}
        assert found["conformal"]["fitted_rows"]
    assert own["hours"]["mistakes"]
    stored = pl.read_parquet(run / "predictions.parquet")
    assert own["buys"]["rows"] == len(stored) - stored["actual_buys"].null_count() < len(stored)
    assert stored["predicted_buys"].null_count() == stored["predicted_hours"].null_count() == 0
    assert read(run, "explanations.json")["targets"].keys() == set(TARGETS)

    new = visits(50, seed=1)
    new.drop(TARGETS).write_csv(tmp_path / "new.csv")
    predicted = luban("predict", run, "new.csv", "-o", "out.csv", "--sets", "0.8")
    assert predicted.code == 0, predicted.err
    rows = pl.read_csv(tmp_path / "out.csv")
    assert {"predicted_buys", "probability_buys_yes", "predicted_hours", "predicted_tags", "low_hours"} <= set(
        rows.columns
    )
    seen = new["hours"].is_not_null()
    errors = (rows["predicted_hours"] - new["hours"]).filter(seen).abs()
    assert float(errors.mean()) < 1.0  # type: ignore[arg-type]

    new.write_csv(tmp_path / "labelled.csv")
    judged = luban("evaluate", run, "labelled.csv", "-o", "scores.json")
    assert judged.code == 0, judged.err
    assert f"buys: {len(new) - new['buys'].null_count()} rows" in judged.out
    again = read(tmp_path, "scores.json")
    assert again["targets"]["hours"]["rows"] == int(seen.sum())
    assert again["scores"]["relative_loss"]["value"] < 1

    explained = luban("explain", run, "labelled.csv", "--rows", "1", "--target", "hours", "--method", "occlusion")
    assert explained.code == 0, explained.err
    assert "hours" in explained.out
    traced = luban("trace", run, "1")
    assert traced.code == 0, traced.err


def test_tags_are_learned_beside_a_class_and_a_number_of_their_row(luban, tmp_path: Path) -> None:
    draw, lines = np.random.default_rng(0), list[str]()
    for i in range(160):
        words = draw.choice(["alice", "bob", "runs", "sleeps", "in", "paris", "today"], draw.integers(3, 9)).tolist()
        names = ["NAME" if word in ("alice", "bob", "paris") else "WORD" for word in words]
        row = {
            "tokens": words,
            "tags": None if i % 9 == 2 else names,
            "place": None if i % 9 == 5 else "yes" if "paris" in words else "no",
            "names": None if i % 9 == 7 else names.count("NAME") + 0.5,
        }
        lines.append(json.dumps(row))
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), "utf-8")
    options = ("--model", "transformer", "--set", "train.epochs=4", "--set", "train.optim.learning_rate=0.003")
    trained = luban("train", "rows.jsonl", "--target", "tags,place,names", *options)
    assert trained.code == 0, trained.err
    metrics = read(tmp_path / "runs" / "rows", "metrics.json")
    own = metrics["targets"]
    assert [found["task"] for found in own.values()] == ["tags", "binary", "regression"]
    assert own["tags"]["scores"]["token_accuracy"]["value"] > 0.95
    assert 0 <= metrics["scores"]["relative_loss/tags"]["value"] < 0.5
    predicted = luban("predict", "runs/rows", "rows.jsonl", "-o", "out.parquet")
    assert predicted.code == 0, predicted.err
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert {"predicted_tags", "predicted_place", "predicted_names"} <= set(frame.columns)
    assert luban("evaluate", "runs/rows", "rows.jsonl").code == 0


def test_one_target_and_several_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))
    settings: dict[str, Any] = {"train__epochs": 2, "train__preflight": False, "evaluate__learning_curve": False}
    settings |= {"data__columns": {"tags": "ignore"}}
    model = library.train(visits(200), target=["buys", "hours"], quiet=True, task__balance="uncertainty", **settings)
    frame = model.predict(visits(20, seed=2))
    assert frame.columns == ["predicted_buys", "probability_buys_no", "probability_buys_yes", "predicted_hours"]
    loaded = library.load(model.directory.path)
    assert loaded.predict(visits(20, seed=2)).equals(frame)
    assert repr(loaded).startswith("Model(")
    assert loaded.evaluate(visits(60, seed=2)).targets["buys"].task == "binary"
    one = library.train(visits(200), target="city", quiet=True, **settings)
    assert "targets" not in one.metrics
    assert one.predict(visits(5)).columns[0] == "predicted_city"


def test_runs_of_several_targets_are_compared_by_one_of_them(luban, tmp_path: Path) -> None:
    visits(160).write_csv(tmp_path / "visits.csv")
    for name, rate in (("a", 0.001), ("b", 0.05)):
        options = ("--target", "buys,hours", "--name", name, *FAST[-1:], "--set", "train.epochs=3")
        assert luban("train", "visits.csv", *options, "--set", f"train.optim.learning_rate={rate}").code == 0
    for more in ((), ("visits.csv",)):
        found = luban("compare", "runs/a", "runs/b", *more)
        assert found.code == 1
        assert "expected the target that is compared, since the run has several, found 'buys', 'hours'" in found.err
        wrong = luban("compare", "runs/a", "runs/b", *more, "--target", "hour")
        assert wrong.code == 1
        assert "expected a target of the run: 'buys', 'hours', found 'hour'. Did you mean 'hours'?" in wrong.err
        for target in ("buys", "hours"):
            compared = luban("compare", "runs/a", "runs/b", *more, "--target", target, "-o", "out.json", "--overwrite")
            assert compared.code == 0, compared.err
            written = json.loads((tmp_path / "out.json").read_text("utf-8"))
            assert written["decider"] == {"buys": "accuracy", "hours": "mse"}[target]
            if not more:
                scores = json.loads((tmp_path / "runs/b/metrics.json").read_text("utf-8"))["targets"][target]
                value = scores["scores"][written["decider"]]["value"]
                assert written["metrics"][written["decider"]]["b"] == pytest.approx(value)
                assert written["rows"] == scores["rows"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", "buys,buys"), "data.target: expected each target once, found 'buys' twice"),
        (("--target", "buys,hour"), "target 'hour': expected the name of a column"),
        (("--target", "bys,hour"), "target 'bys,hour': expected the name of a column"),
        (("--target", "buys,empty"), "every cell of the target is missing"),
        (("--target", "buys,hours", "--set", "data.task={hour: regression}"), "expected tasks of the targets"),
        (("--target", "buys,hours", "--set", "task.balance=by_hand"), "expected a weight by target, found none"),
        (("--target", "buys,hours", "--set", "train.metric=accuracy"), "expected a metric of several: 'relative_loss'"),
        (("--target", "hours,x", "--set", "evaluate.goal=f1"), "expected a task that decides by a threshold"),
        (("--target", "x", "--set", "task.weights={x: 1}"), "task.weights: expected several targets"),
    ],
)
def test_mistakes_about_several_targets_are_one_sentence(
    luban, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    visits(100).with_columns(pl.lit(None, pl.String).alias("empty")).write_csv(tmp_path / "visits.csv")
    found = luban("train", "visits.csv", *options)
    assert found.code == 1, found.out
    assert words in found.err
    assert len(found.err.strip().splitlines()) == 1


def test_a_column_whose_name_has_a_comma_is_one_target(luban, tmp_path: Path) -> None:
    visits(100).rename({"buys": "x,hours"}).write_csv(tmp_path / "visits.csv")
    found = luban("audit", "visits.csv", "--target", "x,hours")
    assert "x,hours: the target is missing" in found.out


def test_an_audit_of_several_targets_says_that_rows_may_lack_them(luban, tmp_path: Path) -> None:
    visits().write_csv(tmp_path / "visits.csv")
    found = luban("audit", "visits.csv", "--target", "buys,hours,tags", "--json", "audit.json")
    assert found.code == 0, found.out
    lacking = [item for item in read(tmp_path, "audit.json")["findings"] if item["check"] == "missing-target"]
    assert [(item["column"], item["severity"]) for item in lacking] == [(name, "note") for name in TARGETS]
