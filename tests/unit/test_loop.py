"""The loop's numbers: accumulation, exact repetition, the vocabulary in use, ranking of epochs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from luban.core.errors import ConfigError, TrainingError
from luban.core.events import StepDone, Validated
from luban.core.runtime import seeded
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features.dataset import Dataset
from luban.models import network as networks
from luban.models.network import Network, NetworkConfig
from luban.tasks.classification import Binary
from luban.training import recipe
from luban.training.loop import Loop, deciding_metric, ranked
from luban.training.recipe import TrainConfig
from luban.training.vocabulary import used_vocabulary

ROWS = 64
TOKENS = {"architecture": "transformer", "layers": 1, "width": 16, "heads": 2, "dropout": 0.1}


def text_rows(rows: int = ROWS) -> Dataset:
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 9, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = draw.integers(4, 20, offsets[-1]).astype(np.int32)
    targets = (ids[offsets[:-1]] > 11).astype(np.int64)
    positions = np.arange(rows, dtype=np.int64)
    return Dataset({"text": EncodedColumn(TensorKind.TOKENS, ids, offsets)}, targets, positions, positions, {})


def loop(dropout: float = 0.1, **settings: Any) -> Loop:
    task = Binary.fit(pl.Series("y", [0, 1] * 8))
    config = NetworkConfig.model_validate({"tokens": {**TOKENS, "dropout": dropout}, "hidden": [], "dropout": dropout})
    spec = networks.specify(config, [InputSpec("text", TensorKind.TOKENS, 100, max_length=16)], 1)
    with seeded(0, "test"):
        network = Network(spec)
    train = TrainConfig.model_validate({"epochs": 2, "batch_size": 16, "patience": 0, **settings})
    data = text_rows()
    complete = recipe.complete(train, spec, len(data), None)
    return Loop(network, task, data, data, complete, 0, torch.device("cpu"), torch.float32, [])


def weights_after(under_test: Loop) -> dict[str, torch.Tensor]:
    for _ in under_test.run():
        pass
    return {name: value.clone() for name, value in under_test.network.state_dict().items()}


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    first = weights_after(loop())
    torch.rand(17)
    second = weights_after(loop())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_accumulated_parts_of_unequal_size_equal_the_whole_batch() -> None:
    whole, parts = loop(0.0, accumulate=1), loop(0.0, accumulate=3)
    expected, found = weights_after(whole), weights_after(parts)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=2e-5, rtol=1e-4)


def test_training_the_vocabulary_in_use_equals_training_all_of_it() -> None:
    dense, restricted = loop(), loop()
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
    under_test = loop(epochs=20, optim={"learning_rate": 0.01})
    events = list(under_test.run())
    steps = [event for event in events if isinstance(event, StepDone)]
    validated = [event for event in events if isinstance(event, Validated)]
    assert len(steps) == 20 * 4
    assert steps[-1].loss < steps[0].loss / 2
    best = [event for event in validated if event.is_best][-1]
    assert under_test.validate() == pytest.approx(best.scores)


def test_a_loss_that_is_not_finite_stops_with_one_sentence() -> None:
    under_test = loop()
    with torch.no_grad():
        under_test.network.head.weight.fill_(math.inf)
    with pytest.raises(TrainingError, match="training, epoch 1, step 0: expected a finite loss, found nan"):
        list(under_test.run())


def test_epochs_rank_by_score_then_by_loss_and_undefined_scores_last() -> None:
    accuracy = Binary.metrics[0]
    assert ranked({"accuracy": 0.8, "log_loss": 0.3}, accuracy) > ranked({"accuracy": 0.8, "log_loss": 0.4}, accuracy)
    assert ranked({"accuracy": 0.9, "log_loss": 0.9}, accuracy) > ranked({"accuracy": 0.8, "log_loss": 0.1}, accuracy)
    assert ranked({"accuracy": math.nan}, accuracy)[0] == -math.inf


def test_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="found 'acuracy'. Did you mean 'accuracy'"):
        deciding_metric(loop().task, "acuracy")


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
        loop(**settings)
