"""The 4-bit file of multilingual-e5-small (magic `E5S1`), turned into a Hugging Face directory of a BERT.

The file is little-endian: a header, the vocabulary of a Unigram tokenizer, its table of replaced characters, a
directory of tensors, the tensors. A matrix is stored in blocks of 32 weights along its rows: one float16 scale, then 16
bytes whose low nibbles are the first 16 weights and whose high nibbles are the last 16; weight = (nibble - 8) * scale.
NFKC stands in for the table: they differ for control characters, line ends and zero-width spaces alone.
"""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

MAGIC = b"E5S1"
BLOCK_BYTES = 18
# Hugging Face's name -> the file's, of the layers that have a weight in 4 bits and a bias.
LINEAR = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "intermediate.dense": "fi",
    "output.dense": "fo",
}
LAYER_NORM = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}


@dataclass(frozen=True)
class Header:
    """The first numbers of the file, in its order. bos, eos, pad, unk: ids of pieces."""

    version: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    block_size: int
    num_pieces: int
    bos: int
    eos: int
    pad: int
    unk: int


class Reader:
    """Reads numbers one after another; the position is all its state."""

    def __init__(self, content: bytes) -> None:
        self.content, self.position = content, 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.content, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def array(self, dtype: str, count: int) -> npt.NDArray[Any]:
        values = np.frombuffer(self.content, dtype, count, self.position)
        self.position += values.nbytes
        return values

    def take(self, count: int) -> bytes:
        self.position += count
        return self.content[self.position - count : self.position]


class E5File:
    """The parts of the file: header, pieces with their scores, and where each tensor lies."""

    def __init__(self, path: Path) -> None:
        reader = Reader(path.read_bytes())
        assert reader.take(len(MAGIC)) == MAGIC, f"{path} is not an E5S1 file"
        self.header = Header(*reader.numbers("8ifi5i"))
        self.pieces = self._read_pieces(reader)
        _num_replaced, num_bytes = reader.numbers("iI")
        reader.take(num_bytes)
        self.content = reader.content
        self.places: dict[str, tuple[int, int]] = {}
        (num_tensors,) = reader.numbers("i")
        for _ in range(num_tensors):
            (length,) = reader.numbers("H")
            name = reader.take(length).decode()
            _kind, _num_weights, offset, num_bytes = reader.numbers("BIQQ")
            self.places[name] = (offset, num_bytes)

    def _read_pieces(self, reader: Reader) -> list[tuple[str, float]]:
        (num_bytes,) = reader.numbers("Q")
        offsets = reader.array("<u4", self.header.num_pieces + 1).tolist()
        scores = reader.array("<f4", self.header.num_pieces).tolist()
        text = reader.take(num_bytes)
        ends = itertools.pairwise(offsets)
        return [(text[a:b].decode("utf-8", "replace"), score) for (a, b), score in zip(ends, scores, strict=True)]

    def vector(self, name: str) -> npt.NDArray[np.float32]:
        """Return a tensor that is stored as it is, flat."""
        offset, num_bytes = self.places[name]
        return np.frombuffer(self.content, "<f4", num_bytes // 4, offset)

    def matrix(self, name: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Return a tensor that is stored in blocks of 4 bits."""
        offset, num_bytes = self.places[name]
        blocks = np.frombuffer(self.content, np.uint8, num_bytes, offset).reshape(-1, BLOCK_BYTES)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
        nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
        return ((nibbles.astype(np.float32) - 8) * scales).reshape(shape)


def read_weights(file: E5File) -> dict[str, npt.NDArray[np.float16]]:
    """Return every tensor under the name that Hugging Face's BertModel gives it, in float16."""
    width, inner = file.header.hidden_size, file.header.intermediate_size
    shapes = {"fi": (inner, width), "fo": (width, inner)}
    weights = {
        "embeddings.word_embeddings.weight": file.matrix("emb.word", (file.header.vocab_size, width)),
        "embeddings.position_embeddings.weight": file.vector("emb.pos").reshape(-1, width),
        "embeddings.token_type_embeddings.weight": file.vector("emb.type").reshape(-1, width),
        "embeddings.LayerNorm.weight": file.vector("emb.ln.w"),
        "embeddings.LayerNorm.bias": file.vector("emb.ln.b"),
    }
    for layer in range(file.header.num_hidden_layers):
        for name, short in LINEAR.items():
            stem = f"encoder.layer.{layer}.{name}"
            weights[f"{stem}.weight"] = file.matrix(f"l{layer}.{short}.w", shapes.get(short, (width, width)))
            weights[f"{stem}.bias"] = file.vector(f"l{layer}.{short}.b")
        for name, short in LAYER_NORM.items():
            stem = f"encoder.layer.{layer}.{name}"
            weights[f"{stem}.weight"] = file.vector(f"l{layer}.{short}.w")
            weights[f"{stem}.bias"] = file.vector(f"l{layer}.{short}.b")
    return {name: weight.astype(np.float16) for name, weight in weights.items()}


def build_tokenizer(file: E5File) -> Tokenizer:
    """Return the Unigram tokenizer of XLM-RoBERTa that the model was trained with: `<s> text </s>`."""
    header = file.header
    special = [file.pieces[token][0] for token in (header.bos, header.pad, header.eos, header.unk)]
    bos, _, eos, _ = special
    tokenizer = Tokenizer(models.Unigram(file.pieces, unk_id=header.unk))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, header.bos), (eos, header.eos)],
    )
    tokenizer.add_special_tokens(special)
    return tokenizer


def convert(raw: Path, destination: Path) -> None:
    """Read the one file in the folder `raw` and write config.json, model.safetensors and the tokenizer."""
    (path,) = raw.iterdir()
    file = E5File(path)
    header = file.header
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "dtype": "float16",
        "hidden_act": "gelu",
        "hidden_size": header.hidden_size,
        "num_hidden_layers": header.num_hidden_layers,
        "num_attention_heads": header.num_attention_heads,
        "intermediate_size": header.intermediate_size,
        "vocab_size": header.vocab_size,
        "max_position_embeddings": header.max_position_embeddings,
        "type_vocab_size": header.type_vocab_size,
        # The shortest decimal that is the same float32: 1e-12, not 9.999999960041972e-13.
        "layer_norm_eps": float(str(np.float32(header.layer_norm_eps))),
        "pad_token_id": header.pad,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
    }
    bos, eos, pad, unk = (file.pieces[token][0] for token in (header.bos, header.eos, header.pad, header.unk))
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": header.max_position_embeddings,
        "bos_token": bos,
        "eos_token": eos,
        "cls_token": bos,
        "sep_token": eos,
        "pad_token": pad,
        "unk_token": unk,
    }
    save_file(read_weights(file), destination / "model.safetensors", metadata={"format": "pt"})
    build_tokenizer(file).save(str(destination / "tokenizer.json"))
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config)):
        (destination / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
