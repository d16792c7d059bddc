"""A transformer whose token table is trained by its rows in use, against one trained as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from one_target import outputs_of, targets_of
from small_loop import without_key_biases
from torch import Tensor

from luban.core.tensors import EncodedColumn, InputSpec, TensorKind, only
from luban.features.dataset import Dataset
from luban.models import network as networks
from luban.models.choice import NetworkConfig
from luban.models.network import Network
from luban.models.transformer import TransformerEncoder
from luban.training.optim.clipping import clip_grad_norm
from luban.training.optim.combined import Combined, build_optimizer
from luban.training.optim.optimizers import OptimConfig, schedule_factor
from luban.training.optim.row_adamw import RowAdamW
from luban.training.vocabulary import TrainedRows, used_vocabulary

ROWS, STEPS = 96, 48
VOCABULARY = 300


def text_rows(most: int) -> Dataset:
    """Rows of tokens of which some are frequent and most rare; ids below `most`."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 9, ROWS)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.minimum(draw.zipf(1.3, offsets[-1]), most - 1).astype(np.int32)
    ids[: most - 1] = np.arange(1, most)[: len(ids)]  # each at least once
    draw.shuffle(ids)
    targets = (ids[offsets[:-1]] % 2).astype(np.int64)
    positions = np.arange(ROWS, dtype=np.int64)
    return Dataset(
        {"text": EncodedColumn(TensorKind.TOKENS, ids, offsets)},
        targets_of(targets),
        positions,
        positions,
        {},
    )


def small_network(vocabulary: int = VOCABULARY) -> Network:
    tokens = {"architecture": "transformer", "layers": 2, "width": 16, "heads": 2, "dropout": 0.0}
    config = NetworkConfig.model_validate({"tokens": tokens, "hidden": [], "dropout": 0.0})
    torch.manual_seed(0)
    return Network(
        networks.specify(
            config,
            [InputSpec("text", TensorKind.TOKENS, vocabulary, max_length=16)],
            outputs_of(1),
        )
    )


def table(network: Network) -> torch.nn.Module:
    encoder = network.encoder("text")
    assert isinstance(encoder, TransformerEncoder)
    return encoder.backbone.embeddings.tokens


def config(name: str = "adamw") -> OptimConfig:
    return OptimConfig.model_validate({"optimizer": name, "learning_rate": 1e-3, "weight_decay": 0.05})


def take_steps(network: Network, optimizer: Combined, data: Dataset, first: int, last: int) -> None:
    """Steps of 4 rows each in two accumulated parts, under a linear schedule with warm-up."""
    for step in range(first, last):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule_factor("linear", step, STEPS, 0.2)
        optimizer.zero_grad()
        rows = np.random.default_rng(step).choice(ROWS, 4, replace=False).astype(np.int64)
        for part in (rows[:2], rows[2:]):
            batch = data.batch(part)
            logits_B = only(network(batch.inputs))[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits_B, only(batch.targets).float(), reduction="sum"
            )
            (loss / len(rows)).backward()
        clip_grad_norm(network.parameters(), 1.0)
        optimizer.step()


def trained(data: Dataset, context: contextlib.AbstractContextManager[None], network: Network) -> dict[str, Tensor]:
    with context:
        optimizer = build_optimizer(network, config())
        take_steps(network, optimizer, data, 0, STEPS)
        optimizer.flush()
    return network.state_dict()


@pytest.mark.parametrize("most", [120, 290])
def test_a_transformer_trained_by_sparse_gradients_ends_where_the_dense_one_does(most: int) -> None:
    data = text_rows(most)
    expected = trained(data, contextlib.nullcontext(), small_network())
    network = small_network()
    whole = table(network)
    found = trained(data, used_vocabulary(network, [data], sparse=True, min_sparse_rows=1), network)
    assert table(network) is whole
    assert set(found) == set(expected)
    found, expected = without_key_biases(found), without_key_biases(expected)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=0)


@contextlib.contextmanager
def replaced(network: Network, most: int, min_sparse_rows: int) -> Iterator[torch.nn.Module]:
    with used_vocabulary(network, [text_rows(most)], sparse=True, min_sparse_rows=min_sparse_rows):
        yield table(network)


def test_only_large_tables_are_sparse_and_a_table_mostly_in_use_is_trained_in_place() -> None:
    network = small_network()
    with replaced(network, 120, 119) as restricted:
        assert isinstance(restricted, TrainedRows)
        assert (restricted.sparse, restricted.rows.shape[0]) == (True, 119)
    with replaced(network, 120, 120) as restricted:
        assert isinstance(restricted, TrainedRows)
        assert not restricted.sparse
    with replaced(network, 290, 290) as dense:
        assert isinstance(dense, torch.nn.Embedding)
    weight = next(table(network).parameters())
    with replaced(network, 290, 1) as whole:
        assert isinstance(whole, TrainedRows)
        assert whole.rows is weight
        assert whole.places_V is None


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_the_rows_of_a_sparse_table_go_to_the_row_optimizer_alone(name: str) -> None:
    network = small_network()
    with used_vocabulary(network, [text_rows(120)], sparse=True, min_sparse_rows=1):
        rows = next(parameter for key, parameter in network.named_parameters() if key.endswith("tokens.rows"))
        optimizer = build_optimizer(network, config(name))
        (row_optimizer,) = (part for part in optimizer.optimizers if isinstance(part, RowAdamW))
        assert [p for group in row_optimizer.param_groups for p in group["params"]] == [rows]
        everything = [p for group in optimizer.param_groups for p in group["params"]]
        assert len(everything) == len(set(everything)) == len(list(network.parameters()))
        take_steps(network, optimizer, text_rows(120), 0, 2)
        assert rows.grad is not None
        assert rows.grad.is_sparse
