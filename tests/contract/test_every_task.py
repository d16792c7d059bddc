"""What every row of TASKS keeps to."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
import torch

from luban.core.errors import DataError
from luban.core.tensors import Batch
from luban.data.table import Table
from luban.evaluation.config import EvaluateConfig
from luban.evaluation.judgement import judge
from luban.evaluation.validation import learn
from luban.features.base import ColumnProfile
from luban.tasks import TASKS, infer_task
from luban.tasks.base import LossConfig, Task

CLASSES = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"]}
LABELS = {**CLASSES, "multi_label": ["a", "b", "c"], "regression": []}
TARGETS = {
    "binary": ["no", "yes", "no", "no", "yes", "no"] * 4,
    "multiclass": ["a", "b", "c"] * 8,
    "multi_label": ["a;b", "b", "a;c", "c", "b;c", "a"] * 4,
    "regression": ["0.5", "-1.25", "3", "7.75"] * 6,
}


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task_type(request: pytest.FixtureRequest) -> type[Task]:
    found: type[Task] = request.param
    return found


@pytest.fixture
def target(task_type: type[Task]) -> pl.Series:
    assert task_type.name in TARGETS, "a new task brings an example of its target"
    return pl.Series("answer", TARGETS[task_type.name])


@pytest.fixture
def task(task_type: type[Task], target: pl.Series) -> Task:
    return task_type.fit(target)


def test_names_are_unique() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS)


def test_the_task_is_inferred_from_its_example(task_type: type[Task], target: pl.Series) -> None:
    profile = ColumnProfile("answer", target, len(target), 0, target.n_unique())
    assert infer_task(profile) is task_type
    assert 0 <= task_type.match(profile) <= 1


def test_targets_and_logits_flow_to_a_loss_that_has_a_gradient(task: Task, target: pl.Series) -> None:
    encoded, bad = task.encode(target)
    assert len(encoded) == len(target)
    assert not bad
    logits = torch.randn(len(target), task.output_dim, requires_grad=True)
    loss = task.configured(LossConfig()).row_loss(logits, torch.from_numpy(encoded))
    assert loss.shape == (len(target),)
    assert loss.dtype == torch.float32
    loss.mean().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0


def test_the_loss_by_chance_is_that_of_knowing_nothing(task: Task, target: pl.Series) -> None:
    columns, _ = task.encode_targets(target.to_frame())
    rows = np.arange(len(target))
    loss = task.chance_loss(Batch({}, {name: column.take(rows) for name, column in columns.items()}, rows))
    assert loss.shape == (len(target),)
    known = {"binary": math.log(2), "multiclass": math.log(3), "multi_label": math.log(2), "regression": 1.0}
    assert float(loss.mean()) == pytest.approx(known[task.name], rel=1e-5)


def test_the_loss_falls_to_the_right_answer(task: Task, target: pl.Series) -> None:
    encoded, _ = task.encode(target)
    targets = torch.from_numpy(encoded)
    logits = torch.zeros(len(target), task.output_dim, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    for _ in range(150):
        optimizer.zero_grad()
        task.configured(LossConfig()).row_loss(logits, targets).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    decided = task.metrics[0]
    outputs = task.outputs(logits.detach()).numpy()
    best = float(decided.compute(encoded, outputs, np.ones((1, len(target))))[0])
    assert best == pytest.approx(1.0 if decided.higher_is_better else 0.0, abs=1e-3)


def test_outputs_are_a_probability_of_each_label_or_a_value(task: Task) -> None:
    outputs = task.outputs(torch.randn(6, task.output_dim))
    labels = LABELS[task.name]
    assert outputs.shape == ((6, len(labels)) if labels else (6,))
    if labels:
        assert ((outputs >= 0) & (outputs <= 1)).all()
    if task.name in CLASSES:
        torch.testing.assert_close(outputs.sum(dim=1), torch.ones(6))


def test_outputs_do_not_depend_on_the_other_rows(task: Task) -> None:
    logits = torch.randn(6, task.output_dim)
    torch.testing.assert_close(task.outputs(logits)[2:4], task.outputs(logits[2:4]))


def test_every_metric_scores_every_weighting(task: Task, target: pl.Series) -> None:
    encoded, _ = task.encode(target)
    outputs = task.outputs(torch.randn(len(target), task.output_dim)).numpy()
    weights = np.random.default_rng(0).integers(0, 3, (5, len(target))).astype(float)
    for metric in task.metrics:
        together = metric.compute(encoded, outputs, weights)
        assert together.shape == (5,)
        alone = [metric.compute(encoded, outputs, row[None])[0] for row in weights]
        np.testing.assert_allclose(together, alone, atol=1e-12)
    assert len({metric.name for metric in task.metrics}) == len(task.metrics)


def test_predictions_have_the_name_of_the_target_and_write_to_csv(task: Task) -> None:
    outputs = task.outputs(torch.randn(7, task.output_dim)).numpy()
    frame = task.decode(outputs)
    assert frame.columns == ["predicted_answer", *(f"probability_{label}" for label in LABELS[task.name])]
    numbers = frame.drop("predicted_answer") if LABELS[task.name] else frame
    np.testing.assert_array_equal(numbers.to_numpy(), outputs.reshape(7, -1))
    assert len(frame) == 7
    assert pl.read_csv(frame.write_csv().encode()).columns == frame.columns


def test_predictions_read_as_targets(task: Task, target: pl.Series) -> None:
    encoded, _ = task.encode(target)
    outputs = encoded.astype(float)
    if task.name in CLASSES:
        outputs = np.eye(len(CLASSES[task.name]))[encoded.astype(int)]
    again, bad = task.encode(task.decode(outputs)["predicted_answer"])
    assert not bad
    np.testing.assert_array_equal(again, encoded)


def test_state_survives_json(task: Task, target: pl.Series) -> None:
    state = json.loads(json.dumps(task.state()))
    again = type(task).from_state(state)
    assert again.state() == task.state()
    assert again.output_dim == task.output_dim
    np.testing.assert_array_equal(again.encode(target)[0], task.encode(target)[0])
    logits = torch.randn(3, task.output_dim)
    assert again.decode(again.outputs(logits).numpy()).equals(task.decode(task.outputs(logits).numpy()))


def test_missing_targets_are_named_and_never_raise(task: Task) -> None:
    encoded, bad = task.encode(pl.Series("answer", [None, "", " "], dtype=pl.String))
    assert len(encoded) == 3
    assert bad == dict.fromkeys(range(3), "the target is missing")


def test_no_rows_encode_to_no_targets(task: Task) -> None:
    encoded, bad = task.encode(pl.Series("answer", [], dtype=pl.String))
    assert len(encoded) == 0
    assert not bad


def test_a_target_without_cells_is_refused(task_type: type[Task]) -> None:
    with pytest.raises(DataError, match="target 'answer'"):
        task_type.fit(pl.Series("answer", [None] * 20, dtype=pl.String))


def test_every_task_is_judged(task: Task) -> None:
    rows = 120
    target = pl.Series("answer", (TARGETS[task.name] * 30)[:rows])
    encoded, _ = task.encode(target)
    torch.manual_seed(0)
    logits = torch.randn(rows, task.output_dim)
    validated = learn(task, logits, encoded, EvaluateConfig())
    frame = pl.DataFrame({"size": [place % 5 for place in range(rows)], "answer": target})
    table = Table(frame, "rows", None, np.arange(1, rows + 1))
    outputs = task.outputs(logits / validated.temperature).numpy()
    found = judge(task, table, encoded, outputs, {"size": "number"}, validated, by="size").to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["mistakes"]
    assert found["slices"]["looked_at"] >= 2
    assert found["fairness"]["gaps"]
    assert (found["calibration"] is None) == (not LABELS[task.name])
    assert found["conformal"]["fitted_rows"] == rows
    assert (found["threshold"] is None) == (task.name not in ("binary", "multi_label"))
