"""Where checkpoints are found, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from tiny_checkpoints import SPEC, save_tiny
from tokenizers import Tokenizer
from torch import Tensor

from luban.core.errors import CheckpointError, ConfigError
from luban.core.tensors import InputSpec, TensorKind
from luban.data import samples
from luban.models.pretrained import (
    PretrainedConfig,
    build_pretrained,
    load_weights,
    resolve,
    resolve_checkpoint,
    tokenizer_file,
)


def test_a_vocabulary_without_tokenizer_json_is_converted_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny(tmp_path / "checkpoint")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "measure", "twice", ",", "train", "once", "##s"]
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))
    before = sorted(folder.iterdir())
    path = tokenizer_file(folder)
    assert path.is_relative_to(tmp_path / "cache")
    assert sorted(folder.iterdir()) == before
    encoding = Tokenizer.from_file(str(path)).encode("Measure twice,", "trains once")
    assert encoding.tokens == ["[CLS]", "measure", "twice", ",", "[SEP]", "train", "##s", "once", "[SEP]"]
    assert encoding.type_ids == [0] * 5 + [1] * 4
    assert tokenizer_file(folder) == path


def test_a_checkpoint_is_a_folder_a_sample_or_a_name_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve_checkpoint(str(tmp_path)) == tmp_path
    monkeypatch.setattr(samples, "fetch", lambda name: tmp_path / name)
    assert resolve_checkpoint("minilm") == tmp_path / "minilm"
    asked = []

    def download(name: str, *, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert resolve_checkpoint("owner/name") == tmp_path / "snapshot"
    assert asked[0][0] == "owner/name"
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in asked[0][1])


def message(call: Any, *arguments: Any, error: type[Exception] = CheckpointError) -> str:
    with pytest.raises(error) as raised:
        call(*arguments)
    return str(raised.value)


def test_a_misspelled_checkpoint_is_refused() -> None:
    assert message(resolve_checkpoint, "minilmm") == (
        "checkpoint 'minilmm': expected a folder, a sample ('minilm', 'e5-small-multilingual') or OWNER/NAME on the "
        "Hugging Face hub, found none of them. Did you mean 'minilm'? Check the spelling."
    )


def test_a_name_that_the_hub_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, **_: Any) -> str:
        raise OSError("no such repository. And much more\nthan one wants to read")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert message(resolve_checkpoint, "nobody/nothing") == (
        "checkpoint 'nobody/nothing': expected a folder, or a checkpoint on the Hugging Face hub, found no such "
        "folder, and from the hub 'no such repository'. Check the spelling and the network, or give the path of a "
        "folder."
    )


def changed_config(folder: Path, family: str = "bert", **settings: Any) -> Path:
    path = save_tiny(folder, family) / "config.json"
    config = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return folder


def test_a_family_that_is_not_known_is_refused(tmp_path: Path) -> None:
    changed_config(tmp_path, model_type="mamba")
    assert message(resolve, PretrainedConfig(checkpoint="x"), tmp_path) == (
        f"{tmp_path}: expected a model_type among 'bert', 'roberta', 'xlm-roberta', 'camembert', found 'mamba'. "
        "Choose a checkpoint of one of these families."
    )


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"is_decoder": True}, "is_decoder true"),
        ({"hidden_act": "mish"}, "hidden_act 'mish'"),
        ({"hidden_size": None}, "no hidden_size"),
        ({"num_hidden_layers": 0}, "layers: Input should be greater than or equal to 1"),
        ({"hidden_size": 33}, "width must be a multiple of heads: 33 is no multiple of 4"),
    ],
)
def test_settings_that_have_no_counterpart_are_refused(tmp_path: Path, settings: dict[str, Any], found: str) -> None:
    changed_config(tmp_path, **settings)
    assert message(resolve, PretrainedConfig(checkpoint="x"), tmp_path) == (
        f"{tmp_path / 'config.json'}: expected an encoder with absolute positions and complete settings, "
        f"found {found}. Choose another checkpoint."
    )


@pytest.mark.parametrize("padding_id", [-1, 29, "1"])
def test_positions_that_cannot_be_counted_are_refused(tmp_path: Path, padding_id: object) -> None:
    changed_config(tmp_path, "roberta", pad_token_id=padding_id)
    assert f"found pad_token_id {padding_id}. " in message(resolve, PretrainedConfig(checkpoint="x"), tmp_path)


def test_a_frozen_encoder_with_dropout_is_refused() -> None:
    with pytest.raises(ValidationError, match="a frozen encoder has no dropout: leave out frozen or dropout"):
        PretrainedConfig(checkpoint="x", frozen=True, dropout=0.1)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no such file"),
        ("{", "Expecting property name"),
        ("[1]", "no JSON object"),
        (" " * 10_000_001, "more than"),
    ],
)
def test_a_folder_without_settings_is_refused(tmp_path: Path, content: str | None, found: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    text = message(resolve, PretrainedConfig(checkpoint="x"), tmp_path)
    assert text.startswith(f"{tmp_path / 'config.json'}: expected a readable JSON file of settings, found {found}")
    assert text.endswith("Give a folder in the Hugging Face layout: config.json, model.safetensors, tokenizer.json.")


def test_a_pooling_that_is_not_known_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    assert message(resolve, PretrainedConfig(checkpoint="x"), tmp_path) == (
        f"{tmp_path / '1_Pooling/config.json'}: expected the pooling mode 'mean' or 'cls', found 'max'. "
        "Set pooling to mean, first or pooler."
    )


def test_an_input_that_does_not_fit_the_checkpoint_is_refused(tmp_path: Path) -> None:
    config = resolve(PretrainedConfig(checkpoint="x"), save_tiny(tmp_path))
    spec = InputSpec("text", TensorKind.TOKENS, size=60, max_length=31)
    assert message(build_pretrained, config, spec, error=ConfigError) == (
        "input 'text': expected rows of at most 30 tokens (max_positions), found a max_length of 31. "
        "Set the column's max_length to 30 or less."
    )


def refusal(folder: Path, **settings: Any) -> str:
    config = resolve(PretrainedConfig(checkpoint="x", **settings), folder)
    return message(load_weights, build_pretrained(config, SPEC), folder)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (save_tiny(tmp_path) / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    assert refusal(tmp_path) == (
        f"{tmp_path}: expected weights in model.safetensors, found only 'pytorch_model.bin', a pickle that could run "
        "code and is never opened. Save the model again with `save_pretrained(folder, safe_serialization=True)`."
    )


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    (save_tiny(tmp_path) / "model.safetensors").unlink()
    assert refusal(tmp_path) == (
        f"{tmp_path}: expected weights in model.safetensors, found none. Copy the checkpoint again."
    )


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = save_tiny(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    text = refusal(tmp_path)
    assert text.startswith(f"{path}: expected a whole safetensors file, found '")
    assert text.endswith("'. Copy the checkpoint again.")


def test_an_index_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    (save_tiny(tmp_path) / "model.safetensors").unlink()
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    assert refusal(tmp_path) == (
        f"{index}: expected names of files beside it, found '../secret.safetensors'. Do not use this checkpoint."
    )


def change_weights(folder: Path, **changes: Tensor | None) -> Path:
    path = save_tiny(folder) / "model.safetensors"
    weights = load_file(path)
    for name, value in changes.items():
        weights.pop(name, None)
        if value is not None:
            weights[name] = value
    save_file(weights, path)
    return path


def test_a_tensor_that_has_no_place_is_refused(tmp_path: Path) -> None:
    path = change_weights(tmp_path, **{"encoder.layer.7.output.dense.bias": torch.zeros(32)})
    assert refusal(tmp_path) == (
        f"{path}: expected the tensors that its config.json describes, found 'encoder.layer.7.output.dense.bias' "
        "beside them. Choose another checkpoint; this one is of another kind than it says."
    )


def test_a_parameter_without_tensor_is_refused(tmp_path: Path) -> None:
    change_weights(tmp_path, **{"encoder.layer.1.attention.self.key.bias": None})
    assert refusal(tmp_path) == (
        f"{tmp_path}: expected a tensor for each parameter of the encoder, found none for "
        "'backbone.layers.1.attention.qkv.bias'. Copy the checkpoint again."
    )


def test_a_pooler_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    change_weights(tmp_path, **{"pooler.dense.weight": None, "pooler.dense.bias": None})
    assert refusal(tmp_path, pooling="pooler") == (
        f"{tmp_path}: expected a tensor for each parameter of the encoder, found none for 'pooler.weight', "
        "'pooler.bias'. Set pooling to mean."
    )


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = change_weights(tmp_path, **{"encoder.layer.1.attention.self.key.bias": torch.zeros(33)})
    assert refusal(tmp_path) == (
        f"{path}, tensor 'encoder.layer.1.attention.self.key.bias': expected shape (32,), found (33,). "
        "Choose another checkpoint; this one does not fit its own config.json."
    )


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    assert message(tokenizer_file, tmp_path) == (
        f"{tmp_path}: expected a tokenizer.json, or one of 'vocab.txt', 'vocab.json', 'merges.txt', "
        "'sentencepiece.bpe.model', 'spiece.model', found neither. Copy the tokenizer's files into the folder."
    )


def test_a_vocabulary_that_cannot_be_converted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUBAN_CACHE", str(tmp_path / "cache"))
    folder = save_tiny(tmp_path / "checkpoint")
    (folder / "vocab.json").write_text("not JSON")
    assert message(tokenizer_file, folder) == (
        f"{folder}: expected vocabulary files that transformers can convert, found 'a vocabulary of special tokens "
        "alone'. Save the tokenizer as tokenizer.json."
    )
    assert not list((tmp_path / "cache").rglob("*.json"))
