"""How packed rows lie in padded grids, where an operation needs grids: rows of like length share one.

Shapes: B rows · N packed tokens · T time · H heads · K width of a head · P places in the padded grids of all buckets
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

BUCKET_RATIO = 0.7  # a row shorter than this share of the longest row beside it is padded in another grid


@dataclass(frozen=True)
class Bucket:
    """Rows of like length, padded together to a grid of (rows, longest) places, or to one of queries and one of keys.

    longest: of the queries; longest_keys: of the keys. mask: (B, 1, 1 or T, longest_keys), added to the scores: 0 where
    a token may be seen, -inf elsewhere; None where all may.
    """

    rows: int
    longest: int
    longest_keys: int
    mask: Tensor | None

    @property
    def places(self) -> int:
        return self.rows * self.longest

    @property
    def key_places(self) -> int:
        return self.rows * self.longest_keys


@dataclass(frozen=True)
class Packing:
    """The layout of a packed batch, worked out once and used by every layer.

    offsets: (B + 1,) int64 on the CPU. device: where the tokens are, and every tensor below.
    """

    offsets: Tensor
    device: torch.device
    _pairings: dict[tuple[int, bool], Pairing] = field(default_factory=dict, init=False, repr=False, compare=False)

    def paired(self, keys: Packing, *, causal: bool) -> Pairing:
        """Return the layout of attention from these tokens to those of another packing, worked out once."""
        key = id(keys), causal
        if key not in self._pairings or self._pairings[key].keys is not keys:
            self._pairings[key] = Pairing(self.offsets, keys, causal)
        return self._pairings[key]

    @cached_property
    def lengths(self) -> Tensor:
        """(B,) int64 on the CPU."""
        return self.offsets.diff()

    @cached_property
    def longest(self) -> int:
        return int(self.lengths.max()) if len(self.lengths) else 0

    @cached_property
    def token_rows(self) -> Tensor:
        """(N,): the row of each token."""
        return self._rows.to(self.device, non_blocking=True)

    @cached_property
    def token_positions(self) -> Tensor:
        """(N,): the place of each token in its row, from 0."""
        return self._positions.to(self.device, non_blocking=True)

    @cached_property
    def ends(self) -> Tensor:
        """The offsets as varlen attention takes them: int32, on the device."""
        return self.offsets.to(self.device, torch.int32, non_blocking=True)

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        return tuple(self._bucket(lengths) for lengths in self._grouped_lengths)

    @cached_property
    def token_places(self) -> Tensor | None:
        """(N,): the place of each token in the grids laid end to end; None where nothing is padded or moved."""
        if len(self.buckets) <= 1 and all(bucket.mask is None for bucket in self.buckets):
            return None
        starts, start = [], 0
        for bucket in self.buckets:
            starts.append(torch.arange(start, start + bucket.places, bucket.longest))
            start += bucket.places
        row_starts = torch.zeros(len(self.lengths), dtype=torch.int64)
        row_starts[self._order] = torch.cat(starts)
        return (row_starts[self._rows] + self._positions).to(self.device, non_blocking=True)

    @cached_property
    def place_tokens(self) -> Tensor | None:
        """(P,): the token at each place, token 0 at padding; None where token_places is."""
        if self.token_places is None:
            return None
        places = sum(bucket.places for bucket in self.buckets)
        tokens = torch.zeros(places, dtype=torch.int64, device=self.device)
        return tokens.index_copy_(0, self.token_places, torch.arange(len(self.token_places), device=self.device))

    @cached_property
    def _rows(self) -> Tensor:
        return torch.repeat_interleave(torch.arange(len(self.lengths)), self.lengths)

    @cached_property
    def _positions(self) -> Tensor:
        return torch.arange(int(self.offsets[-1])) - self.offsets[self._rows]

    @cached_property
    def _order(self) -> Tensor:
        """The rows that have tokens, longest first."""
        order = self.lengths.argsort(descending=True, stable=True)
        return order[: int((self.lengths > 0).sum())]

    @cached_property
    def _grouped_lengths(self) -> list[list[int]]:
        groups: list[list[int]] = []
        for length in self.lengths[self._order].tolist():
            if groups and length >= BUCKET_RATIO * groups[-1][0]:
                groups[-1].append(length)
            else:
                groups.append([length])
        return groups

    def _bucket(self, lengths: list[int]) -> Bucket:
        longest = lengths[0]
        if lengths[-1] == longest:
            return Bucket(len(lengths), longest, longest, None)
        is_padding = torch.arange(longest) >= torch.tensor(lengths)[:, None]
        padding = torch.zeros(is_padding.shape).masked_fill_(is_padding, -torch.inf)
        mask = padding[:, None, None, :].to(self.device, non_blocking=True)
        return Bucket(len(lengths), longest, longest, mask)


@dataclass(frozen=True)
class Pairing:
    """The layout of attention from the tokens of one packing, the queries, to those of another with as many rows.

    offsets: (B + 1,) of the queries, int64 on the CPU. causal: whether the queries are the last tokens of their rows of
    keys, each of which sees itself and what stands before it.
    """

    offsets: Tensor
    keys: Packing
    causal: bool

    def __post_init__(self) -> None:
        assert len(self.offsets) == len(self.keys.offsets), "queries and keys of as many rows"
        assert not self.causal or bool((self._lengths <= self.keys.lengths).all()), "queries that are keys, too"

    @cached_property
    def whole(self) -> tuple[Tensor, Tensor, Packing, Packing] | None:
        """The tokens of the rows that have both queries and keys: their places among all queries and among all keys,
        and the packings of these alone; None where all rows have both."""
        lengths, keys, device = self._lengths, self.keys.lengths, self.keys.device
        is_whole = (lengths > 0) & (keys > 0)
        if is_whole.all():
            return None
        found = []
        for each in (lengths, keys):
            places = torch.repeat_interleave(is_whole, each).nonzero().flatten().to(device)
            offsets = torch.cat([torch.zeros(1, dtype=torch.int64), each[is_whole].cumsum(0)])
            found.append((places, Packing(offsets, device)))
        (query_places, query_packing), (key_places, key_packing) = found
        return query_places, key_places, query_packing, key_packing

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        return tuple(self._bucket(rows) for rows in self._groups)

    @cached_property
    def queries(self) -> Grids:
        return Grids.of(self.offsets, self._groups, [bucket.longest for bucket in self.buckets], self.keys.device)

    @cached_property
    def keys_in_grids(self) -> Grids:
        longest = [bucket.longest_keys for bucket in self.buckets]
        return Grids.of(self.keys.offsets, self._groups, longest, self.keys.device)

    @cached_property
    def _lengths(self) -> Tensor:
        return self.offsets.diff()

    @cached_property
    def _groups(self) -> list[Tensor]:
        """The rows of each bucket: alike in keys, and among these in queries."""
        groups = []
        for alike in _grouped(torch.arange(len(self._lengths)), self.keys.lengths):
            groups += _grouped(alike, self._lengths)
        return groups

    def _bucket(self, rows: Tensor) -> Bucket:
        lengths, keys = self._lengths[rows], self.keys.lengths[rows]
        longest, longest_keys = int(lengths.max()), int(keys.max())
        is_hidden = (torch.arange(longest_keys) >= keys[:, None])[:, None, :]
        if self.causal:
            last_seen = torch.arange(longest) + (keys - lengths)[:, None]
            is_hidden = torch.arange(longest_keys) > last_seen[:, :, None]
        if not is_hidden.any():
            return Bucket(len(rows), longest, longest_keys, None)
        mask = torch.zeros(is_hidden.shape).masked_fill_(is_hidden, -torch.inf)
        return Bucket(len(rows), longest, longest_keys, mask[:, None].to(self.keys.device, non_blocking=True))


@dataclass(frozen=True)
class Grids:
    """Where the tokens of a packing are in the padded grids of all buckets laid end to end.

    token_places: (N,); place_tokens: (P,), token 0 at padding.
    """

    token_places: Tensor
    place_tokens: Tensor

    @classmethod
    def of(cls, offsets: Tensor, groups: list[Tensor], longest: list[int], device: torch.device) -> Self:
        """groups: the rows of each bucket. longest: the places of a row in it."""
        lengths = offsets.diff()
        starts, start = torch.zeros(len(lengths), dtype=torch.int64), 0
        for rows, places in zip(groups, longest, strict=True):
            starts[rows] = torch.arange(start, start + len(rows) * places, places)
            start += len(rows) * places
        row_of = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        token_places = starts[row_of] + torch.arange(len(row_of)) - offsets[row_of]
        place_tokens = torch.zeros(start, dtype=torch.int64).index_copy_(0, token_places, torch.arange(len(row_of)))
        return cls(token_places.to(device, non_blocking=True), place_tokens.to(device, non_blocking=True))


def _grouped(rows: Tensor, lengths: Tensor) -> list[Tensor]:
    """Sort rows by length, the longest first, and cut them where one is shorter than BUCKET_RATIO of the first."""
    rows = rows[lengths[rows].argsort(descending=True, stable=True)]
    ends, longest = list[int](), 0
    for place, length in enumerate(lengths[rows].tolist()):
        if not place:
            longest = length
        elif length < BUCKET_RATIO * longest:
            ends.append(place)
            longest = length
    return list(torch.tensor_split(rows, ends))


def pad(x_NHK: Tensor, layout: Packing | Grids) -> Tensor:
    """Return tokens (N, H, K) in the grids of all buckets, (P, H, K)."""
    if layout.token_places is None:
        return x_NHK
    x_PHK: Tensor = _Pad.apply(x_NHK, layout.place_tokens, layout.token_places)  # type: ignore[no-untyped-call]
    return x_PHK


def unpad(x_PHK: Tensor, layout: Packing | Grids) -> Tensor:
    """Return the tokens (N, H, K) of grids (P, H, K)."""
    if layout.token_places is None:
        return x_PHK
    x_NHK: Tensor = _Unpad.apply(x_PHK, layout.token_places)  # type: ignore[no-untyped-call]
    return x_NHK


class _Pad(torch.autograd.Function):
    """Put the tokens into the grids, any token where there is padding. Padding is never attended to and its output
    never read, so that its gradient is 0 and the tokens' own need only be picked out: torch's indexing would add up
    gradients place by place, which costs many times more on a CPU."""

    @staticmethod
    def forward(ctx: Any, x_NHK: Tensor, tokens_P: Tensor, places_N: Tensor) -> Tensor:
        ctx.save_for_backward(places_N)
        return x_NHK.index_select(0, tokens_P)

    @staticmethod
    def backward(ctx: Any, grad_PHK: Tensor) -> tuple[Tensor, None, None]:
        (places_N,) = ctx.saved_tensors
        return grad_PHK.index_select(0, places_N), None, None


class _Unpad(torch.autograd.Function):
    """Take the tokens out of the grids; no place is taken twice, so that the gradient need not be added up either."""

    @staticmethod
    def forward(ctx: Any, x_PHK: Tensor, places_N: Tensor) -> Tensor:
        ctx.save_for_backward(places_N)
        ctx.places = len(x_PHK)
        return x_PHK.index_select(0, places_N)

    @staticmethod
    def backward(ctx: Any, grad_NHK: Tensor) -> tuple[Tensor, None]:
        (places_N,) = ctx.saved_tensors
        return grad_NHK.new_zeros(ctx.places, *grad_NHK.shape[1:]).index_copy_(0, places_N, grad_NHK), None
