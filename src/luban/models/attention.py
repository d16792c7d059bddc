"""The only place that computes attention: packed rows in, packed rows out, on every device.

Shapes: B rows · N packed queries · M packed keys · T, S times of a row of them · H heads · K width of a head · P places
in the padded grids of all buckets
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from luban.models.dropout import dropout as drop
from luban.models.packing import Bucket, Packing, pad, unpad

SHORT_ROWS = 128  # tokens; up to here plain products are faster forward on a CPU than the fused kernel
VARLEN_DTYPES = (torch.float16, torch.bfloat16)


def attention(
    q_NHK: Tensor,
    k_MHK: Tensor,
    v_MHK: Tensor,
    queries: Packing,
    keys: Packing | None = None,
    *,
    causal: bool = False,
    dropout: float = 0.0,
    training: bool = False,
) -> Tensor:
    """Let each query attend to the keys of its own row, or, where causal, to itself and those before it.

    Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762). keys: how keys and values are packed, in as
    many rows; None where they are the tokens that ask. Where causal the queries are the last tokens of their rows of
    keys, as with a cache of the earlier ones. dropout: on the attention weights, while training. Returns (N, H, K), 0
    where a row has no keys.
    """
    rate = dropout if training else 0.0
    if keys is not None and keys is not queries:
        return _cross_attention(q_NHK, k_MHK, v_MHK, queries, keys, causal, rate)
    if not len(q_NHK):
        return v_MHK
    if rate == 0 and _has_varlen(q_NHK):
        return _varlen_attention(q_NHK, k_MHK, v_MHK, queries, queries, causal)
    sizes = [bucket.places for bucket in queries.buckets]
    grids = [torch.split(pad(x, queries), sizes) for x in (q_NHK, k_MHK, v_MHK)]
    return unpad(_attention_in_grids(grids, queries.buckets, causal, rate), queries)


def _cross_attention(
    q_NHK: Tensor, k_MHK: Tensor, v_MHK: Tensor, queries: Packing, keys: Packing, causal: bool, rate: float
) -> Tensor:
    pairing = queries.paired(keys, causal=causal)
    if pairing.whole is not None:
        query_places, key_places, whole_queries, whole_keys = pairing.whole
        q, (k, v) = q_NHK.index_select(0, query_places), (x.index_select(0, key_places) for x in (k_MHK, v_MHK))
        mixed = _cross_attention(q, k, v, whole_queries, whole_keys, causal, rate)
        return mixed.new_zeros(q_NHK.shape).index_copy(0, query_places, mixed)
    if not len(q_NHK):
        return q_NHK + v_MHK.sum() * 0.0  # nothing, and no gradient
    # How the kernel aligns a causal mask where queries are fewer than keys differs between its releases.
    if rate == 0 and not causal and _has_varlen(q_NHK):
        return _varlen_attention(q_NHK, k_MHK, v_MHK, queries, keys, causal)
    q_sizes = [bucket.places for bucket in pairing.buckets]
    k_sizes = [bucket.key_places for bucket in pairing.buckets]
    grids = [torch.split(pad(q_NHK, pairing.queries), q_sizes)]
    grids += [torch.split(pad(x, pairing.keys_in_grids), k_sizes) for x in (k_MHK, v_MHK)]
    return unpad(_attention_in_grids(grids, pairing.buckets, False, rate), pairing.queries)


def _varlen_attention(
    q_NHK: Tensor, k_MHK: Tensor, v_MHK: Tensor, queries: Packing, keys: Packing, causal: bool
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    longest = queries.longest, keys.longest
    mask = _varlen_mask(varlen_attn, causal)
    packed = varlen_attn(q_NHK, k_MHK, v_MHK, queries.ends, keys.ends, *longest, **mask)
    assert isinstance(packed, Tensor)
    return packed


def _attention_in_grids(
    grids: list[tuple[Tensor, ...]], buckets: tuple[Bucket, ...], causal: bool, dropout: float
) -> Tensor:
    """grids: of queries, keys and values, each bucket's."""
    outputs = [
        _padded_attention(q_PHK, k_PHK, v_PHK, bucket, causal, dropout)
        for bucket, q_PHK, k_PHK, v_PHK in zip(buckets, *grids, strict=True)
    ]
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def attention_weights(
    q_NHK: Tensor, k_MHK: Tensor, queries: Packing, keys: Packing | None = None, *, causal: bool = False
) -> list[Tensor]:
    """Return what `attention` mixes the values of each row by, (H, T, S) a row: from each query to each key.

    Only to be looked at: all weights of a row are in memory, which `attention` avoids.
    """
    weights = []
    rows = torch.split(q_NHK, queries.lengths.tolist()), torch.split(k_MHK, (keys or queries).lengths.tolist())
    for q_THK, k_SHK in zip(*rows, strict=True):
        scores_HTS = q_THK.transpose(0, 1) @ k_SHK.transpose(0, 1).transpose(1, 2) * q_NHK.shape[-1] ** -0.5
        if causal:
            first_hidden = 1 + len(k_SHK) - len(q_THK)
            scores_HTS = scores_HTS.masked_fill(torch.ones_like(scores_HTS).triu(first_hidden) > 0, -torch.inf)
        weights.append(scores_HTS.softmax(-1))
    return weights


