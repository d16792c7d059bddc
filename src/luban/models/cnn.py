"""Convolutional networks for images and for text.

Legend: B rows · C channels · H, W height and width · N packed tokens · T time · D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from luban.core.errors import ConfigError
from luban.core.settings import MOST_LAYERS, Probability, Width
from luban.core.tensors import InputSpec, Ragged, TensorKind
from luban.models.base import Encoder, EncoderConfig
from luban.models.dropout import Dropout
from luban.models.mlp import ACTIVATIONS, MLP, Activation

LARGEST_KERNEL = 1_024
STEM_SIDE = 64  # larger images are halved by strided convolutions before the first stage until they fit


class LeNetConfig(EncoderConfig):
    """Convolutions with pooling, then a dense layer (LeCun et al., 1998), at the size of the well-known digit network:
    5x5x32, pool, 5x5x64, pool, dense 1024.

    dropout: after the dense layer.
    """

    architecture: Literal["lenet"] = "lenet"
    channels: tuple[Width, ...] = Field(default=(32, 64), min_length=1, max_length=MOST_LAYERS)
    kernel_size: int = Field(default=5, ge=1, le=LARGEST_KERNEL)
    pool: int = Field(default=2, ge=1, le=LARGEST_KERNEL)
    hidden: Width = 1024
    dropout: Probability = 0.4
    activation: Activation = "relu"


class ResNetConfig(EncoderConfig):
    """A small residual network in the manner of David Page's ResNet-9 (DAWNBench, 2018), narrow enough for a CPU.

    stem: channels of the first convolution. channels, blocks: of each stage its width and how many residual blocks it
    has; each stage halves the image.
    """

    architecture: Literal["resnet"] = "resnet"
    stem: Width = 16
    channels: tuple[Width, ...] = Field(default=(64, 128, 256), min_length=1, max_length=MOST_LAYERS)
    blocks: tuple[Annotated[int, Field(ge=0, le=MOST_LAYERS)], ...] = (1, 1, 0)

    @model_validator(mode="after")
    def _one_number_a_stage(self) -> Self:
        if len(self.blocks) != len(self.channels):
            raise ValueError(
                f"expected a number of blocks for each of the {len(self.channels)} stages in channels, "
                f"found {len(self.blocks)}"
            )
        return self


class TextCNNConfig(EncoderConfig):
    """Convolutions over a text, each reduced to its maximum over time (Kim, 2014).

    dim: width of a token's embedding. widths: tokens under a filter. channels: filters of each width. dropout: on the
    result.
    """

    architecture: Literal["textcnn"] = "textcnn"
    dim: Width = 128
    widths: tuple[Annotated[int, Field(ge=1, le=LARGEST_KERNEL)], ...] = Field(
        default=(2, 3, 4, 5), min_length=1, max_length=MOST_LAYERS
    )
    channels: Width = 128
    dropout: Probability = 0.5


class LeNet(Encoder):
    """GRID (B, C, H, W) -> (B, hidden)."""

    def __init__(self, config: LeNetConfig, spec: InputSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in, channels_out in pairwise((spec.size, *config.channels)):
            layers += [
                nn.Conv2d(channels_in, channels_out, config.kernel_size, padding="same"),
                ACTIVATIONS[config.activation](),
                nn.MaxPool2d(config.pool),
            ]
        self.layers = nn.Sequential(*layers)
        shrunk = config.pool ** len(config.channels)
        height, width = spec.height // shrunk, spec.width // shrunk
        if height * width == 0:
            raise ConfigError(
                f"input '{spec.name}', architecture 'lenet'",
                expected=f"images of at least {shrunk} x {shrunk} pixels for {len(config.channels)} poolings",
                found=f"{spec.height} x {spec.width}",
                action="Set a larger size for the images, or fewer channels or a smaller pool for the model",
            )
        self.dense = MLP(config.channels[-1] * height * width, (config.hidden,), config.activation, config.dropout)
        self.output_dim, self.places_dim = config.hidden, config.channels[-1]
        # The kernels are twice as fast in this order; grey images alone do not tell that it is meant.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def places(self, inputs: Tensor | Ragged) -> Tensor:
        assert isinstance(inputs, Tensor)
        maps_BCHW: Tensor = self.layers(inputs)
        return maps_BCHW

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Tensor)
        out_BD: Tensor = self.dense(places.flatten(1))
        return out_BD


class ConvNorm(nn.Sequential):
    """Convolution 3x3, optional 2x2 max pooling, batch norm, ReLU: (B, C, H, W) -> (B, channels_out, H', W')."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int = 1, pool: bool = False) -> None:
        layers: list[nn.Module] = [nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)]
        if pool:
            # Before norm and activation, which then cost a quarter. Rounded up, so that a map of one pixel stays.
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        super().__init__(*layers, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """x + two convolutions of x (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(ConvNorm(channels, channels), ConvNorm(channels, channels))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out: Tensor = x_BCHW + self.convolutions(x_BCHW)
        return out


class ResNet(Encoder):
    """GRID (B, C, H, W) -> (B, channels of the last stage), the maximum over the last map."""

    def __init__(self, config: ResNetConfig, spec: InputSpec) -> None:
        super().__init__()
        halvings = max(0, math.ceil(math.log2(min(spec.height, spec.width) / STEM_SIDE)))
        layers: list[nn.Module] = [ConvNorm(spec.size, config.stem, stride=2 if halvings else 1)]
        layers += [ConvNorm(config.stem, config.stem, stride=2) for _ in range(halvings - 1)]
        widths = [config.stem, *config.channels]
        for width_in, width_out, blocks in zip(widths[:-1], config.channels, config.blocks, strict=True):
            layers.append(ConvNorm(width_in, width_out, pool=True))
            layers += [Residual(width_out) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.output_dim = self.places_dim = config.channels[-1]
        # As in LeNet.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def places(self, inputs: Tensor | Ragged) -> Tensor:
        assert isinstance(inputs, Tensor)
        maps_BCHW: Tensor = self.layers(inputs.contiguous(memory_format=torch.channels_last))
        return maps_BCHW

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Tensor)
        return places.amax(dim=(2, 3))


class TextCNN(Encoder):
    """TOKENS (N,) or (N, 2), of which the first column counts -> (B, channels of all widths).

    Each row is padded with zeros to the right by one filter less a token, whatever the batch, so that a text shorter
    than a filter has a result and a row's vector does not depend on the others. A row of length 0 gives zeros.
    """

    def __init__(self, config: TextCNNConfig, spec: InputSpec) -> None:
        super().__init__()
        self.embedding = nn.Embedding(spec.size, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        self.convolutions = nn.ModuleList(nn.Conv1d(config.dim, config.channels, width) for width in config.widths)
        self.dropout = Dropout(config.dropout)
        self.output_dim = self.places_dim = config.channels * len(config.widths)

    def forward(self, inputs: Tensor | Ragged) -> Tensor:  # as pool(places(inputs)), with no map of all filters
        assert isinstance(inputs, Ragged)
        maxima = [map_BCT.amax(dim=2) for map_BCT in self.maps(inputs)] if len(inputs.values) else []
        if not maxima:
            return self.embedding.weight.new_zeros(len(inputs), self.output_dim)
        out_BD: Tensor = self.dropout(torch.cat(maxima, dim=1))
        return out_BD

    def maps(self, inputs: Ragged) -> Iterator[Tensor]:
        """Yield what the filters of each width find, (B, channels, T): at the token where their window begins."""
        values = inputs.values[:, 0] if inputs.values.ndim == 2 else inputs.values
        x_ND: Tensor = self.embedding(values)
        x_BDT = pad_sequence(list(torch.split(x_ND, inputs.lengths.tolist())), batch_first=True).transpose(1, 2)
        padding_B1T = ~_filled(inputs.lengths, x_BDT.shape[2]).to(x_BDT.device)[:, None]
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv1d)
            y_BCT = convolution(functional.pad(x_BDT, (0, convolution.kernel_size[0] - 1)))
            # 0 is the lowest value after the ReLU, hence also the maximum of a row that has no tokens.
            yield functional.relu(y_BCT).masked_fill(padding_B1T, 0.0)

    def places(self, inputs: Tensor | Ragged) -> Ragged:
        assert isinstance(inputs, Ragged)
        if not len(inputs.values):
            return Ragged(self.embedding.weight.new_zeros(0, self.places_dim), inputs.offsets)
        maps_BTC = torch.cat(list(self.maps(inputs)), dim=1).transpose(1, 2)
        return Ragged(maps_BTC[_filled(inputs.lengths, maps_BTC.shape[1]).to(maps_BTC.device)], inputs.offsets)

    def pool(self, places: Tensor | Ragged) -> Tensor:
        assert isinstance(places, Ragged)
        rows = torch.split(places.values, places.lengths.tolist())
        maxima = [row.amax(dim=0) if len(row) else row.sum(dim=0) for row in rows]
        out_BD: Tensor = self.dropout(torch.stack(maxima))
        return out_BD

    @property
    def token_embedding(self) -> nn.Module:
        return self.embedding


def _filled(lengths: Tensor, longest: int) -> Tensor:
    """(B, T): whether a place of the grid of padded rows holds a token."""
    return torch.arange(longest) < lengths[:, None]


def build_lenet(config: LeNetConfig, spec: InputSpec) -> Encoder:
    """Build a LeNet of a GRID input; raises ConfigError where the images are too small for its poolings."""
    assert spec.kind is TensorKind.GRID
    return LeNet(config, spec)


def build_resnet(config: ResNetConfig, spec: InputSpec) -> Encoder:
    """Build a residual network of a GRID input of any size."""
    assert spec.kind is TensorKind.GRID
    return ResNet(config, spec)


def build_textcnn(config: TextCNNConfig, spec: InputSpec) -> Encoder:
    """Build a convolutional encoder of a TOKENS input."""
    assert spec.kind is TensorKind.TOKENS
    return TextCNN(config, spec)
