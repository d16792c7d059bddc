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
    """Turns one input into one vector a row: Tensor (B, ...) or Ragged (N, ...) -> (B, output_dim)."""

    output_dim: int

    def forward(self, inputs: Tensor | Ragged) -> Tensor:
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
