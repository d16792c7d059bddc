"""Pretrained encoders in the Hugging Face layout: found, translated into a `TransformerConfig`, loaded."""

from __future__ import annotations

from luban.models.pretrained.checkpoint import resolve_checkpoint, tokenizer_file
from luban.models.pretrained.config import PretrainedConfig, build_pretrained, resolve
from luban.models.pretrained.weights import load_weights

__all__ = [
    "PretrainedConfig",
    "build_pretrained",
    "load_weights",
    "resolve",
    "resolve_checkpoint",
    "tokenizer_file",
]
