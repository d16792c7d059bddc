"""The 4-bit format of multilingual-e5-small, against a model written and decoded number by number."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from luban.models.pretrained import e5

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁好", "a", "▁a"]
WIDTH, INNER, POSITIONS = 32, 64, 4


def write_e5(path: Path, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Write a model of one layer in the format; return its tensors, decoded number by number."""
    random = np.random.default_rng(seed)
    expected: dict[str, np.ndarray[Any, Any]] = {}
    bodies: dict[str, bytes] = {}

    def add(name: str, rows: int, columns: int) -> None:
        """A matrix where there are columns, else a vector."""
        if not columns:
            expected[name] = random.standard_normal(rows).astype(np.float32)
            bodies[name] = expected[name].tobytes()
            return
        values = np.zeros(rows * columns, np.float32)
        for block in range(rows * columns // 32):
            scale, packed = np.float16(random.standard_normal()), random.integers(0, 256, 16, dtype=np.uint8)
            bodies[name] = bodies.get(name, b"") + scale.tobytes() + packed.tobytes()
            for i, byte in enumerate(packed.tolist()):
                values[32 * block + i] = np.float32(byte % 16 - 8) * np.float32(scale)
                values[32 * block + 16 + i] = np.float32(byte // 16 - 8) * np.float32(scale)
        expected[name] = values.reshape(rows, columns)

    add("emb.word", len(PIECES), WIDTH)
    for name, rows in (("pos", POSITIONS * WIDTH), ("type", 2 * WIDTH), ("ln.w", WIDTH), ("ln.b", WIDTH)):
        add(f"emb.{name}", rows, 0)
    for short, rows, columns in (
        *((short, WIDTH, WIDTH) for short in ("q", "k", "v", "ao")),
        ("fi", INNER, WIDTH),
        ("fo", WIDTH, INNER),
    ):
        add(f"l0.{short}.w", rows, columns)
        add(f"l0.{short}.b", rows, 0)
    for short in ("aln", "oln"):
        add(f"l0.{short}.w", WIDTH, 0)
        add(f"l0.{short}.b", WIDTH, 0)

    text = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, text)])
    head = (
        b"E5S1" + struct.pack("<8i", 1, WIDTH, 1, 2, INNER, len(PIECES), POSITIONS, 2) + struct.pack("<fi", 1e-12, 32)
    )
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(b"".join(text))) + offsets.astype("<u4").tobytes()
    head += (
        (-np.arange(len(PIECES))).astype("<f4").tobytes() + b"".join(text) + struct.pack("<iI", 1, 9) + b"\t" + bytes(8)
    )
    head += struct.pack("<i", len(bodies))
    offset = len(head) + sum(2 + len(name) + struct.calcsize("<BIQQ") for name in bodies)
    places = b""
    for name, body in bodies.items():
        places += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, 0, offset, len(body))
        offset += len(body)
    path.write_bytes(head + places + b"".join(bodies.values()))
    return expected


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_e5_weights_are_unpacked(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    raw, destination = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("out")
    expected = write_e5(raw / "e5.bin", seed)
    e5.convert(raw, destination)
    weights = load_file(destination / "model.safetensors")
    assert len(weights) == len(expected)
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.0.attention.self.key.weight": "l0.k.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.0.output.dense.weight": "l0.fo.w",
        "encoder.layer.0.output.dense.bias": "l0.fo.b",
        "encoder.layer.0.output.LayerNorm.weight": "l0.oln.w",
    }
    for name, short in names.items():
        np.testing.assert_array_equal(weights[name], expected[short].astype(np.float16))
    assert weights["embeddings.position_embeddings.weight"].shape == (POSITIONS, WIDTH)


def test_e5_configuration_and_tokenizer(tmp_path: Path) -> None:
    raw, destination = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    destination.mkdir()
    write_e5(raw / "e5.bin", 0)
    e5.convert(raw, destination)
    config = json.loads((destination / "config.json").read_text())
    assert config["model_type"] == "bert"
    assert (config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]) == (WIDTH, INNER, 1)
    assert (config["layer_norm_eps"], config["pad_token_id"]) == (1e-12, 1)
    tokenizer = Tokenizer.from_file(str(destination / "tokenizer.json"))
    assert tokenizer.encode("好  Ａ").tokens == ["<s>", "▁好", "▁", "A", "</s>"]
    assert tokenizer.encode("好  a").ids == [0, 5, 7, 2]
    assert tokenizer.encode("a", "好").ids == [0, 7, 2, 2, 5, 2]
    assert tokenizer.decode([0, 5, 7, 2]) == "好 a"
