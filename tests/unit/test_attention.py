"""Attention over packed rows, against the formula written out row by row."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luban.core.runtime import seeded
from luban.models import attention as attention_module
from luban.models.attention import SHORT_ROWS, attention
from luban.models.dropout import add_dropped, dropout
from luban.models.packing import BUCKET_RATIO, Packing

CPU = torch.device("cpu")
HEADS, WIDTH = 3, 8
Lengths = st.lists(st.integers(0, 12), min_size=1, max_size=9)


def offsets_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def draw(lengths: list[int], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    with seeded(0, "attention"):
        packed = torch.randn(sum(lengths), 3, HEADS, WIDTH)
    q, k, v = (part.detach().to(dtype).requires_grad_() for part in packed.unbind(1))
    return q, k, v


def by_row(q_NHK: Tensor, k_NHK: Tensor, v_NHK: Tensor, lengths: list[int], causal: bool) -> Tensor:
    outputs = []
    for q_THK, k_THK, v_THK in zip(*(x.split(lengths) for x in (q_NHK, k_NHK, v_NHK)), strict=True):
        scores_HTT = torch.einsum("qhk,thk->hqt", q_THK, k_THK) / WIDTH**0.5
        if causal:
            times = len(q_THK)
            scores_HTT = scores_HTT.masked_fill(torch.ones(times, times).triu(1).bool(), -torch.inf)
        outputs.append(torch.einsum("hqt,thk->qhk", scores_HTT.softmax(-1), v_THK))
    return torch.cat(outputs)


@settings(max_examples=50, deadline=None)
@given(lengths=Lengths.filter(any), causal=st.booleans(), negligible_dropout=st.sampled_from([0.0, 1e-9]))
def test_values_and_gradients_are_those_of_each_row_alone(
    lengths: list[int], causal: bool, negligible_dropout: float
) -> None:
    inputs, expected_inputs = draw(lengths), draw(lengths)
    packing = Packing(offsets_of(lengths), CPU)
    output = attention(*inputs, packing, causal=causal, dropout=negligible_dropout, training=True)
    expected = by_row(*expected_inputs, lengths, causal)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
    weights = torch.linspace(-1, 1, expected.numel()).view(expected.shape)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    for found, wanted in zip(inputs, expected_inputs, strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-4, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(lengths=Lengths)
def test_a_packing_gives_every_token_a_place_of_its_own(lengths: list[int]) -> None:
    packing = Packing(offsets_of(lengths), CPU)
    assert packing.longest == max(lengths)
    assert packing.token_rows.tolist() == [row for row, length in enumerate(lengths) for _ in range(length)]
    assert packing.token_positions.tolist() == [position for length in lengths for position in range(length)]
    places = packing.token_places
    if places is not None:
        assert len(set(places.tolist())) == sum(lengths)
        assert all(0 <= place < sum(bucket.places for bucket in packing.buckets) for place in places.tolist())
    assert sum(bucket.rows for bucket in packing.buckets) == sum(length > 0 for length in lengths)
    assert sum(bucket.places for bucket in packing.buckets) <= sum(lengths) / BUCKET_RATIO


def test_rows_of_one_length_are_neither_moved_nor_padded() -> None:
    packing = Packing(offsets_of([5, 5, 5]), CPU)
    assert packing.token_places is None
    assert [(bucket.rows, bucket.longest, bucket.mask) for bucket in packing.buckets] == [(3, 5, None)]


def test_a_causal_token_does_not_see_the_future() -> None:
    lengths = [6, 4]
    packing = Packing(offsets_of(lengths), CPU)
    q, k, v = (x.detach() for x in draw(lengths))
    before = attention(q, k, v, packing, causal=True)
    for changed in (k, v):
        changed[3:6] += 1.0
    after = attention(q, k, v, packing, causal=True)
    torch.testing.assert_close(after[:3], before[:3])
    assert not torch.allclose(after[3:6], before[3:6])
    torch.testing.assert_close(after[6:], before[6:])


@pytest.mark.parametrize("rate", [0.0, 1e-9])
def test_bfloat16_stays_near_float32(rate: float) -> None:
    lengths = [40, 17, 3]
    packing = Packing(offsets_of(lengths), CPU)
    expected = attention(*draw(lengths), packing)
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(*draw(lengths, torch.bfloat16), packing, dropout=rate, training=True)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


def test_dropout_is_for_training_only_and_keeps_the_expectation() -> None:
    lengths = [50] * 40
    packing = Packing(offsets_of(lengths), CPU)
    q, k, _ = draw(lengths)
    ones = torch.ones_like(q)
    torch.testing.assert_close(attention(q, k, ones, packing, dropout=0.3), ones)
    with seeded(1, "dropout"):
        dropped = attention(q, k, ones, packing, dropout=0.3, training=True)
    assert dropped.std() > 0.05
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    with seeded(1, "dropout"):
        torch.testing.assert_close(attention(q, k, ones, packing, dropout=0.3, training=True), dropped, rtol=0, atol=0)


def varlen_of_torch_2_10(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    is_causal: bool = False,
    return_aux: object = None,
) -> Tensor:
    """Attend row by row, with the signature of torch 2.10."""
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert (max_q, max_k) == (7, 7)
    return by_row(query, key, value, cu_seq_q.diff().tolist(), causal=is_causal)


def varlen_of_torch_2_11(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    window_size: tuple[int, int] = (-1, -1),
) -> Tensor:
    """Attend row by row, with the signature of torch 2.11 and later."""
    assert window_size in {(-1, -1), (-1, 0)}
    return varlen_of_torch_2_10(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, window_size == (-1, 0))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("varlen", [varlen_of_torch_2_10, varlen_of_torch_2_11])
def test_varlen_attention_is_given_the_packed_rows(
    monkeypatch: pytest.MonkeyPatch, varlen: Callable[..., Tensor], causal: bool
) -> None:
    lengths = [3, 7]
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen)
    monkeypatch.setattr(attention_module, "_has_varlen", lambda q_NHK: True)
    inputs = draw(lengths)
    output = attention(*inputs, Packing(offsets_of(lengths), CPU), causal=causal)
    torch.testing.assert_close(output, by_row(*inputs, lengths, causal))


def test_the_installed_torch_takes_the_mask_that_it_is_given() -> None:
    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="torch 2.9 has no varlen attention")
    parameters = signature(varlen.varlen_attn).parameters
    for causal in (False, True):
        assert attention_module._varlen_mask(varlen.varlen_attn, causal).keys() <= parameters.keys()


@pytest.mark.parametrize("causal", [False, True])
def test_other_devices_pad_and_use_their_own_kernel(causal: bool) -> None:
    meta = torch.device("meta")
    q, k, v = (x.to(meta, torch.float16) for x in draw([9, 2, 8]))
    output = attention(q, k, v, Packing(offsets_of([9, 2, 8]), meta), causal=causal, dropout=0.1, training=True)
    assert (output.shape, output.device, output.dtype) == ((19, HEADS, WIDTH), meta, torch.float16)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999999])
def test_dropout_drops_its_share_and_scales_the_rest(dtype: torch.dtype, rate: float) -> None:
    x = torch.ones(1001, 101, dtype=dtype, requires_grad=True)
    with seeded(2, "dropout"):
        output = dropout(x, rate, training=True)
    dropped = (output == 0).float().mean().item()
    assert dropped == pytest.approx(rate, abs=0.005)
    assert output.dtype == dtype
    if rate <= 0.5:
        assert len(output.unique()) == 2
        assert output.float().mean().item() == pytest.approx(1.0, abs=0.02)
    output.sum().backward()
    torch.testing.assert_close(x.grad, output.detach())


def test_adding_what_is_dropped_is_dropping_and_adding() -> None:
    x, residual = torch.randn(70, 30), torch.randn(70, 30)
    with seeded(3, "dropout"):
        found = add_dropped(residual, x, 0.2, training=True)
    with seeded(3, "dropout"):
        torch.testing.assert_close(found, residual + dropout(x, 0.2, training=True))
    assert torch.equal(add_dropped(residual, x, 0.2, training=False), residual + x)


def test_dropout_is_silent_without_training_and_torchs_own_elsewhere() -> None:
    x = torch.ones(5)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x
    assert dropout(x.to("meta"), 0.5, training=True).shape == F.dropout(x).shape


def test_short_and_long_rows_are_the_same_attention_with_and_without_gradients() -> None:
    lengths = [SHORT_ROWS + 40, SHORT_ROWS, 3]
    q, k, v = draw(lengths)
    packing = Packing(offsets_of(lengths), torch.device("cpu"))
    with torch.no_grad():
        found = attention(q, k, v, packing)
    torch.testing.assert_close(found, attention(q, k, v, packing).detach(), atol=1e-5, rtol=1e-4)
