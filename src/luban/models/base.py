"""What every architecture is: a configuration, and an encoder from one input to one vector a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from luban.core.settings import Settings
from luban.core.tensors import InputSpec, Ragged, TensorKind


class EncoderConfig(Settings):
    """Settings of an architecture; each subclass has `architecture: Literal["its name"] = "its name"`."""

    architecture: str


class Encoder(nn.Module):
    """Turns one input into a state for each of its places, and those into one vector a row.

    output_dim: of the vectors (B, output_dim). places_dim: of the states, Ragged (N, places_dim) of tokens and frames
    or (B, places_dim, H, W) of grids; an input without places has its vector (B, output_dim) as the only one.
    """

    output_dim: int
    places_dim: int

    def forward(self, inputs: Tensor | Ragged) -> Tensor:
        return self.pool(self.places(inputs))

    def places(self, inputs: Tensor | Ragged) -> Tensor | Ragged:
        """Return the states of the places of an input, Tensor (B, ...) or Ragged (N, ...)."""
        raise NotImplementedError

    def pool(self, places: Tensor | Ragged) -> Tensor:
        """Reduce the states of each row to one vector, (B, output_dim)."""
        raise NotImplementedError

    @property
    def token_embedding(self) -> nn.Module:
        """Of encoders of TOKENS: the module that turns ids (N,) into vectors (N, D)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Architecture:
    """A row of MODELS. build(config, spec) makes an untrained encoder for one input."""

    name: str
    kinds: frozenset[TensorKind]
    config_type: type[EncoderConfig]
    build: Callable[[Any, InputSpec], Encoder]
