"""The transformer encoder, over packed tokens.

Shapes: B rows · N packed tokens · D width · H heads · K width of a head · F width inside the feed-forward network
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from luban.core.errors import ConfigError
from luban.core.settings import MOST_LAYERS, Width
from luban.core.tensors import InputSpec, Ragged
from luban.models.attention import attention
from luban.models.base import Encoder, EncoderConfig
from luban.models.dropout import add_dropped, dropout
from luban.models.packing import Packing

Pooling = Literal["mean", "first", "pooler"]
ActivationName = Literal["gelu", "gelu_tanh", "relu", "silu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}
LARGEST_TABLE = 10_000_000  # rows of embeddings
TABLE_STD = 0.02


class TransformerConfig(EncoderConfig):
    """Settings of a transformer; vocab_size and max_positions are taken from the input where they are None.

    ffn: width inside the feed-forward networks, None for 4 x width. norm: before each sub-layer, with one more at the
    end (Xiong et al. 2020, arXiv:2002.04745), or after it, with one more after the embeddings (Vaswani et al. 2017).
    position_offset: unused rows at the start of the position table. segments: how many parts a row may have.
    pooling: how a row's tokens become one vector: their mean, the first of them, or the first through BERT's pooler.
    """

    architecture: Literal["transformer"] = "transformer"

    layers: int = Field(4, ge=1, le=MOST_LAYERS)
    width: Width = 256
    heads: Width = 4
    ffn: Width | None = None
    activation: ActivationName = "gelu"
    norm: Literal["pre", "post"] = "pre"
    norm_eps: float = Field(1e-5, gt=0, le=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    pooling: Pooling = "mean"
    vocab_size: int | None = Field(None, ge=1, le=LARGEST_TABLE)
    max_positions: int | None = Field(None, ge=1, le=LARGEST_TABLE)
    position_offset: int = Field(0, ge=0, le=LARGEST_TABLE)
    segments: int = Field(2, ge=1, le=LARGEST_TABLE)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads: {self.width} is no multiple of {self.heads}")
        return self


class Embeddings(nn.Module):
    """Token, position and segment tables, summed.

    `tokens` is a plain `nn.Embedding`: set its `sparse` to True for a gradient of the rows in use alone, which saves
    most of the cost of a large vocabulary where the optimizer can take it.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        assert config.vocab_size is not None
        assert config.max_positions is not None
        self.tokens: nn.Module = _table(config.vocab_size, config.width)
        self.positions = _table(config.max_positions + config.position_offset, config.width)
        self.segments = _table(config.segments, config.width)
        self.norm = nn.LayerNorm(config.width, config.norm_eps) if config.norm == "post" else nn.Identity()
        self.position_offset = config.position_offset

    def forward(self, tokens: Tensor, packing: Packing) -> Tensor:
        ids_N, segments_N = (tokens, None) if tokens.ndim == 1 else tokens.unbind(1)
        positions_ND = self.positions(packing.token_positions + self.position_offset)
        segments_ND = self.segments.weight[0] if segments_N is None else self.segments(segments_N)
        embedded_ND: Tensor = self.norm(self.tokens(ids_N) + positions_ND + segments_ND)
        return embedded_ND


class Attention(nn.Module):
    """Multi-head self-attention; queries, keys and values come out of one product."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.attention_dropout
        self.head_width = config.width // config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x_ND: Tensor, packing: Packing) -> Tensor:
        q_NHK, k_NHK, v_NHK = self.qkv(x_ND).unflatten(1, (3, self.heads, self.head_width)).unbind(1)
        mixed_NHK = attention(q_NHK, k_NHK, v_NHK, packing, dropout=self.dropout, training=self.training)
        output_ND: Tensor = self.out(mixed_NHK.reshape(x_ND.shape))
        return output_ND


class FeedForward(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        ffn = config.ffn or 4 * config.width
        self.up = nn.Linear(config.width, ffn)
        self.down = nn.Linear(ffn, config.width)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x_ND: Tensor) -> Tensor:
        output_ND: Tensor = self.down(self.activation(self.up(x_ND)))
        return output_ND


class Layer(nn.Module):
    """Attention and a feed-forward network, each added to what went in."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.pre_norm, self.dropout = config.norm == "pre", config.dropout
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.width, config.norm_eps)
        self.ffn = FeedForward(config)
        self.ffn_norm = nn.LayerNorm(config.width, config.norm_eps)

    def forward(self, x_ND: Tensor, packing: Packing) -> Tensor:
        if self.pre_norm:
            x_ND = self._add(x_ND, self.attention(self.attention_norm(x_ND), packing))
            return self._add(x_ND, self.ffn(self.ffn_norm(x_ND)))
        x_ND = self.attention_norm(self._add(x_ND, self.attention(x_ND, packing)))
        output_ND: Tensor = self.ffn_norm(self._add(x_ND, self.ffn(x_ND)))
        return output_ND

    def _add(self, x_ND: Tensor, change_ND: Tensor) -> Tensor:
        return add_dropped(x_ND, change_ND, self.dropout, self.training)


