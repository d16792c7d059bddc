"""Columns of images: encoded files as bytes, or paths of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence
from luban.core.strict import Positive, Share, same_length
from luban.core.tensors import EncodedColumn, InputSpec, Ragged, TensorKind
from luban.data.media import pictures
from luban.data.media.cells import is_missing
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.decoding import decode_cells, shared_zeros
from luban.features.learned import clauses
from luban.features.levels import see
from luban.features.media import match_files, sampled_cells

MOST_PIXELS = 10**9  # of an image that anybody can decode
SAMPLED_IMAGES = 5_000
SAMPLED_AT_ONCE = 256
SMALLEST_GUESS, LARGEST_GUESS = 32, 224
STRETCHED_RATIO = 1.1  # up to this ratio of the sides an image is resized whole, beyond it the middle is cut out
DRAFT_MARGIN = 2  # a JPEG is decoded at no less than this multiple of the size, so that the resize still antialiases
LARGEST_SIZE = 2048
SMALLEST_STD = 1 / 255

Pixels = npt.NDArray[np.uint8]


class ImageConfig(FeatureConfig):
    """Settings of image columns.

    size: side of the square in pixels; None takes the images' own where all are alike and square, else the median of
    their shorter sides within 32 to 224. channels: 1 or 3; None is 1 where all images are grey. max_pixels: larger
    images are not decoded.
    """

    size: int | None = Field(default=None, ge=1, le=LARGEST_SIZE)
    channels: Literal[1, 3] | None = None
    max_pixels: int = Field(default=pictures.MAX_PIXELS, ge=1, le=MOST_PIXELS)


def decode_image(
    content: bytes, size: int, channels: int, max_pixels: int, ranges: pictures.Ranges = pictures.NO_RANGES
) -> Pixels:
    """Decode an image upright, the first frame of an animated one, into (channels, size, size) uint8.

    Transparency is laid on white. The image is resized with antialiasing: whole where its sides differ by up to 10 %,
    else its central square. ranges: of pixels deeper than 8 bits. Raises UnreadableCellError.
    """
    mode = "L" if channels == 1 else "RGB"
    image = pictures.decode(content, mode, max_pixels, ranges=ranges, draft=DRAFT_MARGIN * size)
    pixels = np.asarray(_resized(image, size))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _resized(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    if width == height == size:
        return image
    if max(width, height) <= STRETCHED_RATIO * min(width, height):
        return image.resize((size, size), Image.Resampling.BILINEAR)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


@dataclass(frozen=True)
class ImageFeature(Feature):
    """One column of images as squares of uint8; `prepare` normalises each channel.

    mean, std: of each channel over the training images, in units where white is 1. A missing image is of the mean
    colour, which `prepare` turns into zeros. ranges: by depth, the levels that are black and white where pixels are
    deeper than 8 bits. frames: the share of the files with several frames or pages, of which the first is read. absent:
    whether a missing image is told from one of the mean colour, as runs of earlier versions do not.
    """

    kind: ClassVar[str] = "image"
    tensor_kind: ClassVar[TensorKind] = TensorKind.GRID
    config_type: ClassVar[type[FeatureConfig]] = ImageConfig

    name: str
    columns: tuple[str, ...]
    size: Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
    channels: Literal[1, 3]
    max_pixels: Annotated[int, Field(ge=1)]
    mean: list[float]
    std: list[Positive]
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    frames: Share = 0.0
    absent: bool = False

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """Return how surely the cells are image files, or relative paths of some."""
        return match_files(profile, cls.kind)

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: ImageConfig, context: FitContext
    ) -> Self:
        """Learn size, channels and normalisation from up to 5,000 images; raises DataError where none is readable."""
        cells = sampled_cells(frame[columns[0]], SAMPLED_IMAGES)
        seen = see(cells, context.folder, config.max_pixels)
        size = config.size or _common_size(seen.sizes)
        moments, reason = _Moments(config.channels or 3), "only missing cells"
        for start in range(0, len(cells), SAMPLED_AT_ONCE):
            part = cells[start : start + SAMPLED_AT_ONCE]
            pixels, bad = _decode_all(part, size, moments.channels, config.max_pixels, seen.ranges, context.folder)
            moments.add(np.delete(pixels, list(bad), axis=0))
            reason = next(iter(bad.values()), reason)
        if moments.count == 0:
            raise DataError(
                f"column '{columns[0]}'",
                expected="images",
                found=f"none that can be read: {reason}",
                action="Check the files, and that their paths start in the folder of the table",
            )
        channels = config.channels or (1 if moments.all_grey else 3)
        mean, std = moments.normalisation(channels)
        return cls(name, columns, size, channels, config.max_pixels, mean, std, seen.ranges, seen.frames, True)

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Decode the images on all cores into uint8 (rows, C, size, size); one that is missing or unreadable is
        absent."""
        cells = frame[self.columns[0]].to_list()
        pixels, bad = _decode_all(cells, self.size, self.channels, self.max_pixels, self.ranges, folder)
        blank = [position for position, cell in enumerate(cells) if is_missing(cell)] + list(bad)
        pixels[blank] = np.round(np.array(self.mean) * 255).astype(np.uint8)[:, None, None]
        absent = np.isin(np.arange(len(cells)), blank) if self.absent else None
        return Encoded(EncodedColumn(TensorKind.GRID, pixels, absent=absent), bad)

    def prepare(self, stored: Tensor | Ragged) -> Tensor:
        """Normalise uint8 (B, C, H, W) to float32 with mean 0 and standard deviation 1 in each channel."""
        assert isinstance(stored, Tensor)
        if stored.device not in self._constants:
            scale = 1 / (255 * torch.tensor(self.std, device=stored.device))
            shift = torch.tensor(self.mean, device=stored.device) * 255 * scale
            self._constants[stored.device] = scale[:, None, None], shift[:, None, None]
        scale, shift = self._constants[stored.device]
        return stored.float().mul_(scale).sub_(shift)

    @cached_property
    def _constants(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        """Scale and shift of each channel, (C, 1, 1), on the devices that have asked: six small operations a batch."""
        return {}

    def spec(self) -> InputSpec:
        return InputSpec(self.name, TensorKind.GRID, self.channels, height=self.size, width=self.size)

    def state(self) -> dict[str, Any]:
        return asdict(self)

    def check_state(self) -> None:
        same_length(channels=range(self.channels), mean=self.mean, std=self.std)

    def describe(self) -> Sentence:
        if self.channels == 1:
            size = sentence("learned.images_grey", "images, {size} x {size}, grey", size=self.size)
        else:
            size = sentence("learned.images_colour", "images, {size} x {size}, colour", size=self.size)
        deep = [
            sentence(
                "learned.images_levels",
                "{depth} levels {low:g} to {high:g} are black to white",
                depth=depth,
                low=low,
                high=high,
            )
            for depth, (low, high) in self.ranges.items()
        ]
        frames = sentence(
            "learned.images_frames",
            "{share:.0%} of the files have several frames, of which the first is read",
            share=self.frames,
        )
        return clauses([size, *deep, frames if self.frames else None]) if deep or self.frames else size


def _common_size(sizes: Sequence[tuple[int, int]]) -> int:
    """Return the side that all images share, else the median of the shorter sides within bounds."""
    found = set(sizes)
    if len(found) == 1:
        width, height = found.pop()
        if width == height:
            return min(width, LARGEST_GUESS)
    shorter = [min(size) for size in sizes] or [SMALLEST_GUESS]
    return int(np.clip(np.median(shorter), SMALLEST_GUESS, LARGEST_GUESS))


def _decode_all(
    cells: Sequence[object], size: int, channels: int, max_pixels: int, ranges: pictures.Ranges, folder: Path | None
) -> tuple[Pixels, dict[int, str]]:
    """Decode all cells that are not missing into (rows, channels, size, size); the others stay black."""
    pixels = shared_zeros((len(cells), channels, size, size), np.uint8)

    def decode(position: int, content: bytes) -> None:
        pixels[position] = decode_image(content, size, channels, max_pixels, ranges)

    present = [position for position, cell in enumerate(cells) if not is_missing(cell)]
    return pixels, decode_cells(cells, present, folder, decode, is_shared=True)


@dataclass
class _Moments:
    """Running sums over uint8 images (B, channels, H, W)."""

    channels: int
    count: int = 0  # pixels
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    squares: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    all_grey: bool = True

    def add(self, pixels: Pixels) -> None:
        levels = np.arange(256.0)
        self.count += pixels[:, 0].size
        grey = bool((pixels == pixels[:, :1]).all())
        self.all_grey = self.all_grey and grey
        for channel in range(1 if grey else self.channels):
            counts = np.bincount(pixels[:, channel].ravel(), minlength=256)
            alike = slice(0, self.channels) if grey else channel
            self.sums[alike] += counts @ levels
            self.squares[alike] += counts @ levels**2

    def normalisation(self, channels: int) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of the first channels, where white is 1."""
        mean = self.sums[:channels] / self.count / 255
        variance = self.squares[:channels] / self.count / 255**2 - mean**2
        return mean.tolist(), np.sqrt(variance.clip(SMALLEST_STD**2)).tolist()