def _padded_attention(
    q_PHK: Tensor, k_PHK: Tensor, v_PHK: Tensor, bucket: Bucket, causal: bool, dropout: float
) -> Tensor:
    inner = q_PHK.shape[1:]
    q_BHTK = q_PHK.view(bucket.rows, bucket.longest, *inner).transpose(1, 2)
    k_BHSK, v_BHSK = (x.view(bucket.rows, bucket.longest_keys, *inner).transpose(1, 2) for x in (k_PHK, v_PHK))
    # Padding stands behind every token of its row, so a causal mask hides it too.
    mask = None if causal or bucket.mask is None else bucket.mask.to(q_PHK.dtype)
    if q_PHK.device.type != "cpu":
        output_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, mask, dropout, is_causal=causal)
    elif dropout:
        output_BHTK = _attention_by_products(q_BHTK, k_BHSK, v_BHSK, mask, causal, dropout)
    else:
        # In bfloat16 torch's CPU kernel is several times slower than in float32: forward on some processors,
        # backward on others. Forward alone, plain products are faster than it on short rows.
        short = max(bucket.longest, bucket.longest_keys) <= SHORT_ROWS and not torch.is_grad_enabled()
        with torch.autocast("cpu", enabled=False):
            q_BHTK, k_BHSK, v_BHSK = q_BHTK.float(), k_BHSK.float(), v_BHSK.float()
            mask = None if mask is None else mask.float()
            if short:
                output_BHTK = _attention_by_products(q_BHTK, k_BHSK, v_BHSK, mask, causal)
            else:
                output_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, mask, is_causal=causal)
            output_BHTK = output_BHTK.to(v_PHK.dtype)
    return output_BHTK.transpose(1, 2).reshape(q_PHK.shape)


def _attention_by_products(
    q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, mask: Tensor | None, causal: bool, dropout: float = 0.0
) -> Tensor:
    """Compute attention by plain products, as torch too does on a CPU as soon as weights are dropped."""
    (rows, heads, times, width), key_times = q_BHTK.shape, k_BHSK.shape[2]
    if causal:
        added = torch.full((times, times), -torch.inf, dtype=q_BHTK.dtype).triu_(1)
    elif mask is not None:
        added = mask.expand(rows, heads, mask.shape[2], key_times).reshape(-1, mask.shape[2], key_times)
    else:
        added = torch.zeros((), dtype=q_BHTK.dtype)
    q, k, v = (x.reshape(-1, x.shape[2], width) for x in (q_BHTK, k_BHSK, v_BHSK))
    scores = torch.baddbmm(added, q, k.transpose(1, 2), alpha=width**-0.5)  # scaled and masked in the product itself
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
