"""Attention from the tokens of one packing to those of another, against torch's own, row by row."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luban.core.runtime import seeded
from luban.models import attention as attention_module
from luban.models.attention import SHORT_ROWS, attention, attention_weights
from luban.models.packing import BUCKET_RATIO, Packing

CPU = torch.device("cpu")
HEADS, WIDTH = 2, 8
Pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=1, max_size=8)


def packing(lengths: list[int]) -> Packing:
    return Packing(torch.tensor([0, *lengths]).cumsum(0), CPU)


def draw(queries: list[int], keys: list[int], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    with seeded(0, "attention"):
        made = [torch.randn(sum(lengths), HEADS, WIDTH) for lengths in (queries, keys, keys)]
    return [x.to(dtype).requires_grad_() for x in made]


def by_row(q_NHK: Tensor, k_MHK: Tensor, v_MHK: Tensor, queries: list[int], keys: list[int], causal: bool) -> Tensor:
    """Let torch attend row by row; where there are no keys, the answer is 0."""
    outputs = []
    rows = (torch.split(q_NHK, queries), torch.split(k_MHK, keys), torch.split(v_MHK, keys))
    for q_THK, k_SHK, v_SHK in zip(*rows, strict=True):
        if not len(k_SHK):
            outputs.append(q_THK * 0.0)
            continue
        sees = torch.ones(len(q_THK), len(k_SHK), dtype=torch.bool)
        sees = sees.tril(len(k_SHK) - len(q_THK)) if causal else sees
        q, k, v = (x.transpose(0, 1)[None] for x in (q_THK, k_SHK, v_SHK))
        outputs.append(F.scaled_dot_product_attention(q, k, v, attn_mask=sees)[0].transpose(0, 1))
    return torch.cat(outputs)


@settings(max_examples=80, deadline=None)
@given(pairs=Pairs, causal=st.booleans(), negligible_dropout=st.sampled_from([0.0, 1e-9]))
def test_values_and_gradients_are_those_of_torch_row_by_row(
    pairs: list[tuple[int, int]], causal: bool, negligible_dropout: float
) -> None:
    queries, keys = [min(pair) if causal else pair[0] for pair in pairs], [pair[1] for pair in pairs]
    inputs, expected_inputs = draw(queries, keys), draw(queries, keys)
    found = attention(
        *inputs, packing(queries), packing(keys), causal=causal, dropout=negligible_dropout, training=True
    )
    expected = by_row(*expected_inputs, queries, keys, causal)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    weights = torch.linspace(-1, 1, expected.numel()).view(expected.shape)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for x, wanted in zip(inputs, expected_inputs, strict=True):
        gradient = torch.zeros_like(wanted) if wanted.grad is None else wanted.grad
        torch.testing.assert_close(torch.zeros_like(x) if x.grad is None else x.grad, gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_where_queries_are_keys_it_is_the_attention_of_a_row_to_itself_to_the_bit(causal: bool) -> None:
    lengths = [5, 0, 12, 7]
    q, k, v = draw(lengths, lengths)
    own = packing(lengths)
    assert torch.equal(attention(q, k, v, own, own, causal=causal), attention(q, k, v, own, causal=causal))
    torch.testing.assert_close(
        attention(q, k, v, own, packing(lengths), causal=causal), attention(q, k, v, own, causal=causal)
    )


def test_a_row_without_keys_gets_zeros_and_keys_that_nobody_asks_for_no_gradient() -> None:
    q, k, v = draw([2, 3, 0], [4, 0, 5])
    output = attention(q, k, v, packing([2, 3, 0]), packing([4, 0, 5]))
    assert output[:2].abs().min() > 0
    assert torch.equal(output[2:], torch.zeros(3, HEADS, WIDTH))
    output.sum().backward()
    assert torch.equal(v.grad[4:], torch.zeros(5, HEADS, WIDTH))
    assert v.grad[:4].abs().min() > 0
    assert torch.equal(q.grad[2:], torch.zeros(3, HEADS, WIDTH))


@pytest.mark.parametrize(("queries", "keys"), [([0, 0], [3, 4]), ([2, 1], [0, 0]), ([0], [0])])
def test_nothing_to_attend_to_has_a_shape_and_a_gradient(queries: list[int], keys: list[int]) -> None:
    q, k, v = draw(queries, keys)
    output = attention(q, k, v, packing(queries), packing(keys))
    assert torch.equal(output, torch.zeros(sum(queries), HEADS, WIDTH))
    output.sum().backward()


def test_the_last_tokens_of_a_row_see_what_stands_before_them_as_the_whole_row_does() -> None:
    lengths, last = [9, 4, 6], [2, 1, 3]
    q, k, v = (x.detach() for x in draw(lengths, lengths))
    whole = attention(q, k, v, packing(lengths), causal=True)
    ends = torch.tensor(lengths).cumsum(0).tolist()
    rows = torch.cat([torch.arange(end - count, end) for end, count in zip(ends, last, strict=True)])
    found = attention(q[rows], k, v, packing(last), packing(lengths), causal=True)
    torch.testing.assert_close(found, whole[rows])
    with pytest.raises(AssertionError, match="queries that are keys, too"):
        attention(q, k[:12], v[:12], packing(lengths), packing([4, 4, 4]), causal=True)
    with pytest.raises(AssertionError, match="queries and keys of as many rows"):
        attention(q, k, v, packing(lengths), packing([10, 9]))


def test_rows_of_like_lengths_share_a_grid_and_none_is_mostly_padding() -> None:
    draws = torch.Generator().manual_seed(0)
    queries, keys = (torch.randint(1, 60, (200,), generator=draws).tolist() for _ in range(2))
    pairing = packing(queries).paired(packing(keys), causal=False)
    assert sum(bucket.rows for bucket in pairing.buckets) == 200
    assert sum(bucket.places for bucket in pairing.buckets) <= sum(queries) / BUCKET_RATIO
    assert sum(bucket.key_places for bucket in pairing.buckets) <= sum(keys) / BUCKET_RATIO
    places = pairing.queries.token_places.tolist()
    assert len(set(places)) == sum(queries)


def test_the_layout_is_worked_out_once_for_two_packings() -> None:
    queries, keys = packing([2, 1]), packing([4, 1])
    assert queries.paired(keys, causal=False) is queries.paired(keys, causal=False)
    assert queries.paired(keys, causal=True) is not queries.paired(keys, causal=False)
    assert queries.paired(packing([4, 1]), causal=False).keys is not keys


def test_short_and_long_rows_without_gradients_and_bfloat16_are_near() -> None:
    queries, keys = [3, 40, 17], [SHORT_ROWS + 9, 60, 5]
    q, k, v = draw(queries, keys)
    expected = attention(q, k, v, packing(queries), packing(keys)).detach()
    with torch.no_grad():
        torch.testing.assert_close(attention(q, k, v, packing(queries), packing(keys)), expected, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        low = attention(*draw(queries, keys, torch.bfloat16), packing(queries), packing(keys))
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), expected, rtol=0.03, atol=0.03)


def test_the_weights_are_what_the_values_are_mixed_by() -> None:
    queries, keys = [2, 3], [4, 3]
    q, k, v = draw(queries, keys)
    for causal in (False, True):
        weights = attention_weights(q, k, packing(queries), packing(keys), causal=causal)
        assert [tuple(each.shape) for each in weights] == [(HEADS, 2, 4), (HEADS, 3, 3)]
        mixed = [each @ row.transpose(0, 1) for each, row in zip(weights, torch.split(v, keys), strict=True)]
        found = torch.cat([row.transpose(0, 1) for row in mixed])
        expected = attention(q, k, v, packing(queries), packing(keys), causal=causal)
        torch.testing.assert_close(found, expected)


def test_varlen_attention_is_given_both_packings(monkeypatch: pytest.MonkeyPatch) -> None:
    def varlen(
        q: Tensor, k: Tensor, v: Tensor, ends_q: Tensor, ends_k: Tensor, *longest: int, is_causal: bool
    ) -> Tensor:
        assert longest == (3, 7)
        return by_row(q, k, v, ends_q.diff().tolist(), ends_k.diff().tolist(), is_causal)

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen)
    monkeypatch.setattr(attention_module, "_has_varlen", lambda q_NHK: True)
    queries, keys = [3, 2, 1], [7, 0, 4]
    inputs = draw(queries, keys)
    found = attention(*inputs, packing(queries), packing(keys))
    torch.testing.assert_close(found, by_row(*inputs, queries, keys, causal=False))


def test_other_devices_pad_and_use_their_own_kernel() -> None:
    meta = torch.device("meta")
    q, k, v = (x.to(meta, torch.float16) for x in draw([3, 2], [7, 4]))
    both = [Packing(torch.tensor([0, *lengths]).cumsum(0), meta) for lengths in ([3, 2], [7, 4])]
    output = attention(q, k, v, *both, dropout=0.1, training=True)
    assert (output.shape, output.device, output.dtype) == ((5, HEADS, WIDTH), meta, torch.float16)
