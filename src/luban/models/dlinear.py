"""DLinear: windows of time series for a linear layer (Zeng et al. 2023, "Are Transformers Effective for Time Series
Forecasting?", arXiv:2205.13504).

Legend: B rows · L steps of a window · D width of a step.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from luban.core.errors import ConfigError
from luban.core.tensors import InputSpec, Ragged
from luban.models.base import Encoder, EncoderConfig


class DLinearConfig(EncoderConfig):
    """kernel: steps of the moving average that is the trend of a window; what is left of the window stands beside it,
    each with weights of its own in the head. 1 leaves the window as it is (with `normalise: last`, NLinear)."""

    architecture: Literal["dlinear"] = "dlinear"
    kernel: int = Field(25, ge=1, le=10_001)


class DLinearEncoder(Encoder):
    """FRAMES (B, L, D), all of one length -> (B, 2 L D), the trend of each window and the rest; it has no weights,
    which all stand in the head."""

    def __init__(self, config: DLinearConfig, spec: InputSpec) -> None:
        super().__init__()
        self.kernel, self.length = config.kernel, spec.length
        self.places_dim = spec.size * (1 if config.kernel == 1 else 2)
        self.output_dim = spec.length * self.places_dim

    def places(self, inputs: Tensor | Ragged) -> Ragged:
        assert isinstance(inputs, Ragged)
        if self.kernel == 1:
            return inputs
        x_BLD = windows_of(inputs, self.length)
        trend_BLD = moving_average(x_BLD, self.kernel)
        return Ragged(torch.cat([trend_BLD, x_BLD - trend_BLD], dim=2).flatten(0, 1), inputs.offsets)

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Ragged)
        return windows_of(places, self.length).transpose(1, 2).flatten(1)


def windows_of(inputs: Ragged, length: int) -> Tensor:
    """Return packed windows of one length as (B, L, D)."""
    return inputs.values.view(len(inputs), length, -1)


def moving_average(x_BLD: Tensor, kernel: int) -> Tensor:
    """Return the mean of `kernel` steps around each; beyond the ends the first and last steps are repeated."""
    front = kernel // 2
    padded_BDL = F.pad(x_BLD.transpose(1, 2), (front, kernel - 1 - front), mode="replicate")
    return F.avg_pool1d(padded_BDL, kernel, stride=1).transpose(1, 2)


def require_windows(spec: InputSpec, architecture: str) -> None:
    """Raise ConfigError where the rows of an input are not of one length."""
    if not spec.length:
        raise ConfigError(
            "model.frames",
            expected="an input of windows of one length, as those of a forecast are",
            found=f"'{spec.name}', whose rows have up to {spec.max_length} steps, for {architecture}",
            action="Choose lstm or gru",
        )


def build_dlinear(config: DLinearConfig, spec: InputSpec) -> Encoder:
    """Build a linear encoder of FRAMES of one length. Raises ConfigError for others."""
    require_windows(spec, config.architecture)
    return DLinearEncoder(config, spec)
