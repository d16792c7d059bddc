"""Whether the higher or the lower score of a metric is the better one: written with the scores, and read from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from luban.evaluation.evaluate import evaluate
from luban.report.content import Content
from luban.report.language.words import words
from luban.report.runs import select
from luban.report.sections import verdict
from luban.tasks.classification import Binary
from luban.tasks.regression import Regression


def content(name: str, metrics: dict[str, Any]) -> Content:
    return Content(Path(name), {}, {}, metrics, {}, {}, {}, (), ())


def scored(decider: str, value: float, **metrics: Any) -> dict[str, Any]:
    return {
        "rows": 500,
        "decider": decider,
        "scores": {decider: {"value": value, "low": None, "high": None}},
        **metrics,
    }


def test_they_are_written_with_the_scores() -> None:
    numbers, labels = pl.Series("y", [1.0, 2.0, 4.0]), pl.Series("y", ["a", "b", "a"])
    regression, binary = Regression.fit(numbers), Binary.fit(labels)
    found = evaluate(regression, regression.encode(numbers)[0], np.array([1.0, 2.0, 3.0]), {}).to_json()
    assert found["directions"] == {"mse": "lower", "rmse": "lower", "mae": "lower", "r2": "higher"}
    found = evaluate(binary, binary.encode(labels)[0], np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), {}).to_json()
    assert found["directions"].keys() == found["scores"].keys()
    assert [name for name, direction in found["directions"].items() if direction == "lower"] == ["log_loss"]


def test_the_report_goes_by_what_is_written() -> None:
    metrics = {"task": "of another day", "directions": {"perplexity": "lower", "bleu": "higher"}}
    run = content("run", metrics)
    assert (run.is_lower_better("perplexity"), run.is_lower_better("bleu"), run.is_lower_better("new")) == (
        True,
        False,
        False,
    )
    page = verdict.build(content("run", scored("perplexity", 8.0, **metrics)), words("en"))
    assert "lower" in str(page["score_of"])


@pytest.mark.parametrize(("task", "metric", "lower"), [("regression", "rmse", True), ("regression", "r2", False)])
def test_of_a_run_that_does_not_say_the_task_tells(task: str, metric: str, lower: bool) -> None:
    assert content("old", {"task": task}).is_lower_better(metric) is lower


def test_runs_are_sorted_from_the_best_on() -> None:
    runs = [
        content(name, scored("perplexity", value, directions={"perplexity": "lower"}))
        for name, value in (("b", 9.0), ("a", 3.0), ("c", 12.0))
    ]
    assert [run.name for run in select(runs, "perplexity", ())] == ["a", "b", "c"]
