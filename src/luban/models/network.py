"""The whole network: an encoder for each input, their vectors joined, a head for the task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator
from torch import Tensor, nn

from luban.core.errors import ConfigError, listed, nearest
from luban.core.settings import MOST_LAYERS, Settings, Width
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models import ARCHITECTURES
from luban.models.base import Encoder
from luban.models.cnn import LeNetConfig, ResNetConfig, TextCNNConfig
from luban.models.dropout import Dropout
from luban.models.lookup import can_look_up_together, look_up
from luban.models.mlp import MLP, CategoryEmbedding, DenseConfig, EmbeddingConfig, FlattenConfig
from luban.models.pretrained import PretrainedConfig
from luban.models.rnn import RNNConfig
from luban.models.transformer import TransformerConfig

TokensModel = Annotated[
    PretrainedConfig | TransformerConfig | RNNConfig | TextCNNConfig, Field(discriminator="architecture")
]
GridModel = Annotated[ResNetConfig | LeNetConfig | FlattenConfig, Field(discriminator="architecture")]
AnyModel = Annotated[
    DenseConfig
    | EmbeddingConfig
    | ResNetConfig
    | LeNetConfig
    | FlattenConfig
    | PretrainedConfig
    | TransformerConfig
    | RNNConfig
    | TextCNNConfig,
    Field(discriminator="architecture"),
]
Activation = Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu", "identity"]
SLOTS = {"tokens": TensorKind.TOKENS, "grid": TensorKind.GRID, "frames": TensorKind.FRAMES}
WIDE_HIDDEN = (256, 128)
CHINESE_CHECKPOINT = "e5-small-multilingual"
ENGLISH_CHECKPOINT = "minilm"


class NetworkConfig(Settings):
    """Which architecture encodes each kind of input, and the layers that join them; None is decided from the data.

    A bare name stands for an architecture or a pretrained checkpoint: `model: lstm`, `model: minilm`; names with commas
    between them for one each kind of input, as reports print them: `model: minilm, resnet`.
    hidden: widths of the layers between the joined encoders and the head. dropout: before the head and between those.
    """

    tokens: TokensModel | None = None
    grid: GridModel | None = None
    frames: RNNConfig | None = None
    hidden: tuple[Width, ...] | None = Field(None, max_length=MOST_LAYERS)
    activation: Activation = "relu"
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return expand_name(value) if isinstance(value, str) else value

    @field_validator("tokens", mode="before")
    @classmethod
    def _pretrained_if_not_said(cls, value: Any) -> Any:
        return {"architecture": "pretrained", **value} if isinstance(value, dict) else value


def expand_name(name: str) -> dict[str, Any]:
    """Return the settings that a bare name stands for, or several with commas between them.

    Of several each takes one kind of input that it can encode, and then those that are left: `gru, lstm` is a GRU for
    text and an LSTM for sound.
    """
    names = [part.strip() for part in name.split(",")]
    if len(names) == 1 or Path(name).exists():
        return _expand_one(name)
    found: dict[str, Any] = {}
    wanted = [_expand_one(part) for part in names]
    for part, settings in zip(names, wanted, strict=True):
        free = next((slot for slot in SLOTS if slot in settings and slot not in found), None)
        if free is None:
            raise ValueError(f"one model for each kind of input; none is left for '{part}'")
        found |= {key: value for key, value in settings.items() if key == free or key not in SLOTS}
    for settings in wanted:
        found = {**settings, **found}
    return found


def _expand_one(name: str) -> dict[str, Any]:
    # Numbers and categories have one encoder each, so that to name it is to ask for the layers that join them.
    if name == "mlp" or (name in ARCHITECTURES and not ARCHITECTURES[name].kinds & set(SLOTS.values())):
        return {"grid": {"architecture": "flatten"}, "hidden": list(WIDE_HIDDEN)}
    if name not in ARCHITECTURES:
        nearest_name = nearest(name, ARCHITECTURES)
        if nearest_name and not Path(name).exists():
            raise ValueError(f"an architecture or a checkpoint. {nearest_name.strip()}")
        return {"tokens": {"architecture": "pretrained", "checkpoint": name}}
    kinds = ARCHITECTURES[name].kinds
    return {slot: {"architecture": name} for slot, kind in SLOTS.items() if kind in kinds}


def complete(config: NetworkConfig, kinds: set[TensorKind], *, chinese: bool) -> tuple[NetworkConfig, list[str]]:
    """Choose an architecture for each kind of input that has none; return it with a sentence for each choice."""
    chosen: dict[str, Any] = {}
    notes = []
    asked = {kind for slot, kind in SLOTS.items() if getattr(config, slot) is not None}
    if isinstance(config.grid, FlattenConfig) and config.hidden:  # an MLP, which takes numbers and categories as well
        asked |= {TensorKind.DENSE, TensorKind.IDS}
        if TensorKind.GRID not in kinds:
            chosen["grid"] = None
    if asked and not asked & kinds:
        raise ConfigError(
            "model",
            expected=f"an architecture for {listed(sorted(kinds))}, which the columns are encoded to",
            found=f"one for {listed(sorted(asked))}",
            action="Leave model out, or set data.columns",
        )
    if TensorKind.TOKENS in kinds and config.tokens is None:
        checkpoint = CHINESE_CHECKPOINT if chinese else ENGLISH_CHECKPOINT
        chosen["tokens"] = PretrainedConfig(checkpoint=checkpoint)
        notes.append(f"text: fine-tunes the pretrained encoder '{checkpoint}' (change with --model)")
    if TensorKind.GRID in kinds and config.grid is None:
        chosen["grid"] = ResNetConfig()
        notes.append("images: a small residual network from scratch (change with --model)")
    if TensorKind.FRAMES in kinds and config.frames is None:
        chosen["frames"] = RNNConfig(architecture="gru")
        notes.append("sound: a GRU from scratch (change with --model)")
    if config.hidden is None:
        chosen["hidden"] = WIDE_HIDDEN if kinds & {TensorKind.DENSE, TensorKind.IDS} else ()
    return config.model_copy(update=chosen), notes


class NetworkSpec(BaseModel):
    """All that is needed to build the network again, with no data and no checkpoint at hand.

    precision: in which it was trained, and predicts unless the machine has to emulate it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: tuple[InputSpec, ...]
    encoders: dict[str, AnyModel]
    hidden: tuple[PositiveInt, ...]
    activation: Activation
    dropout: float = Field(ge=0, lt=1)
    output_dim: PositiveInt
    precision: Literal["float32", "bfloat16"] = "float32"

    @property
    def backbones(self) -> list[str]:
        """The inputs whose encoder is pretrained."""
        return [name for name, config in self.encoders.items() if isinstance(config, PretrainedConfig)]

    @property
    def frozen(self) -> list[str]:
        """The inputs whose encoder is pretrained and stays as it is."""
        return [name for name in self.backbones if getattr(self.encoders[name], "frozen", False)]


