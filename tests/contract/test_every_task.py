"""What every row of TASKS keeps to whose target is a cell of each row."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.contract.task_rows import (
    CELL_TASKS,
    ROW_TASKS,
    TARGET,
    answers_of,
    assert_same,
    batch_of,
    fitted,
    is_of_rows,
    outputs_of,
    table_of,
    truth_of,
    values_of,
)

from luban.core.errors import ConfigError, DataError
from luban.core.tensors import Columns, Ragged
from luban.data.table import Table
from luban.evaluation.answers import answer_of
from luban.evaluation.config import EvaluateConfig
from luban.evaluation.judgement import judge
from luban.evaluation.validation import learn
from luban.features.dataset import Dataset
from luban.outputs import write_table
from luban.tasks import TASKS, infer_task
from luban.tasks.base import LossConfig, Task
from luban.tasks.targets import profiled
from luban.tasks.validated import Validated

CLASSES = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"]}
LABELS = {**CLASSES, "multi_label": ["a", "b", "c"], "regression": []}
CHANCE = {
    "binary": math.log(2),
    "multiclass": math.log(3),
    "multi_label": math.log(2),
    "regression": 1.0,
    "tags": math.log(5),
}


@pytest.fixture(params=CELL_TASKS, ids=lambda task: task.name)
def task_type(request: pytest.FixtureRequest) -> type[Task]:
    found: type[Task] = request.param
    return found


@pytest.fixture
def frame(task_type: type[Task]) -> pl.DataFrame:
    return table_of(task_type.name).frame


@pytest.fixture
def target(frame: pl.DataFrame) -> pl.Series:
    return frame[TARGET]


@pytest.fixture
def task(task_type: type[Task]) -> Task:
    return fitted(task_type)


def test_names_are_unique() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS)


def test_the_task_is_inferred_from_its_example(task_type: type[Task]) -> None:
    profile = profiled(table_of(task_type.name), TARGET)
    assert infer_task(profile) is task_type
    assert 0 <= task_type.match(profile) <= 1


def test_outputs_and_targets_flow_to_a_loss_that_has_a_gradient(task: Task, frame: pl.DataFrame) -> None:
    batch = batch_of(task, frame)
    outputs = outputs_of(task, batch)
    loss = task.configured(LossConfig()).loss(outputs, batch)
    assert loss.shape == task.num_units(batch).shape == (len(frame),)
    assert loss.dtype == torch.float32
    loss.mean().backward()  # type: ignore[no-untyped-call]
    for values in values_of(outputs):
        assert values.grad is not None
        assert torch.isfinite(values.grad).all()
        assert values.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "value"), [("label_smoothing", 0.1), ("class_weights", "balanced"), ("loss", "mae")])
def test_a_setting_of_the_loss_is_taken_or_refused(task: Task, name: str, value: object) -> None:
    settings = LossConfig.model_validate({name: value})
    if name in task.takes:
        batch = batch_of(task, table_of(task.name).frame)
        assert bool(task.configured(settings).chance_loss(batch).isfinite().all())
    else:
        with pytest.raises(ConfigError, match=rf"train.loss.{name}: expected no such setting"):
            task.configured(settings)


def test_the_loss_by_chance_is_that_of_knowing_nothing(task: Task, frame: pl.DataFrame) -> None:
    batch = batch_of(task, frame)
    loss = task.chance_loss(batch)
    assert loss.shape == (len(frame),)
    assert float(loss.sum() / task.num_units(batch).sum()) == pytest.approx(CHANCE[task.name], rel=1e-5)


def test_the_loss_falls_to_the_right_answer(task: Task, frame: pl.DataFrame) -> None:
    batch = batch_of(task, frame)
    outputs = outputs_of(task, batch, draw=False)
    optimizer = torch.optim.Adam(values_of(outputs), lr=0.5)
    for _ in range(150):
        optimizer.zero_grad()
        task.configured(LossConfig()).loss(outputs, batch).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    answers = answers_of(task, outputs, batch)
    decided = task.metrics[0]
    best = float(decided.compute(truth_of(task, frame), answers, np.ones((1, len(frame))))[0])
    assert best == pytest.approx(1.0 if decided.higher_is_better else 0.0, abs=1e-3)


@pytest.mark.parametrize("task_type", ROW_TASKS, indirect=True)
def test_outputs_are_a_probability_of_each_label_or_a_value(task: Task) -> None:
    outputs = task.outputs(torch.randn(6, task.output_dim))
    labels = LABELS[task.name]
    assert outputs.shape == ((6, len(labels)) if labels else (6,))
    if labels:
        assert ((outputs >= 0) & (outputs <= 1)).all()
    if task.name in CLASSES:
        torch.testing.assert_close(outputs.sum(dim=1), torch.ones(6))


def test_answers_do_not_depend_on_the_other_rows(task: Task, frame: pl.DataFrame) -> None:
    batch, part = batch_of(task, frame), batch_of(task, frame[2:4])
    outputs = outputs_of(task, batch)
    alone: Columns = {
        name: Ragged(value.values[value.offsets[2] : value.offsets[4]], value.offsets[2:5] - value.offsets[2])
        if isinstance(value, Ragged)
        else value[2:4]
        for name, value in outputs.items()
    }
    assert_same(answers_of(task, alone, part), answers_of(task, outputs, batch)[2:4])


def test_every_metric_scores_every_weighting(task: Task, frame: pl.DataFrame) -> None:
    batch, truth = batch_of(task, frame), truth_of(task, frame)
    outputs = answers_of(task, outputs_of(task, batch), batch)
    weights = np.random.default_rng(0).integers(0, 3, (5, len(frame))).astype(float)
    for metric in task.metrics:
        together = metric.compute(truth, outputs, weights)
        assert together.shape == (5,)
        alone = [metric.compute(truth, outputs, row[None])[0] for row in weights]
        np.testing.assert_allclose(together, alone, atol=1e-12)
    assert len({metric.name for metric in task.metrics}) == len(task.metrics)


def test_predictions_have_the_name_of_the_target(task: Task, frame: pl.DataFrame, tmp_path: Path) -> None:
    batch = batch_of(task, frame)
    found = task.decode(answers_of(task, outputs_of(task, batch), batch), frame)
    assert found.columns[0] == f"predicted_{TARGET}"
    assert len(found) == len(frame)
    assert not set(found.columns) & set(frame.columns)
    write_table(found, tmp_path / "found.csv")
    assert pl.read_csv(tmp_path / "found.csv").columns == found.columns


@pytest.mark.parametrize("task_type", ROW_TASKS, indirect=True)
def test_predictions_of_rows_have_a_probability_of_each_label(task: Task) -> None:
    outputs = task.outputs(torch.randn(7, task.output_dim)).numpy()
    frame = task.decode(outputs)
    assert frame.columns == ["predicted_answer", *(f"probability_{label}" for label in LABELS[task.name])]
    numbers = frame.drop("predicted_answer") if LABELS[task.name] else frame
    np.testing.assert_array_equal(numbers.to_numpy(), outputs.reshape(7, -1))
    assert len(frame) == 7
    assert pl.read_csv(frame.write_csv().encode()).columns == frame.columns


def test_predictions_read_as_targets(task: Task, frame: pl.DataFrame) -> None:
    truth = truth_of(task, frame)
    said = task.decode(answer_of(task).certain(task, truth), frame)[f"predicted_{TARGET}"]
    again, bad = task.encode_targets(frame.with_columns(said.alias(TARGET)))
    assert not bad
    assert_same(task.truth(Dataset.of_targets(again)), truth)


def test_state_survives_json(task: Task, frame: pl.DataFrame) -> None:
    state = json.loads(json.dumps(task.state()))
    again = type(task).from_state(state)
    assert again.state() == task.state()
    assert again.heads() == task.heads()
    assert_same(truth_of(again, frame), truth_of(task, frame))
    batch = batch_of(task, frame)
    outputs = outputs_of(task, batch)
    found = again.decode(answers_of(again, outputs, batch), frame)
    assert found.equals(task.decode(answers_of(task, outputs, batch), frame))


def test_missing_targets_are_named_and_never_raise(task: Task, frame: pl.DataFrame) -> None:
    cells = frame[:3].with_columns(pl.Series(TARGET, [None, "", " "], dtype=pl.String))
    _, bad = task.encode_targets(cells)
    assert bad == dict.fromkeys(range(3), (TARGET, "the target is missing"))


def test_no_rows_encode_to_no_targets(task: Task, frame: pl.DataFrame) -> None:
    encoded, bad = task.encode_targets(frame.clear())
    assert [len(column) for column in encoded.values()] == [0]
    assert not bad


def test_a_target_without_cells_is_refused(task_type: type[Task]) -> None:
    with pytest.raises(DataError, match="target 'answer'"):
        task_type.fit(pl.Series("answer", [None] * 20, dtype=pl.String))


def test_every_task_is_judged(task: Task, frame: pl.DataFrame) -> None:
    rows = 5 * len(frame)
    frame = pl.concat([frame] * 5).with_columns(size=pl.Series(place % 5 for place in range(rows)))
    batch, truth = batch_of(task, frame), truth_of(task, frame)
    torch.manual_seed(0)
    outputs, validated = outputs_of(task, batch), Validated(rows=rows)
    answers = answers_of(task, outputs, batch)
    if is_of_rows(task):
        logits = values_of(outputs)[0].detach()
        validated = learn(task, logits, truth, EvaluateConfig())
        answers = task.outputs(logits / validated.temperature).numpy()
    table = Table(frame, "rows", None, np.arange(1, rows + 1))
    found = judge(task, table, truth, answers, {"size": "number"}, validated, by="size").to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["mistakes"]
    assert found["slices"]["looked_at"] >= 2
    assert found["fairness"]["gaps"]
    assert (found["calibration"] is None) == (not answer_of(task).has_probabilities)
    assert (found["conformal"] is None) == (not is_of_rows(task))
    assert not is_of_rows(task) or found["conformal"]["fitted_rows"] == rows
    assert (found["threshold"] is None) == (not task.has_threshold)
