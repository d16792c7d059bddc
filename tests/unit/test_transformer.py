"""The transformer over packed tokens."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn

from luban.core.errors import ConfigError
from luban.core.runtime import seeded
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.packing import Packing
from luban.models.transformer import Transformer, TransformerConfig, TransformerEncoder, build_transformer

SMALL = TransformerConfig(layers=2, width=32, heads=4, ffn=48, vocab_size=50, max_positions=20)
LENGTHS = [7, 1, 12, 0, 5]


def tokens(lengths: list[int], columns: int = 1) -> Ragged:
    with seeded(0, "tokens"):
        rows = [torch.randint(50, (length,)) for length in lengths]
    if columns == 2:
        rows = [torch.stack([row, (torch.arange(len(row)) > 3).long()], 1) for row in rows]
    return Ragged.pack(rows)


def build(config: TransformerConfig = SMALL) -> TransformerEncoder:
    with seeded(0, "weights"):
        return TransformerEncoder(config).eval()


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("pooling", ["mean", "first", "pooler"])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_row_does_not_depend_on_its_neighbours(norm: str, pooling: str, columns: int) -> None:
    encoder = build(SMALL.model_copy(update={"norm": norm, "pooling": pooling}))
    batch = tokens(LENGTHS, columns)
    together = encoder(batch)
    assert together.shape == (len(LENGTHS), encoder.output_dim)
    assert together.dtype == torch.float32
    for row, (start, end) in enumerate(batch.offsets.unfold(0, 2, 1).tolist()):
        alone = encoder(Ragged.pack([batch.values[start:end]]))
        torch.testing.assert_close(together[row], alone[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "first", "pooler"])
@pytest.mark.parametrize("lengths", [[0], [0, 0, 0], [0, 3, 0], [1]])
def test_rows_without_tokens_give_finite_vectors_and_gradients(pooling: str, lengths: list[int]) -> None:
    encoder = build(SMALL.model_copy(update={"pooling": pooling})).train()
    vectors = encoder(tokens(lengths))
    assert vectors.isfinite().all()
    vectors.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


def test_mean_and_first_pool_the_hidden_states() -> None:
    batch = tokens([4, 6])
    encoder = build()
    hidden_ND = encoder.backbone(batch.values, Packing(batch.offsets, batch.values.device))
    expected = torch.stack([hidden_ND[:4].mean(0), hidden_ND[4:].mean(0)])
    torch.testing.assert_close(encoder(batch), expected)
    torch.testing.assert_close(build(SMALL.model_copy(update={"pooling": "first"}))(batch), hidden_ND[[0, 4]])


@pytest.mark.parametrize("norm_first", [True, False])
def test_layers_compute_what_torchs_own_compute(norm_first: bool) -> None:
    config = SMALL.model_copy(update={"norm": "pre" if norm_first else "post"})
    layer = Transformer(config).eval().layers[0]
    reference = nn.TransformerEncoderLayer(
        32, 4, 48, activation=F.gelu, batch_first=True, norm_first=norm_first, layer_norm_eps=config.norm_eps
    ).eval()
    names = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.out.",
        "linear1.": "ffn.up.",
        "linear2.": "ffn.down.",
        "norm1.": "attention_norm.",
        "norm2.": "ffn_norm.",
    }
    renamed = {
        name.replace(old, new): value
        for name, value in reference.state_dict().items()
        for old, new in names.items()
        if name.startswith(old)
    }
    layer.load_state_dict(renamed)
    with seeded(0, "hidden"):
        x_BTD = torch.randn(3, 6, 32)
    found = layer(x_BTD.flatten(0, 1), Packing(torch.tensor([0, 6, 12, 18]), x_BTD.device))
    torch.testing.assert_close(found.view(3, 6, 32), reference(x_BTD), rtol=1e-5, atol=1e-5)


def test_order_and_segments_matter() -> None:
    encoder = build()
    pair = tokens([8], columns=2)
    flipped = Ragged(pair.values.flip(0), pair.offsets)
    first_segment = Ragged(pair.values * torch.tensor([1, 0]), pair.offsets)
    assert not torch.allclose(encoder(pair), encoder(flipped), atol=1e-4)
    assert not torch.allclose(encoder(pair), encoder(first_segment), atol=1e-4)
    torch.testing.assert_close(encoder(first_segment), encoder(tokens([8])))


def test_dropout_is_for_training_only() -> None:
    encoder = build(SMALL.model_copy(update={"attention_dropout": 0.1}))
    batch = tokens(LENGTHS)
    torch.testing.assert_close(encoder(batch), encoder(batch), rtol=0, atol=0)
    encoder.train()
    with seeded(1, "dropout"):
        first = encoder(batch)
    with seeded(1, "dropout"):
        torch.testing.assert_close(encoder(batch), first, rtol=0, atol=0)
    with seeded(2, "dropout"):
        assert not torch.allclose(encoder(batch), first, atol=1e-3)


def test_bfloat16_stays_near_float32() -> None:
    encoder, batch = build(), tokens(LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(batch)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, encoder(batch), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("ids_type", [torch.int32, torch.int64])
def test_a_sparse_embedding_gradient_is_the_dense_one(ids_type: torch.dtype) -> None:
    gradients = []
    for sparse in (False, True):
        encoder = build()
        encoder.backbone.embeddings.tokens.sparse = sparse
        batch = tokens(LENGTHS)
        encoder(Ragged(batch.values.to(ids_type), batch.offsets)).square().sum().backward()
        gradient = encoder.backbone.embeddings.tokens.weight.grad
        assert isinstance(gradient, Tensor)
        assert gradient.is_sparse == sparse
        gradients.append(gradient.to_dense() if sparse else gradient)
    torch.testing.assert_close(*gradients)


def test_what_the_configuration_leaves_open_comes_from_the_input() -> None:
    spec = InputSpec("review", TensorKind.TOKENS, size=77, max_length=33)
    encoder = build_transformer(TransformerConfig(layers=1, width=16, heads=2), spec)
    assert (encoder.config.vocab_size, encoder.config.max_positions) == (77, 33)
    assert encoder.backbone.layers[0].ffn.up.out_features == 64
    assert TransformerConfig.model_validate_json(encoder.config.model_dump_json()) == encoder.config


def test_names_of_parameters_tell_their_depth() -> None:
    names = {name.split(".weight")[0].split(".bias")[0] for name, _ in build().named_parameters()}
    layer = ("attention.qkv", "attention.out", "attention_norm", "ffn.up", "ffn.down", "ffn_norm")
    tables = {"backbone.embeddings.tokens", "backbone.embeddings.positions", "backbone.embeddings.segments"}
    layers = {f"backbone.layers.{depth}.{part}" for depth in range(2) for part in layer}
    assert names == tables | layers | {"backbone.norm"}


def test_initial_weights_shrink_where_layers_add_up() -> None:
    backbone = build(SMALL.model_copy(update={"layers": 8, "width": 64, "ffn": None})).backbone
    assert backbone.layers[3].ffn.up.weight.std().item() == pytest.approx(64**-0.5, rel=0.05)
    assert backbone.layers[3].ffn.down.weight.std().item() == pytest.approx(256**-0.5 / 4, rel=0.05)
    assert backbone.embeddings.tokens.weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("width", [32, 128, 512])
def test_attention_begins_with_scores_of_unit_variance_at_any_width(width: int) -> None:
    with seeded(0, "scores"):
        layer = build(SMALL.model_copy(update={"width": width, "heads": 4, "norm": "pre"})).backbone.layers[0]
        x_ND = layer.attention_norm(torch.randn(64, width))
    q_NHK, k_NHK, _ = layer.attention.qkv(x_ND).unflatten(1, (3, 4, width // 4)).unbind(1)
    scores_HNN = torch.einsum("nhk,mhk->hnm", q_NHK, k_NHK) * (width // 4) ** -0.5
    assert scores_HNN.std().item() == pytest.approx(1.0, rel=0.2)


def test_it_learns_from_scratch_which_of_two_tokens_comes_first() -> None:
    with seeded(0, "order"):
        rows = torch.randint(2, 50, (512, 10))
        places = torch.rand(512, 10).argsort(1)[:, :2]
        rows.scatter_(1, places, torch.tensor([[0, 1]]).expand(512, 2))
        targets = (places[:, 0] < places[:, 1]).long()
        encoder = TransformerEncoder(SMALL)
        head = nn.Linear(32, 2)
        parameters = [*encoder.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=3e-3)
        for step in range(120):
            chosen = torch.arange(64) + 64 * (step % 6)
            loss = F.cross_entropy(head(encoder(Ragged.pack(list(rows[chosen])))), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    held_out = head(encoder.eval()(Ragged.pack(list(rows[384:])))).argmax(1)
    assert (held_out == targets[384:]).float().mean() > 0.9


@pytest.mark.slow
def test_the_defaults_learn_twenty_intents_from_scratch(shared_data: Path) -> None:
    frames = [pl.read_csv(shared_data / "banking77" / f"{part}.csv") for part in ("train", "test")]
    labels = sorted(frames[0]["category"].unique())[:20]
    train, test = (frame.filter(pl.col("category").is_in(labels)) for frame in frames)
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel()
    tokenizer.train_from_iterator(train["text"], BpeTrainer(vocab_size=2000, show_progress=False))

    def encode(frame: pl.DataFrame) -> tuple[list[Tensor], Tensor]:
        rows = [torch.tensor(encoding.ids[:64]) for encoding in tokenizer.encode_batch(frame["text"].to_list())]
        return rows, torch.tensor([labels.index(label) for label in frame["category"]])

    (rows, targets), (test_rows, test_targets) = encode(train), encode(test)
    batch_size, epochs, rate = 32, 10, 1e-3
    total = epochs * (len(rows) // batch_size)
    with seeded(0, "intents"):
        encoder = build_transformer(TransformerConfig(), InputSpec("text", TensorKind.TOKENS, 2000, max_length=64))
        network = nn.ModuleList([encoder, nn.Linear(encoder.output_dim, len(labels))])
        optimizer = torch.optim.AdamW(network.parameters(), lr=rate, fused=True)
        for step in range(total):
            optimizer.param_groups[0]["lr"] = rate * min((step + 1) / (0.06 * total), 1 - step / total)
            chosen = torch.randint(len(rows), (batch_size,))
            loss = F.cross_entropy(network[1](encoder(Ragged.pack([rows[i] for i in chosen]))), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    with torch.no_grad():
        found = network[1](encoder.eval()(Ragged.pack(test_rows))).argmax(1)
    accuracy = (found == test_targets).float().mean().item()
    assert accuracy > 0.85, accuracy


def test_a_row_longer_than_the_position_table_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        build()(tokens([4, 21]))
    assert str(raised.value) == (
        "the transformer's input: expected rows of at most 20 tokens (max_positions), found one of 21. "
        "Set the column's max_length to 20 or less."
    )


def test_an_input_longer_than_the_position_table_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        build_transformer(SMALL, InputSpec("review", TensorKind.TOKENS, size=50, max_length=64))
    assert str(raised.value) == (
        "input 'review': expected rows of at most 20 tokens (max_positions), found a max_length of 64. "
        "Set the column's max_length to 20 or less."
    )


def test_a_tokenizer_larger_than_the_vocabulary_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        build_transformer(SMALL, InputSpec("review", TensorKind.TOKENS, size=60, max_length=16))
    assert str(raised.value) == (
        "input 'review': expected at most 50 different tokens (vocab_size), found 60. "
        "Use the tokenizer that belongs to the model, or a larger vocab_size."
    )


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="width must be a multiple of heads: 30 is no multiple of 4"):
        TransformerConfig(width=30, heads=4)
