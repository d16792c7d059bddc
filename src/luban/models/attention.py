"""The only place that computes attention: packed rows in, packed rows out, on every device.

Shapes: B rows · N packed tokens · T time · H heads · K width of a head · P places in the padded grids of all buckets
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from luban.models.dropout import dropout as drop

SHORT_ROWS = 128  # tokens; up to here plain products are faster forward on a CPU than the fused kernel
BUCKET_RATIO = 0.7  # a row shorter than this share of the longest row beside it is padded in another grid
VARLEN_DTYPES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Bucket:
    """Rows of like length, padded together to a grid of (rows, longest) places.

    padding: (B, 1, 1, T), added to the scores: 0 at a token, -inf at padding; None where nothing is padded.
    """

    rows: int
    longest: int
    padding: Tensor | None

    @property
    def places(self) -> int:
        return self.rows * self.longest


@dataclass(frozen=True)
class Packing:
    """The layout of a packed batch, worked out once and used by every layer.

    offsets: (B + 1,) int64 on the CPU. device: where the tokens are, and every tensor below.
    """

    offsets: Tensor
    device: torch.device

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
        if len(self.buckets) <= 1 and all(bucket.padding is None for bucket in self.buckets):
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
            return Bucket(len(lengths), longest, None)
        is_padding = torch.arange(longest) >= torch.tensor(lengths)[:, None]
        padding = torch.zeros(is_padding.shape).masked_fill_(is_padding, -torch.inf)
        return Bucket(len(lengths), longest, padding[:, None, None, :].to(self.device, non_blocking=True))


def attention(
    q_NHK: Tensor,
    k_NHK: Tensor,
    v_NHK: Tensor,
    packing: Packing,
    *,
    causal: bool = False,
    dropout: float = 0.0,
    training: bool = False,
) -> Tensor:
    """Let each token attend to the tokens of its own row, or, where causal, to itself and those before it.

    Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762). dropout: on the attention weights, while
    training. Returns (N, H, K).
    """
    rate = dropout if training else 0.0
    if not len(q_NHK):
        return v_NHK
    if rate == 0 and _has_varlen(q_NHK):
        ends, longest = packing.ends, packing.longest
        from torch.nn.attention.varlen import varlen_attn

        packed = varlen_attn(q_NHK, k_NHK, v_NHK, ends, ends, longest, longest, **_varlen_mask(varlen_attn, causal))
        assert isinstance(packed, Tensor)
        return packed
    sizes = [bucket.places for bucket in packing.buckets]
    grids = (torch.split(_pad(x, packing), sizes) for x in (q_NHK, k_NHK, v_NHK))
    outputs = [
        _padded_attention(q_PHK, k_PHK, v_PHK, bucket, causal, rate)
        for bucket, q_PHK, k_PHK, v_PHK in zip(packing.buckets, *grids, strict=True)
    ]
    output_PHK = torch.cat(outputs) if len(outputs) > 1 else outputs[0]
    if packing.token_places is None:
        return output_PHK
    output_NHK: Tensor = _Unpad.apply(output_PHK, packing.token_places)  # type: ignore[no-untyped-call]
    return output_NHK


def attention_weights(q_NHK: Tensor, k_NHK: Tensor, packing: Packing, *, causal: bool = False) -> list[Tensor]:
    """Return what `attention` mixes the values of each row by, (H, T, T) a row: from each token to each token.

    Only to be looked at: all weights of a row are in memory, which `attention` avoids.
    """
    weights = []
    for start, end in zip(packing.offsets[:-1].tolist(), packing.offsets[1:].tolist(), strict=True):
        q_HTK, k_HTK = q_NHK[start:end].transpose(0, 1), k_NHK[start:end].transpose(0, 1)
        scores_HTT = q_HTK @ k_HTK.transpose(1, 2) * q_NHK.shape[-1] ** -0.5
        if causal:
            scores_HTT = scores_HTT.masked_fill(torch.ones_like(scores_HTT).triu(1) > 0, -torch.inf)
        weights.append(scores_HTT.softmax(-1))
    return weights


def _padded_attention(
    q_PHK: Tensor, k_PHK: Tensor, v_PHK: Tensor, bucket: Bucket, causal: bool, dropout: float
) -> Tensor:
    shape = (bucket.rows, bucket.longest, *q_PHK.shape[1:])
    q_BHTK, k_BHTK, v_BHTK = (x_PHK.view(shape).transpose(1, 2) for x_PHK in (q_PHK, k_PHK, v_PHK))
    # Padding stands behind every token of its row, so a causal mask hides it too.
    padding = None if causal or bucket.padding is None else bucket.padding.to(q_PHK.dtype)
    if q_PHK.device.type != "cpu":
        output_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, padding, dropout, is_causal=causal)
    elif dropout:
        output_BHTK = _attention_by_products(q_BHTK, k_BHTK, v_BHTK, padding, causal, dropout)
    else:
        # In bfloat16 torch's CPU kernel is several times slower than in float32: forward on some processors,
        # backward on others. Forward alone, plain products are faster than it on short rows.
        short = bucket.longest <= SHORT_ROWS and not torch.is_grad_enabled()
        with torch.autocast("cpu", enabled=False):
            q_BHTK, k_BHTK, v_BHTK = q_BHTK.float(), k_BHTK.float(), v_BHTK.float()
            padding = None if padding is None else padding.float()
            if short:
                output_BHTK = _attention_by_products(q_BHTK, k_BHTK, v_BHTK, padding, causal)
            else:
                output_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, padding, is_causal=causal)
            output_BHTK = output_BHTK.to(v_PHK.dtype)
    return output_BHTK.transpose(1, 2).reshape(q_PHK.shape)


def _attention_by_products(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, padding: Tensor | None, causal: bool, dropout: float = 0.0
) -> Tensor:
    """Compute attention by plain products, as torch too does on a CPU as soon as weights are dropped."""
    (rows, heads, times, width), scale = q_BHTK.shape, q_BHTK.shape[-1] ** -0.5
    if causal:
        mask = torch.full((times, times), -torch.inf, dtype=q_BHTK.dtype).triu_(1)
    elif padding is not None:
        mask = padding.expand(rows, heads, 1, times).reshape(-1, 1, times)
    else:
        mask = torch.zeros((), dtype=q_BHTK.dtype)
    q, k, v = (x.reshape(-1, times, width) for x in (q_BHTK, k_BHTK, v_BHTK))
    scores = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=scale)  # scaled and masked in the product itself
    return torch.bmm(drop(scores.softmax(-1), dropout, training=True), v).view(q_BHTK.shape)


def _has_varlen(q_NHK: Tensor) -> bool:
    """Whether torch's variable-length attention takes these tensors: flash attention, from the Ampere GPUs on."""
    width = q_NHK.shape[-1]
    if not q_NHK.is_cuda or find_spec("torch.nn.attention.varlen") is None:
        return False
    fits = q_NHK.dtype in VARLEN_DTYPES and width % 8 == 0 and width <= 256
    return fits and torch.version.hip is None and torch.cuda.get_device_capability(q_NHK.device) >= (8, 0)


def _varlen_mask(varlen_attn: Callable[..., Any], causal: bool) -> dict[str, Any]:
    """Return how this release of torch is told of a causal mask: `is_causal` in 2.10, `window_size` in later ones."""
    if "window_size" in signature(varlen_attn).parameters:
        return {"window_size": (-1, 0) if causal else (-1, -1)}
    return {"is_causal": causal}


def _pad(x_NHK: Tensor, packing: Packing) -> Tensor:
    if packing.token_places is None:
        return x_NHK
    x_PHK: Tensor = _Pad.apply(x_NHK, packing.place_tokens, packing.token_places)  # type: ignore[no-untyped-call]
    return x_PHK


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
