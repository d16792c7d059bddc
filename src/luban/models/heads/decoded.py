"""The tokens of a decoder that attends to the places of an input: translation, captions, speech to text.

Shapes: B rows · N packed tokens · V size of the vocabulary
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal, Protocol, Self

from torch import Tensor

from luban.core.tensors import Ragged
from luban.models.heads.base import Head, States


class Cache(Protocol):
    """What a decoder keeps of B rows while it writes them: keys and values of the places and of the tokens so far."""

    def select(self, rows: Tensor) -> Self:
        """Return what is kept of the rows (B',) int64, in this order; a row may stand several times, as the beams of a
        search do."""


class DecodedHead(Head):
    """Writes a row of tokens for each row of an input, each token after those before it.

    Subclasses build their layers on `luban.models.attention`: a token attends to itself and those before it by
    `attention(q, k, v, queries, causal=True)`, with a cache by `attention(q, k, v, queries, keys, causal=True)`; to the
    places of the input, `states.places[of]`, by `attention(q, k, v, queries, keys)`, which is 0 for a row without any.

    of: the input whose places are attended to. start: the id that stands before the first token of every row. end: the
    id after the last.
    """

    reads: ClassVar[Literal["fused", "vector", "places", "nothing"]] = "places"

    of: str
    start: int
    end: int

    @abstractmethod
    def forward(self, states: States, targets: Ragged | None = None) -> Ragged:
        """Return the logits (N, V) of each token of the targets, given those before it, packed as they are.

        targets: (N,) int64, each row with its `end`. While training they are what the decoder reads, moved on by one
        behind `start`; a head that writes freely is asked by `begin` and `step`, and is not called without them.
        """

    @abstractmethod
    def begin(self, states: States) -> Cache:
        """Return the cache of rows of which nothing is written yet; the places are read here once for all steps."""

    @abstractmethod
    def step(self, ids: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Read one more token of each row, and return the logits (B, V) of the next and the cache that knows it.

        ids: (B,) int64, `start` at first. The given cache may be changed in place and is not read again. The logits are
        those that `forward` gives at the same place of the same row.
        """
