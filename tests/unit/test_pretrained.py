"""Pretrained encoders, against `transformers`."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_checkpoints import FAMILIES, SPEC, save_tiny
from tokenizers import Encoding, Tokenizer
from torch import Tensor

from luban.core.runtime import seeded
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.packing import Packing
from luban.models.pretrained import (
    PretrainedConfig,
    build_pretrained,
    load_weights,
    resolve,
    tokenizer_file,
)
from luban.models.transformer import TransformerEncoder

LENGTHS = [5, 17, 1, 9, 16]
REAL = ["minilm", "e5-small-multilingual"]


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield
    transformers.logging.enable_progress_bar()
    transformers.logging.set_verbosity_warning()


def load(folder: Path, spec: InputSpec = SPEC, **settings: Any) -> TransformerEncoder:
    config = resolve(PretrainedConfig(checkpoint=str(folder), **settings), folder)
    encoder = build_pretrained(config, spec)
    assert load_weights(encoder, folder) == []
    return encoder.eval()


def reference_of(folder: Path) -> Any:
    with contextlib.redirect_stderr(io.StringIO()):
        return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def tokens(segments: int) -> Ragged:
    with seeded(0, "tokens"):
        ids = [torch.randint(5, 60, (length,)) for length in LENGTHS]
    rows = [torch.stack([row, (torch.arange(len(row)) > 3).long() * (segments - 1)], 1) for row in ids]
    return Ragged.pack(rows)


def padded(batch: Ragged, padding_id: int) -> dict[str, Tensor]:
    rows = batch.values.long().split(batch.lengths.tolist())
    ids = torch.nn.utils.rnn.pad_sequence([row[:, 0] for row in rows], batch_first=True, padding_value=padding_id)
    segments = torch.nn.utils.rnn.pad_sequence([row[:, 1] for row in rows], batch_first=True)
    mask = (torch.arange(ids.shape[1]) < batch.lengths[:, None]).long()
    return {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask}


def mean(hidden_BTD: Tensor, mask: Tensor) -> Tensor:
    return (hidden_BTD * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_hidden_states_poolings_and_gradients_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    segments = 2 if family == "bert" else 1
    save_tiny(tmp_path, family, type_vocab_size=segments)
    encoder, reference = load(tmp_path), reference_of(tmp_path)
    batch = tokens(segments)
    inputs = padded(batch, reference.config.pad_token_id)
    expected = reference(**inputs)
    mask = inputs["attention_mask"].bool()
    hidden_ND = encoder.backbone(batch.values, Packing(batch.offsets, batch.values.device))
    torch.testing.assert_close(hidden_ND, expected.last_hidden_state[mask], rtol=0, atol=1e-4)

    expected_mean = mean(expected.last_hidden_state, mask)
    torch.testing.assert_close(encoder(batch), expected_mean, rtol=0, atol=1e-4)
    for pooling, vectors in (("first", expected.last_hidden_state[:, 0]), ("pooler", expected.pooler_output)):
        torch.testing.assert_close(load(tmp_path, pooling=pooling)(batch), vectors, rtol=0, atol=1e-4)

    weights = torch.linspace(-1, 1, expected_mean.numel()).view(expected_mean.shape)
    (encoder(batch) * weights).sum().backward()
    (expected_mean * weights).sum().backward()
    attention = reference.encoder.layer[0].attention.self
    layer = encoder.backbone.layers[0]
    for found, wanted in (
        (encoder.backbone.embeddings.tokens.weight, reference.embeddings.word_embeddings.weight),
        (encoder.backbone.embeddings.positions.weight, reference.embeddings.position_embeddings.weight),
        (encoder.backbone.embeddings.segments.weight, reference.embeddings.token_type_embeddings.weight),
        (layer.ffn.up.weight, reference.encoder.layer[0].intermediate.dense.weight),
    ):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-3, atol=1e-4)
    qkv = torch.cat([attention.query.weight.grad, attention.key.weight.grad, attention.value.weight.grad])
    torch.testing.assert_close(layer.attention.qkv.weight.grad, qkv, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("activation", ["gelu_new", "gelu_pytorch_tanh", "relu", "silu"])
def test_activations_are_those_of_transformers(tmp_path: Path, activation: str) -> None:
    save_tiny(tmp_path, hidden_act=activation)
    batch = tokens(2)
    inputs = padded(batch, 0)
    expected = mean(reference_of(tmp_path)(**inputs).last_hidden_state, inputs["attention_mask"])
    torch.testing.assert_close(load(tmp_path)(batch), expected, rtol=0, atol=1e-4)


def encoded(path: Path, shared_data: Path, paired: bool, rows: int = 12) -> list[Encoding]:
    """Encode MRPC texts of very different lengths."""
    frame = pl.read_csv(shared_data / "mrpc" / "train.csv").head(rows)
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    first, second = frame["sentence1"].to_list(), frame["sentence2"].to_list()
    first[0], first[1] = "Yes.", " ".join(first[2:5])
    return tokenizer.encode_batch(list(zip(first, second, strict=True)) if paired else first)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("name", REAL)
def test_real_checkpoints_give_the_vectors_of_transformers(
    pretrained_models: Path, shared_data: Path, name: str, paired: bool
) -> None:
    folder = pretrained_models / name
    encodings = encoded(tokenizer_file(folder), shared_data, paired)
    batch = Ragged.pack([torch.tensor([encoding.ids, encoding.type_ids]).T for encoding in encodings])
    spec = InputSpec("text", TensorKind.TOKENS, size=30_522, max_length=256)
    inputs = padded(batch, 0)
    with torch.no_grad():
        expected = mean(reference_of(folder)(**inputs).last_hidden_state, inputs["attention_mask"])
        found = load(folder, spec)(batch)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("name", REAL)
def test_real_tokenizers_give_the_ids_of_transformers(
    pretrained_models: Path, shared_data: Path, name: str, paired: bool
) -> None:
    folder = pretrained_models / name
    frame = pl.read_csv(shared_data / "mrpc" / "train.csv").head(100)
    first, second = frame["sentence1"].to_list(), frame["sentence2"].to_list()
    tokenizer = Tokenizer.from_file(str(tokenizer_file(folder)))
    tokenizer.no_padding()
    found = tokenizer.encode_batch(list(zip(first, second, strict=True)) if paired else first)
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    expected = reference(first, second if paired else None, return_token_type_ids=True)
    assert [encoding.ids for encoding in found] == expected["input_ids"]
    assert [encoding.type_ids for encoding in found] == expected["token_type_ids"]


def test_a_resolved_configuration_builds_without_the_checkpoint(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "checkpoint", "roberta")
    config = resolve(PretrainedConfig(checkpoint=str(folder), dropout=0.2), folder)
    assert config.max_positions == 28
    assert config.backbone is not None
    assert (config.backbone.dropout, config.backbone.attention_dropout) == (0.2, 0.2)
    stored = PretrainedConfig.model_validate_json(config.model_dump_json())
    assert stored == config
    rebuilt = build_pretrained(stored, SPEC).eval()
    original = load(folder)
    rebuilt.load_state_dict(original.state_dict())
    torch.testing.assert_close(rebuilt(tokens(1)), original(tokens(1)))


def test_a_frozen_encoder_has_no_gradients_and_no_dropout(tmp_path: Path) -> None:
    encoder = load(save_tiny(tmp_path), frozen=True).train()
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    torch.testing.assert_close(encoder(tokens(2)), encoder(tokens(2)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("stored", "pooling"),
    [
        (None, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode": "cls"}, "first"),
    ],
)
def test_pooling_is_what_the_checkpoint_says(tmp_path: Path, stored: dict[str, Any] | None, pooling: str) -> None:
    save_tiny(tmp_path)
    if stored is not None:
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(stored))
    config = resolve(PretrainedConfig(checkpoint="x"), tmp_path)
    assert config.pooling == pooling
    assert config.backbone is not None
    assert config.backbone.pooling == pooling
    assert resolve(PretrainedConfig(checkpoint="x", pooling="pooler"), tmp_path).pooling == "pooler"


def test_shards_half_precision_prefixes_and_heads_are_understood(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path)
    expected = load(folder)(tokens(2))
    weights = {f"bert.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    weights = {name: value.half() for name, value in weights.items()}
    weights["cls.predictions.bias"] = torch.zeros(60)
    weights["bert.embeddings.position_ids"] = torch.arange(30)
    names = sorted(weights)
    shards = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
    for shard, held in shards.items():
        save_file(
            {n: weights[n].half() if weights[n].is_floating_point() else weights[n] for n in held}, folder / shard
        )
    index = {"weight_map": {name: shard for shard, held in shards.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    encoder = build_pretrained(resolve(PretrainedConfig(checkpoint="x"), folder), SPEC).eval()
    assert load_weights(encoder, folder) == [
        f"{folder.name}: left out the head it was trained with ('cls.predictions.bias')"
    ]
    assert all(parameter.dtype == torch.float32 for parameter in encoder.parameters())
    torch.testing.assert_close(encoder(tokens(2)), expected, rtol=0, atol=0.02)
