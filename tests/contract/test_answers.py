"""What depends on the answer stands in tables by its kind, and nothing outside tasks/ asks which task it is."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.contract.task_rows import (
    CELL_TASKS,
    PART_TASKS,
    ROW_TASKS,
    TARGET,
    answers_of,
    batch_of,
    fitted,
    outputs_of,
    table_of,
    truth_of,
)

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError
from luban.evaluation.answers import ANSWERS, answer_of
from luban.evaluation.baselines import fit_baselines
from luban.explain.answers import EXPLAINED, explained
from luban.tasks import TASKS
from luban.tasks.base import Task

SOURCE = Path(__file__).resolve().parents[2] / "src" / "luban"
OUTSIDE = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "tasks")


@pytest.fixture(params=CELL_TASKS, ids=lambda task: task.name)
def task(request: pytest.FixtureRequest) -> Task:
    return fitted(request.param)


@pytest.fixture
def frame(task: Task) -> pl.DataFrame:
    return table_of(task.name).frame


def test_every_kind_of_answer_stands_in_the_tables() -> None:
    kinds = {task.answer for task in TASKS}
    assert kinds <= set(AnswerKind)
    assert kinds <= set(ANSWERS)
    assert {task.answer for task in ROW_TASKS} == set(EXPLAINED)


def test_a_model_that_is_certain_of_the_truth_is_never_wrong(task: Task, frame: pl.DataFrame) -> None:
    targets = truth_of(task, frame)
    answer = answer_of(task)
    outputs = answer.certain(task, targets)
    assert answer.wrongness(task, targets, outputs).tolist() == [0.0] * len(targets)
    quality = answer.quality(task, targets, outputs)
    assert quality.values.tolist() == [1.0 if quality.higher_is_better else 0.0] * len(targets)
    assert answer.confusions(task, targets, outputs, 10) == []
    cells = frame[TARGET].to_list()
    texts = [" ".join(cell) if isinstance(cell, list) else cell for cell in cells]
    assert answer.texts(task, targets) == texts


@pytest.mark.parametrize("task", ROW_TASKS, indirect=True)
def test_probabilities_are_what_a_capability_says(task: Task, frame: pl.DataFrame) -> None:
    targets = truth_of(task, frame)
    answer, logits = answer_of(task), torch.randn(len(targets), task.output_dim)
    outputs = task.outputs(logits).numpy()
    assert (answer.events(targets, outputs) is not None) == answer.has_probabilities
    assert answer.has_probabilities == (outputs.shape == (len(targets), len(task.names)))
    decisions = answer.decisions(task, targets, outputs)
    assert (decisions is not None) == task.has_threshold == bool(task.decided)
    assert decisions is None or decisions[0].shape == (len(targets), len(task.decided))
    cooled = answer.at_temperature(task.outputs(logits * 2).numpy(), 2)
    np.testing.assert_allclose(cooled, outputs if answer.has_probabilities else cooled, rtol=1e-4)


@pytest.mark.parametrize("task", PART_TASKS, indirect=True)
def test_what_does_not_apply_to_parts_of_rows_is_said(task: Task, frame: pl.DataFrame) -> None:
    targets, answer = truth_of(task, frame), answer_of(task)
    outputs = answer.certain(task, targets)
    assert not answer.has_probabilities
    assert answer.events(targets, outputs) is None
    assert answer.decisions(task, targets, outputs) is None
    assert answer.confusion(task, targets, outputs) is None
    with pytest.raises(ConfigError, match=f"task {task.name}: expected one answer a row"):
        explained(task)


def test_the_constant_baseline_answers_as_the_task_does(task: Task, frame: pl.DataFrame) -> None:
    table, targets = table_of(task.name), truth_of(task, frame)
    (baseline,) = fit_baselines(task, table, targets, {})
    outputs = baseline.predict(table)
    batch = batch_of(task, frame)
    expected = answers_of(task, outputs_of(task, batch), batch)
    assert (outputs.shape, outputs.dtype == object) == (expected.shape, expected.dtype == object)
    for metric in task.metrics:
        assert metric.compute(targets, outputs, np.ones((1, len(targets)))).shape == (1,)


def test_tags_that_are_taken_for_others_are_counted() -> None:
    task = fitted(next(task for task in TASKS if task.name == "tags"))
    names = list(task.names)
    targets = truth_of(task, table_of("tags").frame)[:2]  # B-X I-X O; O
    outputs = answer_of(task).certain(task, targets)
    outputs[0] = outputs[0][:2]  # the row was cut before its last word
    outputs[0][1, 0] = names.index("O")
    assert answer_of(task).wrongness(task, targets, outputs).tolist() == [2.0, 0.0]
    quality = answer_of(task).quality(task, targets, outputs)
    assert (quality.metric, quality.values.tolist()) == ("token_accuracy", [pytest.approx(1 / 3), 1.0])
    assert answer_of(task).confusions(task, targets, outputs, 10) == [
        {"actual": "I-X", "predicted": "O", "rows": 1, "share": 1.0}
    ]


@pytest.mark.parametrize("task", ROW_TASKS, indirect=True)
def test_what_is_explained_is_what_is_predicted(task: Task) -> None:
    logits = torch.linspace(-1, 1, 3 * task.output_dim).reshape(3, -1)
    outputs = task.outputs(logits)
    words = explained(task)
    answer = words.answer(task, outputs[:1])
    assert words.score(task, answer, logits).shape == (3,)
    assert (answer.position is not None) == bool(task.names)
    if answer.position is not None:
        assert answer.probability == float(outputs[0, answer.position])
        assert answer.label == str(task.names[answer.position])
    assert words.scale(task) > 0


def asked(source: str) -> list[str]:
    """Return the questions in a module that ask an object whether it is one of the tasks, or has a part that only some
    tasks have."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    tasks = {
        alias.asname or alias.name
        for node in imports
        if (node.module or "").startswith("luban.tasks")
        for alias in node.names
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
            subject, kinds = node.args[:2]
            names = {part.id for part in ast.walk(kinds) if isinstance(part, ast.Name)}
            is_kind = node.func.id in ("isinstance", "issubclass") and bool(names & tasks)
            is_part = node.func.id in ("getattr", "hasattr") and ast.unparse(subject).split(".")[-1] == "task"
            if is_kind or is_part:
                found.append(ast.unparse(node))
        if isinstance(node, ast.MatchClass) and ast.unparse(node.cls).split(".")[0] in tasks:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_outside_tasks_asks_which_task_it_is(path: Path) -> None:
    assert asked(path.read_text("utf-8")) == []


def test_such_questions_are_found() -> None:
    source = """
from luban.tasks.classification import Binary as Two
from luban.tasks.multi_label import MultiLabel
from luban.core.tensors import Ragged
isinstance(self.task, Two | int)
isinstance(x, (Two, MultiLabel))
issubclass(kind, MultiLabel)
isinstance(x, Ragged)
getattr(predictor.task, "labels", ())
getattr(other, "labels", ())
match x:
    case MultiLabel():
        pass
"""
    assert asked(source) == [
        "isinstance(self.task, Two | int)",
        "isinstance(x, (Two, MultiLabel))",
        "issubclass(kind, MultiLabel)",
        "getattr(predictor.task, 'labels', ())",
        "MultiLabel()",
    ]