def specify(config: NetworkConfig, specs: list[InputSpec], output_dim: int) -> NetworkSpec:
    """Bind a completed configuration to the inputs of a schema."""
    assert config.hidden is not None
    by_kind = {
        TensorKind.DENSE: DenseConfig(),
        TensorKind.IDS: EmbeddingConfig(),
        TensorKind.TOKENS: config.tokens,
        TensorKind.GRID: config.grid,
        TensorKind.FRAMES: config.frames,
    }
    encoders = {spec.name: by_kind[spec.kind] for spec in specs}
    return NetworkSpec.model_validate(
        {
            "inputs": tuple(specs),
            "encoders": encoders,
            "hidden": config.hidden,
            "activation": config.activation,
            "dropout": config.dropout,
            "output_dim": output_dim,
        }
    )


def check_memory(spec: NetworkSpec, available: int | None) -> None:
    """Raise ConfigError where the weights alone are larger than the memory, before any of it is taken.

    available: bytes, None where the system does not tell.
    """
    try:
        with torch.device("meta"):
            size = sum(weight.numel() * weight.element_size() for weight in Network(spec).state_dict().values())
    except RuntimeError:  # more numbers than 64 bits can count
        size = 2**63
    if available is not None and size > available:
        raise ConfigError(
            "model",
            expected=f"a network that fits into the memory ({available / 1e9:,.1f} GB are free)",
            found=f"one whose weights take {size / 1e9:,.0f} GB",
            action="Make it narrower or give it fewer layers",
        )


def vector_name(input_name: str) -> str:
    """Under this name a batch may bring an input's encoded vector (B, D) in place of the input itself."""
    return f"{input_name} (encoded)"


class Network(nn.Module):
    """Inputs -> encoders -> joined vector (B, D) -> hidden layers -> logits (B, output_dim)."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.names = [item.name for item in spec.inputs]
        self._places = {name: place for place, name in enumerate(self.names)}
        self.unknown = {item.name: item.unknown for item in spec.inputs if any(item.unknown)}
        self.encoders = nn.ModuleList(
            ARCHITECTURES[spec.encoders[item.name].architecture].build(spec.encoders[item.name], item)
            for item in spec.inputs
        )
        width = sum(self.encoder(name).output_dim for name in self.names)
        self.fusion = MLP(width, spec.hidden, spec.activation, spec.dropout)
        self.dropout = Dropout(0.0 if spec.hidden else spec.dropout)
        self.head = nn.Linear(self.fusion.output_dim, spec.output_dim)

    def encoder(self, name: str) -> Encoder:
        encoder = self.encoders[self._places[name]]
        assert isinstance(encoder, Encoder)
        return encoder

    def encoder_prefix(self, name: str) -> str:
        """The prefix of the names of an encoder's parameters."""
        return f"encoders.{self._places[name]}."

    def join(self, inputs: dict[str, Tensor | Ragged]) -> Tensor:
        """Return the encoders' vectors side by side, (B, D), those of categories last."""
        vectors, given_last, ids = list[Tensor](), list[Tensor](), list[Tensor]()
        categories = list[CategoryEmbedding]()
        for name, encoder in zip(self.names, self.encoders, strict=True):
            given = inputs.get(vector_name(name))
            if isinstance(given, Tensor):
                (given_last if isinstance(encoder, CategoryEmbedding) else vectors).append(given.float())
            elif isinstance(encoder, CategoryEmbedding):
                column = inputs[name]
                assert isinstance(column, Tensor)
                ids.append(column)
                categories.append(encoder)
            else:
                vectors.append(encoder(inputs[name]).float())
        assert not (given_last and ids), "all categories are brought as vectors, or none is"
        vectors += given_last
        tables = [encoder.embedding.weight for encoder in categories]
        if self.training and can_look_up_together(ids, tables):
            vectors.append(look_up(ids, tables))
        else:  # through the modules, since whoever explains or traces a network listens to them
            vectors += [encoder(column) for encoder, column in zip(categories, ids, strict=True)]
        return torch.cat(vectors, dim=1)

    def forward(self, inputs: dict[str, Tensor | Ragged]) -> Tensor:
        return self.from_joined(self.join(inputs))

    def from_joined(self, joined: Tensor) -> Tensor:
        """Return the logits (B, output_dim) of joined vectors (B, D)."""
        logits: Tensor = self.head(self.dropout(self.fusion(joined)))
        return logits
