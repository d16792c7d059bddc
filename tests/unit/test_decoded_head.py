"""The protocol of a decoder, followed by a small one: what it writes step by step is what it was taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pytest
import torch
from torch import Tensor, nn

from luban.core.runtime import seeded
from luban.core.tensors import OutputKind, OutputSpec, Ragged
from luban.models.attention import attention
from luban.models.heads.base import States, Widths
from luban.models.heads.decoded import Cache, DecodedHead
from luban.models.packing import Packing

CPU = torch.device("cpu")
HEADS, WIDTH, SIZE, LONGEST = 2, 16, 11, 8


@dataclass(frozen=True)
class OneLayerCache:
    """own: keys and values (B, T, 2, H, K) of the tokens so far. places: those (M, 2, H, K) of the input, packed."""

    own: Tensor
    places: Ragged

    def select(self, rows: Tensor) -> Self:
        values = torch.split(self.places.values, self.places.offsets.diff().tolist())
        return type(self)(self.own[rows], Ragged.pack([values[row] for row in rows.tolist()]))


class OneLayer(DecodedHead):
    start, end = 1, 2

    def __init__(self, of: str, places: int, size: int) -> None:
        super().__init__()
        self.of = of
        self.tokens, self.positions = nn.Embedding(size, WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.qkv, self.query = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.kv, self.logits = nn.Linear(places, 2 * WIDTH), nn.Linear(WIDTH, size)

    @classmethod
    def build(cls, spec: OutputSpec, widths: Widths) -> Self:
        return cls(spec.of, widths.places[spec.of], spec.size)

    def forward(self, states: States, targets: Ragged | None = None) -> Ragged:
        assert targets is not None
        read = torch.roll(targets.values, 1)
        read[targets.offsets[:-1]] = self.start
        queries = Packing(targets.offsets, CPU)
        x_ND = self.tokens(read) + self.positions(queries.token_positions)
        q, k, v = self.qkv(x_ND).unflatten(1, (3, HEADS, -1)).unbind(1)
        x_ND = x_ND + attention(q, k, v, queries, causal=True).flatten(1)
        return Ragged(self.answer(x_ND, queries, self.of_places(states)), targets.offsets)

    def of_places(self, states: States) -> Ragged:
        places = states.places[self.of]
        assert isinstance(places, Ragged)
        return Ragged(self.kv(places.values).unflatten(1, (2, HEADS, -1)), places.offsets)

    def answer(self, x_ND: Tensor, queries: Packing, places: Ragged) -> Tensor:
        k, v = places.values.unbind(1)
        q = self.query(x_ND).unflatten(1, (HEADS, -1))
        logits: Tensor = self.logits(x_ND + attention(q, k, v, queries, Packing(places.offsets, CPU)).flatten(1))
        return logits

    def begin(self, states: States) -> OneLayerCache:
        places = self.of_places(states)
        return OneLayerCache(torch.empty(len(places.offsets) - 1, 0, 2, HEADS, WIDTH // HEADS), places)

    def step(self, ids: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        assert isinstance(cache, OneLayerCache)
        rows, time = cache.own.shape[:2]
        x_BD = self.tokens(ids) + self.positions.weight[time]
        qkv = self.qkv(x_BD).unflatten(1, (3, HEADS, -1))
        own = torch.cat([cache.own, qkv[:, None, 1:]], dim=1)
        queries = Packing(torch.arange(rows + 1), CPU)
        k, v = own.flatten(0, 1).unbind(1)
        x_BD = x_BD + attention(qkv[:, 0], k, v, queries, Packing(torch.arange(rows + 1) * (time + 1), CPU)).flatten(1)
        return self.answer(x_BD, queries, cache.places), OneLayerCache(own, cache.places)


@pytest.fixture
def head() -> OneLayer:
    with seeded(0, "test"):
        return OneLayer.build(OutputSpec("words", OutputKind.DECODED, SIZE, "text"), Widths(0, places={"text": 6}))


def states() -> States:
    """Rows of 5 places, of 1 and of none."""
    with seeded(1, "test"):
        return States(places={"text": Ragged(torch.randn(6, 6), torch.tensor([0, 5, 6, 6]))})


def test_each_step_gives_the_logits_that_were_taught(head: OneLayer) -> None:
    targets = torch.tensor([[4, 5, 6, 2], [7, 3, 9, 2], [4, 4, 8, 2]])
    taught = head(states(), Ragged(targets.flatten(), torch.tensor([0, 4, 8, 12]))).values.view(3, 4, SIZE)
    cache, ids = head.begin(states()), torch.full((3,), head.start)
    for time in range(4):
        logits, cache = head.step(ids, cache)
        torch.testing.assert_close(logits, taught[:, time])
        ids = targets[:, time]


def test_rows_of_the_cache_can_be_chosen_and_repeated(head: OneLayer) -> None:
    _, cache = head.step(torch.full((3,), head.start), head.begin(states()))
    rows = torch.tensor([1, 0, 1])
    expected, _ = head.step(torch.tensor([4, 5, 6]), cache)
    found, _ = head.step(torch.tensor([5, 4, 5]), cache.select(rows))
    torch.testing.assert_close(found, expected[rows])


def test_a_decoder_is_trained_by_the_targets_and_learns_to_copy_its_places(head: OneLayer) -> None:
    ids = torch.tensor([3, 5, 4, 7, 6])
    places = torch.eye(SIZE)[ids][:, 3:9]
    offsets = torch.tensor([0, 1, 2, 3, 4, 5])
    rows = Ragged(torch.stack([ids, torch.full((5,), head.end)], 1).flatten(), offsets * 2)
    optimizer = torch.optim.Adam(head.parameters(), 0.03)
    for _ in range(60):
        optimizer.zero_grad()
        logits = head(States(places={"text": Ragged(places, offsets)}), rows).values
        nn.functional.cross_entropy(logits, rows.values).backward()
        optimizer.step()
    assert torch.equal(logits.argmax(1), rows.values)
