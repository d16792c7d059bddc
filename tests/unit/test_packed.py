"""Networks laid out for prediction."""

import pytest
import torch

from luban.core.runtime import autocast
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.mlp import FlattenConfig, build_flatten
from luban.models.packed import PackedLinear, can_pack, packed
from luban.models.transformer import TransformerConfig, build_transformer

CPU = torch.device("cpu")


def encoder() -> torch.nn.Module:
    torch.manual_seed(0)
    config = TransformerConfig(layers=2, width=64, heads=4, norm="post", pooling="mean")
    return build_transformer(config, InputSpec("text", TensorKind.TOKENS, 50, max_length=40)).eval()


@pytest.mark.skipif(not can_pack(), reason="this processor or build of torch has no products in bfloat16")
def test_a_packed_transformer_computes_what_the_network_does_and_shares_its_tables() -> None:
    network = encoder()
    copied = packed(network, CPU, torch.bfloat16)
    assert any(isinstance(module, PackedLinear) for module in copied.modules())
    assert not any(isinstance(module, PackedLinear) for module in network.modules())
    shared = {id(parameter) for parameter in network.parameters()}
    assert all(id(parameter) in shared for parameter in copied.parameters())
    lengths = torch.tensor([0, 3, 20, 21, 40])
    ids = torch.randint(0, 50, (int(lengths[-1]),))
    with torch.inference_mode(), autocast(CPU, torch.bfloat16):
        expected, found = network(Ragged(ids, lengths)), copied(Ragged(ids, lengths))
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.03)


def test_nothing_is_packed_where_there_is_nothing_to_gain() -> None:
    network = encoder()
    assert packed(network, CPU, torch.float32) is network
    assert packed(network, torch.device("meta"), torch.bfloat16) is network
    images = build_flatten(FlattenConfig(), InputSpec("image", TensorKind.GRID, 1, 2, 2))
    assert packed(images, CPU, torch.bfloat16) is images
