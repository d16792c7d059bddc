"""Random changes to whole batches of images and of categories, drawn from a given generator.

Legend: B rows · C channels · H, W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from luban.core.errors import ConfigError
from luban.core.settings import Settings
from luban.core.tensors import Ragged
from luban.features.image import LARGEST_SIZE


class AugmentConfig(Settings):
    """Settings of augmentation; each image of a batch is changed on its own.

    flip: mirror every second image, left to right. crop: shift by up to so many pixels. cutout: side of a square that
    is blanked, in pixels; 0 switches either off.
    """

    flip: bool = False
    crop: int = Field(default=0, ge=0, le=LARGEST_SIZE)
    cutout: int = Field(default=0, ge=0, le=LARGEST_SIZE)


def augment(images_BCHW: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Apply what the configuration asks for; the same generator state gives the same images on every device.

    Raises ConfigError where the crop is as large as the images.
    """
    if config.flip:
        images_BCHW = random_flip(images_BCHW, generator)
    if config.crop:
        images_BCHW = random_crop(images_BCHW, config.crop, generator)
    if config.cutout:
        images_BCHW = random_cutout(images_BCHW, config.cutout, generator)
    return images_BCHW


def with_unknown(
    inputs: dict[str, Tensor | Ragged], shares: Mapping[str, tuple[float, float]], generator: torch.Generator
) -> dict[str, Tensor | Ragged]:
    """Replace some ids (B,) of categories by those of a missing one, 0, and of an unseen one, 1, whose vectors are
    learned so. shares: of both, by input."""
    changed = dict(inputs)
    for name, (missing, unseen) in shares.items():
        ids_B = inputs[name]
        assert isinstance(ids_B, Tensor)
        draw_B = torch.rand(len(ids_B), generator=generator).to(ids_B.device)
        changed[name] = ids_B.masked_fill(draw_B < missing + unseen, 1).masked_fill(draw_B < missing, 0)
    return changed


def random_flip(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half."""
    chosen_B = torch.randint(2, (len(images_BCHW),), generator=generator).bool()
    return flip(images_BCHW, chosen_B.to(images_BCHW.device))


def flip(images_BCHW: Tensor, chosen_B: Tensor) -> Tensor:
    """Mirror the chosen images left to right."""
    return torch.where(chosen_B[:, None, None, None], images_BCHW.flip(-1), images_BCHW)


def random_crop(images_BCHW: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `pixels` in both directions: what padding on all sides and cropping at random does."""
    height, width = images_BCHW.shape[-2:]
    if pixels >= min(height, width):
        raise ConfigError(
            "train.augment.crop",
            expected=f"fewer pixels than the images have ({height} x {width})",
            found=str(pixels),
            action="Choose about an eighth of the images' side",
        )
    shifts_B2 = torch.randint(-pixels, pixels + 1, (len(images_BCHW), 2), generator=generator)
    return shift(images_BCHW, shifts_B2.to(images_BCHW.device))


def shift(images_BCHW: Tensor, shifts_B2: Tensor) -> Tensor:
    """Let each image begin `shifts` pixels (down, right) later; what lies outside is its mirror image at the edge."""
    height, width = images_BCHW.shape[-2:]
    rows_BH = _reflected(shifts_B2[:, :1] + torch.arange(height, device=shifts_B2.device), height)
    columns_BW = _reflected(shifts_B2[:, 1:] + torch.arange(width, device=shifts_B2.device), width)
    images_BCHW = images_BCHW.gather(2, rows_BH[:, None, :, None].expand(images_BCHW.shape))
    return images_BCHW.gather(3, columns_BW[:, None, None, :].expand(images_BCHW.shape))


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Fold positions back into [0, size) without repeating the edge, as `reflect` padding does."""
    return size - 1 - (size - 1 - positions.abs()).abs()


def random_cutout(images_BCHW: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set a square around a random pixel of each image to 0, clipped at the edges (DeVries & Taylor, 2017)."""
    height, width = images_BCHW.shape[-2:]
    tops_B = torch.randint(height, (len(images_BCHW),), generator=generator) - side // 2
    lefts_B = torch.randint(width, (len(images_BCHW),), generator=generator) - side // 2
    rows_BH = _inside(tops_B, side, height)[:, None, :, None]
    columns_BW = _inside(lefts_B, side, width)[:, None, None, :]
    return images_BCHW.masked_fill((rows_BH & columns_BW).to(images_BCHW.device), 0)


def _inside(starts_B: Tensor, side: int, size: int) -> Tensor:
    """Tell for each of `size` positions whether it is one of the `side` after the start."""
    distance = torch.arange(size) - starts_B[:, None]
    return (distance >= 0) & (distance < side)
