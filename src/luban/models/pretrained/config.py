"""The configuration of a pretrained encoder, and its translation from a checkpoint's config.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from luban.core.errors import CheckpointError, listed
from luban.core.regular import check_regular
from luban.core.tensors import InputSpec
from luban.models.base import EncoderConfig
from luban.models.building import materialize, no_weights
from luban.models.pretrained.bert import BERT
from luban.models.pretrained.family import Family
from luban.models.pretrained.roberta import ROBERTA
from luban.models.transformer import Pooling, TransformerConfig, TransformerEncoder, check_fits

FAMILIES: Mapping[str, Family] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
}
LARGEST_JSON = 10_000_000  # bytes; an index of many shards takes a few hundred thousand
POOLING_FILE = "1_Pooling/config.json"  # where sentence-transformers says how it pools
POOLINGS: Mapping[str, Pooling] = {"mean": "mean", "cls": "first"}


class PretrainedConfig(EncoderConfig):
    """Settings of a pretrained encoder.

    checkpoint: a sample's name, a folder, or OWNER/NAME on the Hugging Face hub. frozen: its weights stay as they are.
    pooling: auto takes what the checkpoint's own files say, and the mean where they say nothing. dropout: in place of
    the checkpoint's own. backbone: filled by `resolve`, so that the network can be built with no checkpoint at hand.
    """

    architecture: Literal["pretrained"] = "pretrained"

    checkpoint: str
    frozen: bool = False
    pooling: Literal["auto"] | Pooling = "auto"
    dropout: float | None = Field(None, ge=0, lt=1)
    backbone: TransformerConfig | None = None

    @model_validator(mode="after")
    def _frozen_has_no_dropout(self) -> Self:
        if self.frozen and self.dropout:
            raise ValueError("a frozen encoder has no dropout: leave out frozen or dropout")
        return self

    @property
    def max_positions(self) -> int | None:
        """The longest row in tokens, once resolved."""
        return None if self.backbone is None else self.backbone.max_positions


def resolve(config: PretrainedConfig, directory: Path) -> PretrainedConfig:
    """Fill `backbone` and `pooling` from a checkpoint's folder.

    Raises CheckpointError where its family is not known, or where it needs what the transformer here does not do.
    """
    raw = read_config(directory)
    backbone = _translate(raw, directory)
    pooling = _stored_pooling(directory) if config.pooling == "auto" else config.pooling
    update: dict[str, Any] = {"pooling": pooling}
    # Weights that stay as they are give vectors that stay as they are, which can be computed once.
    dropout = 0.0 if config.frozen else config.dropout
    if dropout is not None:
        update |= {"dropout": dropout, "attention_dropout": dropout}
    return config.model_copy(update={"backbone": backbone.model_copy(update=update), "pooling": pooling})


def build_pretrained(config: PretrainedConfig, spec: InputSpec) -> TransformerEncoder:
    """Build the encoder of a resolved configuration, whose weights are yet to be filled by `load_weights` or from a run
    directory.

    Raises ConfigError where the input has more ids or longer rows than the checkpoint has tables for.
    """
    assert config.backbone is not None, "resolve the configuration first"
    check_fits(config.backbone, spec)
    with no_weights():  # no time is spent on drawing numbers that are replaced
        encoder = TransformerEncoder(config.backbone)
    materialize(encoder)
    return encoder.requires_grad_(not config.frozen)


def family_of(raw: Mapping[str, Any], directory: Path) -> Family:
    """Return the family that a config.json belongs to. Raises CheckpointError where it is not known."""
    name = str(raw.get("model_type"))
    if name not in FAMILIES:
        raise CheckpointError(
            str(directory),
            expected=f"a model_type among {listed(FAMILIES)}",
            found=f"'{name}'",
            action="Choose a checkpoint of one of these families",
        )
    return FAMILIES[name]


def read_config(directory: Path) -> dict[str, Any]:
    """Read a checkpoint's config.json. Raises CheckpointError where it is missing or damaged."""
    return read_json(directory / "config.json")


def _translate(raw: Mapping[str, Any], directory: Path) -> TransformerConfig:
    try:
        return family_of(raw, directory).config(raw)
    except KeyError as error:
        found = f"no {error.args[0]}"
    except ValidationError as error:
        problems = (": ".join([*map(str, item["loc"]), item["msg"]]) for item in error.errors())
        found = "; ".join(problem.removeprefix("Value error, ") for problem in problems)
    except ValueError as error:
        found = str(error)
    raise CheckpointError(
        str(directory / "config.json"),
        expected="an encoder with absolute positions and complete settings",
        found=found,
        action="Choose another checkpoint",
    )


def _stored_pooling(directory: Path) -> Pooling:
    if not (directory / POOLING_FILE).is_file():
        return "mean"
    raw = read_json(directory / POOLING_FILE)
    flags = [key for key, value in raw.items() if key.startswith("pooling_mode_") and value]
    modes = [re.sub("^pooling_mode_|_tokens?$", "", flag) for flag in flags] or [str(raw.get("pooling_mode", "none"))]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise CheckpointError(
            str(directory / POOLING_FILE),
            expected="the pooling mode 'mean' or 'cls'",
            found=listed(modes),
            action="Set pooling to mean, first or pooler",
        )
    return POOLINGS[modes[0]]


def read_json(path: Path) -> dict[str, Any]:
    """Read a checkpoint's JSON file. Raises CheckpointError where it is missing, damaged or too large."""
    try:
        if path.exists():
            check_regular(path, CheckpointError)
        if path.stat().st_size > LARGEST_JSON:
            raise ValueError(f"more than {LARGEST_JSON} bytes")
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError, RecursionError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise CheckpointError(
            str(path),
            expected="a readable JSON file of settings",
            found=reason,
            action="Give a folder in the Hugging Face layout: config.json, model.safetensors, tokenizer.json",
        ) from error
    return content
