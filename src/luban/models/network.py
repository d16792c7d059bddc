"""The whole network: an encoder for each input, their vectors joined, a head for the task."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from luban.core.errors import ConfigError
from luban.core.tensors import InputSpec, Ragged
from luban.models.base import Encoder
from luban.models.choice import ARCHITECTURES, AnyModel, NetworkConfig
from luban.models.dropout import Dropout
from luban.models.lookup import can_look_up_together, look_up
from luban.models.mlp import MLP, Activation, CategoryEmbedding
from luban.models.pretrained import PretrainedConfig


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
    encoders = {spec.name: config.encoder(spec.kind) for spec in specs}
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
