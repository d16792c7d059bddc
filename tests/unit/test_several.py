"""A task that is made of tasks: its loss, what rows may lack, how losses are balanced."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_loop import TOKENS, events_of, text_rows, weights_after

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError, DataError
from luban.core.events import Event, StepDone, Validated
from luban.core.runtime import seeded
from luban.core.tensors import Batch, InputSpec, OutputKind, TensorKind
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.tasks.base import LossConfig, Task
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.config import TaskConfig
from luban.tasks.fitting import fit_task
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression
from luban.tasks.several import LOG_VARIANCES, PRESENT, Several
from luban.tasks.stored import load_task
from luban.training import recipe
from luban.training.loop import Loop
from luban.training.recipe import TrainConfig

FRAME = pl.DataFrame(
    {
        "buys": ["yes", "no", None, "no", "yes", "no", "no", None] * 3,
        "hours": [1.0, None, 3.0, 5.5, 2.0, None, 0.5, None] * 3,
        "tags": ["a;b", "b", "c", None, "a", "b;c", "a;c", None] * 3,
    }
)
KINDS: dict[str, type[Task]] = {"buys": Binary, "hours": Regression, "tags": MultiLabel}
SIZES = {"buys": 1, "hours": 1, "tags": 3}


def fitted(loss: LossConfig | None = None, frame: pl.DataFrame = FRAME, **config: Any) -> Several:
    task, _, _ = fit_task(KINDS, frame, TaskConfig.model_validate(config), loss or LossConfig())
    assert isinstance(task, Several)
    return task


def batch_of(task: Task, frame: pl.DataFrame = FRAME) -> Batch:
    columns, _ = task.encode_targets(frame)
    rows = np.arange(len(frame))
    return Batch({}, {name: column.take(rows) for name, column in columns.items()}, rows)


def outputs_of(rows: int, seed: int = 0, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: torch.randn(rows, size) for name, size in SIZES.items()} | more


def alone(name: str, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the loss of each row that has a target, computed by its task alone; 0 of the others."""
    task = KINDS[name].fit(FRAME[name])
    encoded, bad = task.encode(FRAME[name])
    losses = task.row_loss(outputs[name], torch.from_numpy(encoded))
    there = torch.tensor([position not in bad for position in range(len(FRAME))])
    return torch.where(there, losses, 0.0)


def test_one_target_is_its_own_task() -> None:
    task, positive, _ = fit_task({"buys": Binary}, FRAME, TaskConfig(), LossConfig())
    assert type(task) is Binary
    assert positive == "yes"
    assert task.parts == (task,)


def test_the_loss_is_the_weighted_sum_of_the_losses_alone() -> None:
    task = fitted(balance="by_hand", weights={"buys": 2.0, "hours": 0.5})
    outputs = outputs_of(len(FRAME))
    weights = {"buys": 2.0, "hours": 0.5, "tags": 1.0}
    shares = {name: 1 - FRAME[name].null_count() / len(FRAME) for name in KINDS}
    expected = sum(weights[name] * alone(name, outputs) / shares[name] for name in KINDS)
    torch.testing.assert_close(task.loss(outputs, batch_of(task)), expected)


def test_the_mean_over_rows_is_the_sum_of_the_mean_losses_relative_to_chance() -> None:
    task, outputs = fitted(), outputs_of(len(FRAME))
    chances = {"buys": math.log(2), "hours": 1.0, "tags": math.log(2)}
    means = {name: alone(name, outputs).sum() / FRAME[name].count() for name in KINDS}
    expected = sum(float(means[name]) / chances[name] for name in KINDS)
    assert float(task.loss(outputs, batch_of(task)).mean()) == pytest.approx(expected, rel=1e-5)


def test_by_chance_each_target_loses_one() -> None:
    for task in (fitted(), fitted(balance="uncertainty")):
        assert float(task.chance_loss(batch_of(task)).mean()) == pytest.approx(3.0, rel=1e-5)
        assert torch.equal(task.num_units(batch_of(task)), torch.ones(len(FRAME)))


def test_learned_uncertainty_divides_a_loss_and_adds_itself() -> None:
    task, outputs = fitted(balance="uncertainty"), outputs_of(len(FRAME))
    learned = torch.tensor([0.5, -0.25, 1.0])
    chances = torch.tensor([math.log(2), 1.0, math.log(2)])
    means = torch.stack([alone(name, outputs).sum() / FRAME[name].count() for name in KINDS])
    expected = ((-learned).exp() * means / chances + learned).sum()
    found = task.loss(outputs | {LOG_VARIANCES: learned.expand(len(FRAME), -1)}, batch_of(task))
    assert float(found.mean()) == pytest.approx(float(expected), rel=1e-5)
    assert [spec.kind for spec in task.heads()] == [OutputKind.ROW] * 3 + [OutputKind.CONSTANT]


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=24, max_size=24), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_what_a_row_lacks_changes_nothing_for_the_others(lacking: list[list[bool]], seed: int) -> None:
    task, outputs = fitted(), outputs_of(len(FRAME), seed)
    gone = np.array(lacking)
    fewer = FRAME.with_columns(
        pl.when(pl.Series(~gone[:, place])).then(pl.col(name)).alias(name) for place, name in enumerate(KINDS)
    )
    before, after = task.loss(outputs, batch_of(task)), task.loss(outputs, batch_of(task, fewer))
    same = [fewer.row(i) == FRAME.row(i) for i in range(len(FRAME))]
    assert torch.equal(before[same], after[same])
    assert bool((after <= before).all())


