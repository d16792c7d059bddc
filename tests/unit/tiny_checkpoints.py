"""Checkpoints in the Hugging Face layout, small enough to be made in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from luban.core.runtime import seeded
from luban.core.tensors import InputSpec, TensorKind

TINY = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 30,
    "initializer_range": 0.3,
}
FAMILIES = {
    "bert": (transformers.BertConfig, transformers.BertModel),
    "roberta": (transformers.RobertaConfig, transformers.RobertaModel),
    "xlm-roberta": (transformers.XLMRobertaConfig, transformers.XLMRobertaModel),
    "camembert": (transformers.CamembertConfig, transformers.CamembertModel),
}
SPEC = InputSpec("text", TensorKind.TOKENS, size=60, max_length=20)


def save_tiny(folder: Path, family: str = "bert", **settings: Any) -> Path:
    config_type, model_type = FAMILIES[family]
    with seeded(0, family):
        model = model_type(config_type(**TINY | settings))
        for parameter in model.parameters():  # biases and norms too
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder
