"""BERT (Devlin et al. 2019, arXiv:1810.04805), and what has its shape: MiniLM, E5, BGE, GTE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luban.models.pretrained.family import Family
from luban.models.transformer import TransformerConfig

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


def bert_config(raw: Mapping[str, Any]) -> TransformerConfig:
    """Translate a BERT's config.json. Raises KeyError and ValueError as `Family.config` says."""
    if raw.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(f"position_embedding_type '{raw['position_embedding_type']}'")
    if raw.get("is_decoder", False):
        raise ValueError("is_decoder true")
    activation = ACTIVATIONS.get(str(raw["hidden_act"]))
    if activation is None:
        raise ValueError(f"hidden_act '{raw['hidden_act']}'")
    return TransformerConfig.model_validate(
        {
            "layers": raw["num_hidden_layers"],
            "width": raw["hidden_size"],
            "heads": raw["num_attention_heads"],
            "ffn": raw["intermediate_size"],
            "activation": activation,
            "norm": "post",
            "norm_eps": raw.get("layer_norm_eps", 1e-12),
            "dropout": raw.get("hidden_dropout_prob", 0.1),
            "attention_dropout": raw.get("attention_probs_dropout_prob", 0.1),
            "vocab_size": raw["vocab_size"],
            "max_positions": raw["max_position_embeddings"],
            "segments": raw.get("type_vocab_size", 2),
        }
    )


LAYER = r"encoder\.layer\.(\d+)\."
QKV = r"backbone.layers.\1.attention.qkv.\2"
NAMES = {
    r"embeddings\.word_embeddings\.weight": r"backbone.embeddings.tokens.weight",
    r"embeddings\.position_embeddings\.weight": r"backbone.embeddings.positions.weight",
    r"embeddings\.token_type_embeddings\.weight": r"backbone.embeddings.segments.weight",
    r"embeddings\.LayerNorm\.(weight|bias)": r"backbone.embeddings.norm.\1",
    LAYER + r"attention\.output\.dense\.(weight|bias)": r"backbone.layers.\1.attention.out.\2",
    LAYER + r"attention\.output\.LayerNorm\.(weight|bias)": r"backbone.layers.\1.attention_norm.\2",
    LAYER + r"intermediate\.dense\.(weight|bias)": r"backbone.layers.\1.ffn.up.\2",
    LAYER + r"output\.dense\.(weight|bias)": r"backbone.layers.\1.ffn.down.\2",
    LAYER + r"output\.LayerNorm\.(weight|bias)": r"backbone.layers.\1.ffn_norm.\2",
    r"pooler\.dense\.(weight|bias)": r"pooler.\1",
}
PARTS = {
    LAYER + r"attention\.self\.query\.(weight|bias)": (QKV, 0, 3),
    LAYER + r"attention\.self\.key\.(weight|bias)": (QKV, 1, 3),
    LAYER + r"attention\.self\.value\.(weight|bias)": (QKV, 2, 3),
}
HEADS = r"(cls|lm_head|classifier|qa_outputs)\..*"
UNUSED = r"embeddings\.(position_ids|token_type_ids)|pooler\..*"

BERT = Family(config=bert_config, prefix="bert.", names=NAMES, parts=PARTS, heads=HEADS, unused=UNUSED)
