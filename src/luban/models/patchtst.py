"""PatchTST: a transformer over patches of windows of time series (Nie et al. 2023, "A Time Series is Worth 64 Words",
arXiv:2211.14730).

Legend: B rows · L steps of a window · P patches of a window · N packed patches · D width
"""

from __future__ import annotations

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from luban.core.settings import MOST_LAYERS, Probability, Width
from luban.core.tensors import InputSpec, Ragged
from luban.models.base import Encoder, EncoderConfig
from luban.models.dlinear import require_windows, windows_of
from luban.models.dropout import Dropout
from luban.models.packing import Packing
from luban.models.transformer import Layer, TransformerConfig


class PatchTSTConfig(EncoderConfig):
    """patch: steps of a patch, one every `stride` steps. width, layers, heads, ffn: of the transformer over them, whose
    layers normalise before each sub-layer. dropout: on patches, and in each layer."""

    architecture: Literal["patchtst"] = "patchtst"
    patch: int = Field(16, ge=1, le=10_000)
    stride: int = Field(8, ge=1, le=10_000)
    layers: int = Field(3, ge=1, le=MOST_LAYERS)
    width: Width = 16
    heads: Width = 4
    ffn: Width | None = 128
    dropout: Probability = 0.3

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads: {self.width} is no multiple of {self.heads}")
        return self


class PatchTSTEncoder(Encoder):
    """FRAMES (B, L, D), all of one length -> (B, P * width), the states of the patches side by side. The last step is
    repeated `stride` times, so that each step stands in a patch."""

    def __init__(self, config: PatchTSTConfig, spec: InputSpec) -> None:
        super().__init__()
        self.length = spec.length
        self.patch, self.stride = min(config.patch, spec.length), config.stride
        count = (spec.length + self.stride - self.patch) // self.stride + 1
        self.project = nn.Linear(self.patch * spec.size, config.width)
        self.positions = nn.Parameter(torch.empty(count, config.width).uniform_(-0.02, 0.02))
        inner = TransformerConfig(
            layers=config.layers, width=config.width, heads=config.heads, ffn=config.ffn, dropout=config.dropout
        )
        self.layers = nn.ModuleList(Layer(inner) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.dropout = Dropout(config.dropout)
        self.places_dim, self.output_dim = config.width, count * config.width
        self.count = count

    def places(self, inputs: Tensor | Ragged) -> Ragged:
        assert isinstance(inputs, Ragged)
        x_BDL = F.pad(windows_of(inputs, self.length).transpose(1, 2), (0, self.stride), mode="replicate")
        patches_BDPK = x_BDL.unfold(2, self.patch, self.stride)
        patches_BPX = patches_BDPK.transpose(1, 2).flatten(2)
        x_BPD = self.dropout(self.project(patches_BPX) + self.positions)
        offsets = torch.arange(len(inputs) + 1) * self.count
        packing = Packing(offsets, x_BPD.device)
        x_ND: Tensor = x_BPD.flatten(0, 1)
        for layer in self.layers:
            x_ND = layer(x_ND, packing)
        return Ragged(self.norm(x_ND), offsets)

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Ragged)
        return windows_of(places, self.count).flatten(1)


def build_patchtst(config: PatchTSTConfig, spec: InputSpec) -> Encoder:
    """Build a transformer over patches of FRAMES of one length. Raises ConfigError for others."""
    require_windows(spec, config.architecture)
    return PatchTSTEncoder(config, spec)
