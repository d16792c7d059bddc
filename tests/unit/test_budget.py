"""A budget of steps, tokens and validations: exact counts, every row once, the same bits after a kill."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from preflight_trials import trial
from small_loop import events_of, small_loop, text_rows, weights_after, weights_of

from luban.core.errors import ConfigError
from luban.core.events import Noted, StepDone, TrainingEnded, TrainingStarted, Validated
from luban.training.budget import Budget
from luban.training.loader import token_batches, token_counts
from luban.training.preflight import estimate
from luban.training.recipe import TrainConfig, refuse_contradiction

LENGTHS = text_rows().lengths
WAYS: dict[str, dict[str, Any]] = {
    "steps": {"steps": 11, "epochs": None},
    "tokens": {"batch_tokens": 40, "batch_size": None},
    "validations": {"validate_every": 3, "patience": 9},
    "patience": {"validate_every": 1, "patience": 3, "epochs": 30, "optim": {"learning_rate": 1e-12}},
    "all": {"steps": 23, "epochs": None, "batch_tokens": 40, "batch_size": None, "validate_every": 5, "swa": 0.3},
}


def budget(lengths: Any = LENGTHS, **settings: Any) -> Budget:
    return Budget(np.asarray(lengths, np.int64), TrainConfig.model_validate(settings))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(1, 60), st.integers(0, 3))
def test_every_row_is_in_an_epoch_of_token_batches_once(lengths: list[int], tokens: int, epoch: int) -> None:
    found = np.array(lengths, np.int64)
    batches = token_batches(found, tokens, 0, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(found[batch].sum() <= tokens or len(batch) == 1 for batch in batches)
    assert len(batches) == budget(found, batch_tokens=tokens).steps_per_epoch
    ends = sorted((int(found[batch].min()), int(found[batch].max())) for batch in batches)
    assert all(before[1] <= after[0] for before, after in pairwise(ends))


def test_batches_are_as_full_as_they_can_be() -> None:
    assert token_counts(np.array([2, 2, 3, 3, 4, 9, 12]), 10).tolist() == [4, 1, 1, 1]
    assert token_counts(np.array([2, 2, 3, 3, 3, 3, 3, 4]), 9).tolist() == [3, 3, 2]
    assert token_counts(np.array([1, 1, 1, 1]), 3).tolist() == [2, 2]  # a last row is not left alone


def test_epochs_of_token_batches_differ_in_order_and_in_rows_of_one_length() -> None:
    first, second = (token_batches(LENGTHS, 40, 0, epoch) for epoch in (1, 2))
    assert [len(batch) for batch in first] != [len(batch) for batch in second]
    assert {tuple(sorted(batch.tolist())) for batch in first} != {tuple(sorted(batch.tolist())) for batch in second}
    again = token_batches(LENGTHS, 40, 0, 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize(
    ("settings", "steps", "epochs", "validations"),
    [
        ({"epochs": 2, "batch_size": 16}, 8, 2, 2),
        ({"steps": 11, "batch_size": 16}, 11, 3, 3),
        ({"steps": 3, "batch_size": 16}, 3, 1, 1),
        ({"epochs": 2, "batch_size": 16, "validate_every": 3}, 8, 2, 4),  # after 3, 4, 6 and 8 steps
        ({"epochs": 2, "batch_size": 16, "validate_every": 2}, 8, 2, 4),  # 2, 4, 6, 8
        ({"steps": 10, "batch_size": 16, "validate_every": 5}, 10, 3, 4),  # 4, 5, 8, 10
        ({"steps": 11, "batch_size": 16, "validate_every": 100}, 11, 3, 3),
    ],
)
def test_steps_epochs_and_validations_are_those_of_the_loop(
    settings: dict[str, Any], steps: int, epochs: int, validations: int
) -> None:
    expected = budget(**settings)
    assert (expected.steps, expected.epochs, expected.validations) == (steps, epochs, validations)
    found = list((under_test := small_loop(**{"epochs": None, **settings})).run())
    assert [event.step for event in found if isinstance(event, StepDone)] == list(range(steps))
    assert len({event.epoch for event in found if isinstance(event, StepDone)}) == epochs
    assert sum(isinstance(event, Validated) for event in found) == validations
    (started,) = [event for event in found if isinstance(event, TrainingStarted)]
    assert (started.steps, started.epochs) == (steps, epochs)
    assert under_test.progress.step == steps


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_left_at_any_step_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("luban.training.loop.MAX_CHECKPOINT_SHARE", math.inf)
    settings = {**WAYS[way], "checkpoint_seconds": 1e-9}
    whole = small_loop(folder=tmp_path / "whole", **settings)
    expected, scores = list(whole.run()), weights_of(whole)
    folder, losses, validated = tmp_path / "left", dict[int, float](), dict[int, Validated]()
    for steps in (1, 3, 2, 4, 1000):  # of each process
        for event in (running := small_loop(folder=folder, resume=True, **settings)).run():
            if isinstance(event, StepDone):
                losses[event.step] = event.loss
                steps -= 1
            if isinstance(event, Validated):
                validated[event.step] = event
            if steps < 0:
                break
    assert losses == {event.step: event.loss for event in expected if isinstance(event, StepDone)}
    assert list(validated.values()) == [event for event in expected if isinstance(event, Validated)]
    assert all(torch.equal(value, scores[name]) for name, value in weights_of(running).items())
    ended = next(event for event in expected if isinstance(event, TrainingEnded))
    assert running.progress.best_epoch == ended.best_epoch
    assert str(running.progress.ended) == ended.reason


def test_validations_between_epochs_change_no_weight(tmp_path: Path) -> None:
    plain, often = small_loop(), small_loop(validate_every=1)
    for loop in (plain, often):
        loop.validation = loop.validation.select(np.arange(0 if loop is plain else 64))
    expected = weights_after(plain)
    losses = [event.loss for event in small_loop().run() if isinstance(event, StepDone)]
    assert [event.loss for event in often.run() if isinstance(event, StepDone)] == losses
    often.best = {}
    last = {name: value for name, value in often.checkpoints.memory[-1].tensors.items() if name.startswith("network/")}
    assert all(torch.equal(value, expected[name.removeprefix("network/")]) for name, value in last.items())


def test_patience_counts_validations_and_may_end_an_epoch_early() -> None:
    stopped = small_loop(validate_every=1, patience=2, epochs=30, optim={"learning_rate": 1e-12})
    (ended,) = events_of(stopped, TrainingEnded)
    assert ended.reason == "no better accuracy in 2 validations"
    assert stopped.progress.step < 30 * 4
    assert stopped.progress.step == stopped.progress.best_step + 2
    assert ended.best_step == stopped.progress.best_step


def test_the_end_after_steps_is_told_in_steps() -> None:
    (ended,) = events_of(small_loop(epochs=None, steps=5), TrainingEnded)
    assert (ended.reason, ended.best_step) == ("5 steps done", None)


def test_the_schedule_falls_to_its_end_with_the_steps() -> None:
    rates = [event.learning_rate for event in events_of(small_loop(epochs=None, steps=10), StepDone)]
    assert rates == [event.learning_rate for event in events_of(small_loop(epochs=5, batch_size=32), StepDone)]


def test_rows_longer_than_the_budget_are_told() -> None:
    notes = [event.text for event in events_of(small_loop(batch_tokens=7, batch_size=None), Noted)]
    longer = int((LENGTHS > 7).sum())
    assert notes == [f"{longer} rows are longer than train.batch_tokens (7): a batch of its own each"]
    assert list(budget(batch_tokens=8).notes()) == []


def test_the_longest_pass_and_the_mean_batch_are_what_preflight_counts_with() -> None:
    tokens = budget([2, 2, 3, 3, 4, 9, 12], batch_tokens=10, epochs=1)
    assert (tokens.longest_part, tokens.rows_per_step) == (12, 2)
    assert budget([2, 2, 3, 3, 4], batch_tokens=10, accumulate=2, epochs=1).longest_part == 4
    tried = trial("text", train={"epochs": None, "steps": 7, "batch_tokens": 64, "batch_size": None}, validation_rows=8)
    assert estimate.total_seconds(tried, 0.5) == pytest.approx(
        0.5 * (7 + tried.budget.epochs * 8 / 3 / tried.budget.rows_per_step)
    )
    seconds, activations = estimate.measure(tried.copy())
    assert seconds > 0
    assert estimate.activation_bytes(tried, activations) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"epochs": 3, "steps": 1000},
            "train.epochs, train.steps: expected one length of the training, found 3 epochs and 1,000 steps. Leave one",
        ),
        (
            {"batch_size": "auto", "batch_tokens": 4096},
            "train.batch_size, train.batch_tokens: expected one size of a batch, found auto rows and 4,096 tokens",
        ),
        (
            {"group_by_length": False, "batch_tokens": 4096},
            "train.group_by_length, train.batch_tokens: expected true, since .* found false. Leave one of them out",
        ),
    ],
)
def test_settings_of_which_only_one_can_hold_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        refuse_contradiction(TrainConfig.model_validate(settings))
