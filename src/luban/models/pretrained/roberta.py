"""RoBERTa (Liu et al. 2019, arXiv:1907.11692), and what has its shape: XLM-RoBERTa, CamemBERT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from luban.models.pretrained.bert import BERT, bert_config
from luban.models.transformer import TransformerConfig


def roberta_config(raw: Mapping[str, Any]) -> TransformerConfig:
    """Translate a RoBERTa's config.json: a BERT whose positions are counted from one past the padding token's id."""
    config = bert_config(raw)
    padding_id = raw.get("pad_token_id", 1)
    assert config.max_positions is not None
    if not isinstance(padding_id, int) or not 0 <= padding_id < config.max_positions - 1:
        raise ValueError(f"pad_token_id {padding_id}")
    offset = padding_id + 1
    return config.model_copy(update={"position_offset": offset, "max_positions": config.max_positions - offset})


ROBERTA = replace(BERT, config=roberta_config, prefix="roberta.")