def test_what_a_row_lacks_has_no_gradient() -> None:
    task = fitted()
    outputs = {name: value.requires_grad_() for name, value in outputs_of(len(FRAME)).items()}
    task.loss(outputs, batch_of(task)).sum().backward()  # type: ignore[no-untyped-call]
    for name, value in outputs.items():
        assert value.grad is not None
        moved = value.grad.abs().sum(dim=1) > 0
        assert moved.tolist() == FRAME[name].is_not_null().to_list()


def test_a_row_that_lacks_all_targets_is_unreadable_and_one_that_lacks_some_is_not() -> None:
    columns, bad = fitted().encode_targets(FRAME.head(8))
    assert bad == {7: ("buys", "all targets are missing")}
    assert columns[PRESENT].values.tolist() == [[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 1],
                                                [1, 1, 1], [0, 0, 0]]  # fmt: skip


def test_a_target_that_is_there_and_cannot_be_read_makes_its_row_unreadable() -> None:
    frame = pl.DataFrame({"buys": ["yes", "maybe"], "hours": ["1.5", "many"], "tags": ["a", "b"]})
    _, bad = fitted().encode_targets(frame)
    assert bad == {1: ("buys", "the label 'maybe' is not among those of the training rows")}


def test_each_task_gets_the_settings_of_the_loss_that_it_takes() -> None:
    task = fitted(LossConfig(label_smoothing=0.2, loss="mae"))
    labels = {"label_smoothing": 0.2, "class_weights": None}
    assert [part.settings.model_dump() for part in task.parts] == [labels, {"loss": "mae"}, labels]
    assert task.scales[1].chance < 1  # the absolute error, not the squared one


def test_a_setting_that_no_task_takes_is_refused() -> None:
    kinds: dict[str, type[Task]] = {"a": Regression, "b": Regression}
    frame = pl.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 1.0, 5.0]})
    with pytest.raises(ConfigError, match=r"train.loss.label_smoothing: expected no such setting"):
        fit_task(kinds, frame, TaskConfig(), LossConfig(label_smoothing=0.1))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"balance": "by_hand"}, r"task.weights: expected a weight by target, found none"),
        ({"weights": {"buys": 1}}, r"task.weights: expected task.balance: by_hand beside it, found 'equal'"),
        (
            {"balance": "by_hand", "weights": {"hour": 1}},
            r"task.weights: expected the targets 'buys', 'hours', 'tags', found 'hour'. Did you mean 'hours'",
        ),
        ({"positive": "maybe"}, r"task.positive: expected one of the two classes"),
    ],
)
def test_settings_of_the_balance_that_contradict_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted(**config)


def test_one_target_has_no_balance() -> None:
    config = TaskConfig(balance="uncertainty")
    with pytest.raises(ConfigError, match=r"task.balance: expected several targets.*found one, 'buys'"):
        fit_task({"buys": Binary}, FRAME, config, LossConfig())


def test_a_target_that_no_row_has_is_refused() -> None:
    frame = FRAME.with_columns(pl.lit(None, pl.Float64).alias("hours"))
    with pytest.raises(DataError, match=r"target 'hours': expected a number in each row, found none in 24 rows"):
        fitted(frame=frame)


def test_the_positive_class_of_the_one_target_of_two_is_set() -> None:
    task, positive, _ = fit_task(KINDS, FRAME, TaskConfig(positive="no"), LossConfig())
    assert positive == "no"
    assert task.parts[0].positive == "no"


def test_a_positive_class_of_two_such_targets_is_refused() -> None:
    frame = pl.DataFrame({"a": ["yes", "no"] * 4, "b": ["yes", "no"] * 4})
    with pytest.raises(ConfigError, match=r"task.positive: expected one target of two classes.*found 'a', 'b'"):
        fit_task({"a": Binary, "b": Binary}, frame, TaskConfig(positive="no"), LossConfig())