class Transformer(nn.Module):
    """Packed tokens (N,), or tokens and segments (N, 2) -> hidden states (N, D)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, config.norm_eps) if config.norm == "pre" else nn.Identity()
        self.dropout, self.norms_between = config.dropout, config.norm == "post"
        self.apply(_initialise)
        if config.norm == "pre":
            # What the layers add up to shall not grow with their number (GPT-2, Radford et al. 2019).
            with torch.no_grad():
                for name, parameter in self.named_parameters():
                    if name.endswith(("attention.out.weight", "ffn.down.weight")):
                        parameter.div_((2 * config.layers) ** 0.5)

    def forward(self, tokens: Tensor, packing: Packing) -> Tensor:
        x_ND = dropout(self.embeddings(tokens, packing), self.dropout, self.training)
        if torch.is_autocast_enabled(x_ND.device.type) and self.norms_between:
            x_ND = x_ND.to(torch.get_autocast_dtype(x_ND.device.type))
        for layer in self.layers:
            x_ND = layer(x_ND, packing)
        hidden_ND: Tensor = self.norm(x_ND)
        return hidden_ND


class TransformerEncoder(Encoder):
    """A transformer and a pooling: Ragged (N,) or (N, 2) -> (B, D) float32; a row without tokens gives zeros, or what
    the pooler makes of them."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.output_dim = self.places_dim = config.width
        self.backbone = Transformer(config)
        self.pooler = nn.Linear(config.width, config.width) if config.pooling == "pooler" else None
        if self.pooler is not None:
            _initialise(self.pooler)

    def places(self, inputs: Tensor | Ragged) -> Ragged:
        assert isinstance(inputs, Ragged)
        packing = Packing(inputs.offsets, inputs.values.device)
        self._check_length(packing.longest)
        return Ragged(self.backbone(inputs.values, packing), inputs.offsets)

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Ragged)
        packing, hidden_ND = Packing(places.offsets, places.values.device), places.values
        if self.config.pooling == "mean":
            return _mean(hidden_ND, packing)
        first_BD = _first(hidden_ND, packing)
        return first_BD if self.pooler is None else torch.tanh(self.pooler(first_BD)).float()

    @property
    def token_embedding(self) -> nn.Module:
        return self.backbone.embeddings.tokens

    def _check_length(self, longest: int) -> None:
        limit = self.config.max_positions
        assert limit is not None
        if longest > limit:
            raise ConfigError(
                "the transformer's input",
                expected=f"rows of at most {limit} tokens (max_positions)",
                found=f"one of {longest}",
                action=f"Set the column's max_length to {limit} or less",
            )


def build_transformer(config: TransformerConfig, spec: InputSpec) -> TransformerEncoder:
    """Build an untrained encoder; what the configuration leaves open is taken from the input.

    Raises ConfigError where the input has more ids or longer rows than the configuration allows.
    """
    filled = config.model_copy(
        update={
            "vocab_size": config.vocab_size or spec.size,
            "max_positions": config.max_positions or spec.max_length,
        }
    )
    check_fits(filled, spec)
    return TransformerEncoder(filled)


def check_fits(config: TransformerConfig, spec: InputSpec) -> None:
    """Raise ConfigError where the input has more ids or longer rows than the transformer has tables for."""
    assert config.vocab_size is not None
    assert config.max_positions is not None
    if spec.size > config.vocab_size:
        raise ConfigError(
            f"input '{spec.name}'",
            expected=f"at most {config.vocab_size} different tokens (vocab_size)",
            found=f"{spec.size}",
            action="Use the tokenizer that belongs to the model, or a larger vocab_size",
        )
    if spec.max_length > config.max_positions:
        raise ConfigError(
            f"input '{spec.name}'",
            expected=f"rows of at most {config.max_positions} tokens (max_positions)",
            found=f"a max_length of {spec.max_length}",
            action=f"Set the column's max_length to {config.max_positions} or less",
        )


def _mean(hidden_ND: Tensor, packing: Packing) -> Tensor:
    lengths_B1 = packing.lengths.clamp(min=1)[:, None].to(packing.device, non_blocking=True)
    sums_BD = torch.zeros(len(lengths_B1), hidden_ND.shape[1], device=packing.device)
    return sums_BD.index_add(0, packing.token_rows, hidden_ND.float()) / lengths_B1


def _first(hidden_ND: Tensor, packing: Packing) -> Tensor:
    rows = packing.lengths.nonzero().flatten()
    starts = packing.offsets[rows].to(packing.device, non_blocking=True)
    zeros_BD = torch.zeros(len(packing.lengths), hidden_ND.shape[1], device=packing.device)
    return zeros_BD.index_put((rows.to(packing.device, non_blocking=True),), hidden_ND[starts].float())


def _table(rows: int, width: int) -> nn.Embedding:
    # Not `nn.Embedding(rows, width)`: it would draw every number of a large vocabulary only to have it drawn again.
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))


def _initialise(module: nn.Module) -> None:
    """Draw layers that keep the variance of their input, whatever the width (LeCun et al. 1998, "Efficient BackProp"),
    and tables as BERT and GPT-2 do.

    Their standard deviation of 0.02 for layers, too, is made for widths near 768: in narrow networks the scores of
    attention begin near 0, all tokens weigh alike, and it takes long until a head attends to anything.
    """
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=TABLE_STD)
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
        nn.init.zeros_(module.bias)
