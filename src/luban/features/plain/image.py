"""Plain features of images: directions of edges, brightness and colours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from luban.features.image import Pixels

Floats = npt.NDArray[np.float32]

SIDE = 32  # pixels each way that are looked at
DIRECTIONS, CELL = 9, 8  # of edges; side of a cell in pixels
LARGEST, SMALLEST_POWER = 0.3, 1e-3  # of a direction's share of a block, and in its normalisation
TILES, LEVELS = 4, 8  # each way; of a colour's histogram
# Brightness runs from 0 to 1; few colours are so strong that they differ by more than half of that.
STARTS = (0.0, -0.5, -0.5)
SCALE = 2.0  # measured: at this scale the penalty of the linear model suits them
IMAGES_AT_ONCE = 128  # so that what is computed of them stays in the cache of a processor


@dataclass(frozen=True)
class PlainImages:
    """is_grey: the images that it was learned from have no colour. mean: (D,), of their features."""

    is_grey: bool
    mean: Floats

    def matrix(self, images: Pixels) -> Floats:
        """Return (rows, 264) features, or (rows, 184) where `is_grey`. images: (rows, C, H, W) of 1 or 3 channels."""
        return self.centred(_measured(images, self.is_grey))

    def centred(self, features: Floats) -> Floats:
        features -= self.mean
        features *= SCALE
        return features


def fit_images(images: Pixels) -> tuple[PlainImages, Floats]:
    """Learn from training images, (rows, C, H, W) of 1 or 3 channels; return their own features, too."""
    is_grey = images.shape[1] == 1 or all(bool((part == part[:, :1]).all()) for part in _parts(images))
    features = _measured(images, is_grey)
    fitted = PlainImages(is_grey, features.mean(axis=0))
    return fitted, fitted.centred(features)


def _parts(images: Pixels) -> Iterator[Pixels]:
    return (images[at : at + IMAGES_AT_ONCE] for at in range(0, len(images), IMAGES_AT_ONCE))


def _measured(images: Pixels, is_grey: bool) -> Floats:
    return np.concatenate([_features(part, is_grey) for part in _parts(images)])


def _features(pixels: Pixels, is_grey: bool) -> Floats:
    channels = torch.from_numpy(np.ascontiguousarray(pixels[:, :1] if is_grey else pixels)).float() / 255
    if channels.shape[2:] != (SIDE, SIDE):
        channels = F.interpolate(channels, (SIDE, SIDE), mode="bilinear", antialias=True)
    return torch.cat([edge_directions(channels), colours(channels)], dim=1).numpy()


def edge_directions(images: Tensor) -> Tensor:
    """Return histograms of the directions of edges in cells of 8 x 8 pixels, (rows, 9 * H / 8 * W / 8).

    images: (rows, C, H, W) from 0 to 1; of each pixel the channel with the strongest edge counts. A cell is normalised
    in each of the four blocks of 2 x 2 cells that hold it, and the four are averaged (Dalal and Triggs 2005,
    "Histograms of Oriented Gradients for Human Detection").
    """
    padded = F.pad(images.sqrt(), (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    strength = across.square() + down.square()
    if images.shape[1] > 1:
        strength, strongest = strength.max(dim=1, keepdim=True)
        across, down = across.gather(1, strongest), down.gather(1, strongest)
    angles = (torch.arange(DIRECTIONS) * torch.pi / DIRECTIONS)[:, None, None]
    along = (across * angles.cos() + down * angles.sin()).abs_()
    # What an edge gives a direction falls from its strength to nothing at the next direction.
    nearest = math.cos(torch.pi / DIRECTIONS)
    shares = (along - strength.sqrt() * nearest).clamp_(min=0) / (1 - nearest)
    cells = F.avg_pool2d(shares, CELL)
    power = F.pad(cells.square().sum(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    blocks = (F.avg_pool2d(power, 2, stride=1) * 4 + SMALLEST_POWER).sqrt()
    height, width = cells.shape[2:]
    corners = [blocks[:, :, top : top + height, left : left + width] for top in (0, 1) for left in (0, 1)]
    return torch.stack([(cells / block).clamp(max=LARGEST) for block in corners]).mean(dim=0).flatten(1)


def colours(images: Tensor) -> Tensor:
    """Return mean and standard deviation in 4 x 4 tiles, and histograms over the whole, of brightness, red against
    green, and blue against both, (rows, 120); of grey images those of brightness alone, (rows, 40).

    images: (rows, C, H, W) from 0 to 1, of 1 or 3 channels.
    """
    planes = images if images.shape[1] == 1 else _opponents(images)
    size = images.shape[2] // TILES, images.shape[3] // TILES
    mean = F.avg_pool2d(planes, size)
    spread = (F.avg_pool2d(planes.square(), size) - mean.square()).clamp(min=0).sqrt()
    starts = torch.tensor(STARTS[: planes.shape[1]])[:, None]
    levels = ((planes.flatten(2) - starts) * LEVELS).clamp(0, LEVELS - 1).long()
    counts = torch.zeros(*levels.shape[:2], LEVELS).scatter_add_(2, levels, torch.ones(levels.shape))
    return torch.cat([mean.flatten(1), spread.flatten(1), (counts / levels.shape[2]).sqrt().flatten(1)], dim=1)


def _opponents(images: Tensor) -> Tensor:
    """Return brightness, red against green, and blue against both, (rows, 3, H, W)."""
    red, green, blue = images.unbind(dim=1)
    return torch.stack((0.299 * red + 0.587 * green + 0.114 * blue, red - green, blue - (red + green) / 2), dim=1)