def test_columns_of_predictions_stand_side_by_side_and_name_their_target() -> None:
    kinds: dict[str, type[Task]] = {"a": Binary, "b": Multiclass}
    frame = pl.DataFrame({"a": ["x", "y"] * 4, "b": ["x", "y", "z", "x"] * 2})
    task, _, _ = fit_task(kinds, frame, TaskConfig(), LossConfig())
    frames = [part.decode(np.full((2, len(part.names)), 0.5)) for part in task.parts]
    assert task.beside(frames).columns == [
        "predicted_a",
        "probability_a_x",
        "probability_a_y",
        "predicted_b",
        "probability_b_x",
        "probability_b_y",
        "probability_b_z",
    ]


@pytest.mark.parametrize("balance", ["equal", "uncertainty"])
def test_the_task_is_stored_and_read_again(balance: str, tmp_path: Path) -> None:
    task = fitted(LossConfig(label_smoothing=0.1), balance=balance)
    run = RunDirectory.create(tmp_path, "run")
    artifact.write_json(run / artifact.TASK, json.loads(json.dumps({"name": task.name, "state": task.state()})))
    again = load_task(run)
    assert again.state() == task.state()
    outputs = outputs_of(len(FRAME), **{LOG_VARIANCES: torch.full((len(FRAME), 3), 0.3)})
    assert torch.equal(again.loss(outputs, batch_of(task)), task.loss(outputs, batch_of(task)))
    assert again.heads() == task.heads()


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    state = fitted().state()
    run = RunDirectory.create(tmp_path, "run")
    artifact.write_json(run / artifact.TASK, {"name": "several", "state": {**state, "scales": state["scales"][:2]}})
    with pytest.raises(Exception, match="3 tasks, 2 scales"):
        load_task(run)


def loop_of(balance: str, folder: Path | None = None, *, resume: bool = False) -> Loop:
    """Two epochs of four steps on the small text task, with a number and labels beside its classes."""
    data = text_rows()
    classes = data.target("y").astype(int)
    frame = pl.DataFrame(
        {
            "buys": [None if i % 5 == 1 else ("no", "yes")[c] for i, c in enumerate(classes)],
            "hours": [None if i % 4 == 2 else float(c) + i / 64 for i, c in enumerate(classes)],
            "tags": [None if i % 7 == 3 else ("a", "b;c")[c] for i, c in enumerate(classes)],
        }
    )
    task = fitted(frame=frame, balance=balance)
    columns, _ = task.encode_targets(frame)
    rows = type(data)(data.inputs, columns, data.rows, data.index, {})
    config = NetworkConfig.model_validate({"tokens": TOKENS, "hidden": [], "dropout": 0.1})
    spec = networks.specify(config, [InputSpec("text", TensorKind.TOKENS, 100, max_length=16)], task.heads())
    with seeded(0, "test"):
        network = Network(spec)
    train = TrainConfig.model_validate({"epochs": 2, "batch_size": 16, "patience": 0, "checkpoint_seconds": 1e-9})
    complete = recipe.complete(train, spec, len(data), None)
    device = torch.device("cpu")
    return Loop(network, task, rows, rows, complete, 0, device, torch.float32, [], folder, resume=resume)


def test_an_epoch_is_scored_by_the_mean_of_the_losses_relative_to_chance() -> None:
    scores = events_of(loop_of("equal"), Validated)[-1].scores
    own = [scores[f"relative_loss/{name}"] for name in KINDS]
    assert scores["relative_loss"] == pytest.approx(np.mean(own))
    assert all(0 < value < 2 for value in own)


def test_log_variances_are_learned_and_stored_with_the_weights() -> None:
    weights = weights_after(loop_of("uncertainty"))
    learned = weights["heads.3.values"]
    assert learned.shape == (3,)
    assert bool((learned != 0).all())


@pytest.mark.parametrize("balance", ["equal", "uncertainty"])
def test_a_training_that_was_cut_off_goes_on_to_the_same_bits(balance: str, tmp_path: Path) -> None:
    whole = weights_after(loop_of(balance))
    first = loop_of(balance, tmp_path)
    found: list[Event] = []
    for event in first.run():
        found.append(event)
        if sum(isinstance(each, StepDone) for each in found) == 6:
            break
    again = weights_after(loop_of(balance, tmp_path, resume=True))
    assert again.keys() == whole.keys()
    assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_a_network_of_some_outputs_shares_its_weights_with_the_whole() -> None:
    network = loop_of("uncertainty").network.eval()
    inputs = text_rows().batch(np.arange(5)).inputs
    part = network.narrowed({"hours"})
    assert list(part(inputs)) == ["hours"]
    assert torch.equal(part(inputs)["hours"], network(inputs)["hours"])  # type: ignore[arg-type]
    assert len(network.heads) == 4
    with torch.no_grad():
        next(network.encoders.parameters()).add_(1.0)
    assert torch.equal(part(inputs)["hours"], network(inputs)["hours"])  # type: ignore[arg-type]
