"""The loop's numbers: accumulation, exact repetition, the vocabulary in use, ranking of epochs."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_loop import events_of, small_loop, weights_after, weights_of, without_key_biases

from luban.core.errors import ConfigError, StoppedError, TrainingError
from luban.core.events import (
    CheckpointDue,
    CheckpointSaved,
    Diverged,
    MemoryRanOut,
    Resumed,
    StepDone,
    Stopped,
    Validated,
)
from luban.tasks.classification import Binary
from luban.tasks.deciding import deciding_metric
from luban.training.loop import Loop, ranked
from luban.training.step import TrainStep
from luban.training.vocabulary import used_vocabulary


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    first = weights_after(small_loop())
    torch.rand(17)
    second = weights_after(small_loop())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_accumulated_parts_of_unequal_size_equal_the_whole_batch() -> None:
    whole, parts = small_loop(0.0, accumulate=1), small_loop(0.0, accumulate=3)
    expected, found = (without_key_biases(weights_after(loop)) for loop in (whole, parts))
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=2e-5, rtol=1e-4)


def test_training_the_vocabulary_in_use_equals_training_all_of_it() -> None:
    dense, restricted = small_loop(), small_loop()
    expected = weights_after(dense)
    with used_vocabulary(restricted.network, [restricted.train]):
        names = dict(restricted.network.named_parameters())
        assert next(len(value) for name, value in names.items() if name.endswith("tokens.rows")) == 16
        for _ in restricted.run():
            pass
    found = restricted.network.state_dict()
    assert set(found) == set(expected)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-6, rtol=1e-5)


def test_it_learns_and_keeps_the_best_epoch() -> None:
    under_test = small_loop(epochs=20, optim={"learning_rate": 0.01})
    events = list(under_test.run())
    steps = [event for event in events if isinstance(event, StepDone)]
    validated = [event for event in events if isinstance(event, Validated)]
    assert len(steps) == 20 * 4
    assert steps[-1].loss < steps[0].loss / 2
    best = [event for event in validated if event.is_best][-1]
    assert under_test.validate() == pytest.approx(best.scores)


EVERYTHING = {"accumulate": 2, "ema": 0.9, "workers": 2, "checkpoint_seconds": 1e-9, "epochs": 3}


@pytest.mark.parametrize("optimizer", ["adamw", "momentum", "lion", "muon"])
def test_a_run_that_was_left_at_any_step_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    monkeypatch.setattr("luban.training.loop.MAX_CHECKPOINT_SHARE", math.inf)
    settings = {**EVERYTHING, "optim": {"optimizer": optimizer}}
    expected = weights_after(small_loop(folder=tmp_path / "whole", **settings))
    folder = tmp_path / "left"
    for steps in (1, 3, 2, 5):  # of each process
        for event in (running := small_loop(folder=folder, resume=True, **settings).run()):
            steps -= isinstance(event, StepDone)
            if steps < 0:
                running.close()  # in the middle of a step, for all that the files know
                break
    found = weights_after(small_loop(folder=folder, resume=True, **settings))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("average", [{"ema": 0.5}, {"swa": 0.5}])
def test_averaged_weights_are_validated_and_kept(average: dict[str, float]) -> None:
    plain, averaged = small_loop(epochs=3), small_loop(epochs=3, **average)
    without, kept = weights_after(plain), weights_after(averaged)
    assert any(not torch.equal(without[name], kept[name]) for name in kept)
    assert averaged.average is not None
    if averaged.progress.best_epoch == 3:
        assert all(torch.equal(kept[name], value) for name, value in averaged.average.averages.items())


def test_a_batch_that_gives_nan_is_named_and_left_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    under_test = small_loop()
    poison(under_test, monkeypatch, steps={5})
    events = list(under_test.run())
    (diverged,) = [event for event in events if isinstance(event, Diverged)]
    assert (diverged.step, diverged.epoch, len(diverged.rows)) == (5, 2, 16)
    assert "a loss of nan: back to the last checkpoint, this batch is left out" in diverged.action
    assert {event.step for event in events if isinstance(event, StepDone)} == {0, 1, 2, 3, 4, 6, 7}
    assert all(value.isfinite().all() for value in weights_of(under_test).values())


def test_more_than_one_bad_batch_cuts_the_learning_rate_from_the_start_of_the_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_test = small_loop(optim={"schedule": "constant", "warmup": 0.0})
    poison(under_test, monkeypatch, steps={5, 6}, above=under_test.config.optim.learning_rate * 0.75)
    events = list(under_test.run())
    actions = [event.action for event in events if isinstance(event, Diverged)]
    assert len(actions) == 2
    assert "back to the start of the epoch, the learning rate is cut to 0.5" in actions[1]
    rates = {event.step: event.learning_rate for event in events if isinstance(event, StepDone)}
    assert rates[4] == rates[6] == rates[0] / 2


def test_a_loss_that_stays_astray_stops_loudly_after_a_few_tries() -> None:
    under_test = small_loop()
    with torch.no_grad():
        under_test.network.heads[0].linear.weight.fill_(math.inf)
    with pytest.raises(TrainingError, match="epoch 1, step 1: expected a finite loss .* after 4 returns to a checkp"):
        list(under_test.run())


def test_a_loss_that_runs_away_is_seen_before_it_is_infinite() -> None:
    under_test = small_loop(epochs=40, optim={"optimizer": "sgd", "learning_rate": 3e3, "clip_norm": None})
    with pytest.raises(TrainingError, match="expected a finite loss that does not run away"):
        list(under_test.run())


def test_a_run_resumed_in_its_first_epoch_can_go_back_to_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    folder = tmp_path / "run" / "checkpoints"
    settings = {"optim": {"schedule": "constant", "warmup": 0.0}}
    running = (under_test := small_loop(folder=folder, **settings)).run()
    assert next(event for event in running if isinstance(event, StepDone)).step == 0
    under_test.interrupt.number = signal.SIGTERM
    with pytest.raises(StoppedError):
        list(running)
    resumed = small_loop(folder=folder, resume=True, **settings)
    poison(resumed, monkeypatch, steps={1, 2}, above=resumed.config.optim.learning_rate * 0.75)
    events = list(resumed.run())
    assert [event.step for event in events if isinstance(event, Diverged)] == [1, 2]
    rates = {event.step: event.learning_rate for event in events if isinstance(event, StepDone)}
    assert rates[0] == rates[7] == resumed.config.optim.learning_rate / 2


def test_damaged_checkpoints_do_not_push_new_ones_out(tmp_path: Path) -> None:
    expected = weights_after(small_loop(folder=tmp_path / "whole"))
    weights_after(small_loop(folder=tmp_path / "c"))
    for path in (tmp_path / "c").glob("*.safetensors"):
        path.write_bytes(b"")
    for event in (running := small_loop(folder=tmp_path / "c", resume=True).run()):
        if isinstance(event, StepDone) and event.step == 5:
            running.close()
            break
    resumed = small_loop(folder=tmp_path / "c", resume=True)
    assert [event.step for event in events_of(resumed, Resumed)] == [4]
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(resumed).items())


def test_an_average_over_the_last_step_alone_is_that_of_the_last_step() -> None:
    under_test = small_loop(swa=0.01)
    under_test.validation = under_test.validation.select(np.arange(0))
    kept, plain = weights_after(under_test), small_loop()
    plain.validation = plain.validation.select(np.arange(0))
    expected = weights_after(plain)
    assert all(torch.equal(kept[name], value) for name, value in expected.items())


def poison(under_test: Loop, monkeypatch: pytest.MonkeyPatch, steps: set[int], above: float = 0.0) -> None:
    """Make the loss NaN at these steps, as long as the learning rate is above a bound."""
    honest = TrainStep.loss

    def loss(self: TrainStep, batch: Any, counter: int) -> torch.Tensor:
        losses = honest(self, batch, counter)
        rate = under_test.optimizer.param_groups[0]["lr"]
        return losses * math.nan if under_test.progress.step in steps and rate > above else losses

    monkeypatch.setattr(TrainStep, "loss", loss)


def test_out_of_memory_repeats_the_step_in_parts_with_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"optimizer": "sgd", "learning_rate": 0.1}  # an adaptive one would blow rounding errors up
    expected = weights_after(small_loop(0.0, optim=plain))
    under_test = small_loop(0.0, optim=plain)
    honest = TrainStep.loss

    def loss(self: TrainStep, batch: Any, counter: int) -> torch.Tensor:
        if len(batch) > 4:
            raise torch.OutOfMemoryError("tried to allocate")
        return honest(self, batch, counter)

    monkeypatch.setattr(TrainStep, "loss", loss)
    ran_out = events_of(under_test, MemoryRanOut)
    assert [(event.step, event.parts) for event in ran_out] == [(0, 2), (0, 4)]
    for name, value in weights_of(under_test).items():
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=0)


def test_a_row_that_does_not_fit_ends_the_run_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(*arguments: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(TrainStep, "loss", loss)
    with pytest.raises(TrainingError, match="expected memory for two rows at a time, found less. Shorten the inputs"):
        list(small_loop().run())


def test_another_error_in_a_step_is_not_taken_for_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(*arguments: Any) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(TrainStep, "loss", loss)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(small_loop().run())


def test_a_signal_saves_at_the_next_step_and_says_how_to_go_on(tmp_path: Path) -> None:
    under_test = small_loop(folder=tmp_path / "run" / "checkpoints")
    (tmp_path / "run").mkdir()
    running = under_test.run()
    assert [next(event for event in running if isinstance(event, StepDone)).step for _ in range(3)] == [0, 1, 2]
    under_test.interrupt.number = signal.SIGTERM
    assert next(running) == CheckpointDue()
    assert isinstance(next(running), CheckpointSaved)
    assert next(running) == Stopped(3, "SIGTERM")
    with pytest.raises(StoppedError, match="SIGTERM .all is saved, up to step 3.. Go on with .luban train --resume"):
        next(running)
    resumed = small_loop(folder=under_test.folder, resume=True)
    assert [event.step for event in events_of(resumed, Resumed)] == [3]


def test_checkpoints_are_as_often_as_asked_as_long_as_they_cost_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = events_of(small_loop(folder=tmp_path / "rare", checkpoint_seconds=1e6), CheckpointSaved)
    assert [event.step for event in rare] == [4, 8]  # the end of each epoch
    often = small_loop(folder=tmp_path / "often", checkpoint_seconds=1e-9)
    monkeypatch.setattr("luban.training.loop.MAX_CHECKPOINT_SHARE", math.inf)
    assert [event.step for event in events_of(often, CheckpointSaved)] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8]


def test_epochs_rank_by_score_then_by_loss_and_undefined_scores_last() -> None:
    accuracy, loss = Binary.metrics[0], Binary.metrics[-1]
    assert loss.breaks_ties
    assert ranked({"accuracy": 0.8, "log_loss": 0.3}, accuracy, loss) > ranked(
        {"accuracy": 0.8, "log_loss": 0.4}, accuracy, loss
    )
    assert ranked({"accuracy": 0.9, "log_loss": 0.9}, accuracy, loss) > ranked(
        {"accuracy": 0.8, "log_loss": 0.1}, accuracy, loss
    )
    assert ranked({"accuracy": 0.0, "log_loss": math.nan}, accuracy, loss) == (0.0, -1e300)
    assert ranked({"accuracy": math.nan, "log_loss": 0.1}, accuracy, loss) < ranked(
        {"accuracy": 0.0, "log_loss": 9e9}, accuracy, loss
    )


def test_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="found 'acuracy'. Did you mean 'accuracy'"):
        deciding_metric(small_loop().task, "acuracy")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"augment": {"flip": True}}, "train.augment"),
        ({"probe": True}, "train.probe"),
        ({"optim": {"backbone_learning_rate": 0.1}}, "train.optim.backbone_learning_rate"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: expected a network that it applies to"):
        small_loop(**settings)


def test_two_averages_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="train.ema, train.swa: expected one average of the weights, found two"):
        small_loop(ema=0.9, swa=0.5)
