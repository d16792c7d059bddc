"""Columns of images: encoded files as bytes, or paths of files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import Field
from torch import Tensor

from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence
from luban.core.strict import Positive, same_length
from luban.core.tensors import EncodedColumn, InputSpec, Ragged, TensorKind
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.decoding import decode_cells, shared_zeros
from luban.features.media import UnreadableCellError, is_missing, match_files, sampled_cells

# Only these decoders are ever tried: others call external programs (EPS) or see less care.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"})
MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
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
    max_pixels: int = Field(default=64_000_000, ge=1)


def is_image(content: bytes) -> bool:
    """Tell by the first bytes whether a file is a PNG, JPEG, GIF, WebP, BMP or TIFF image."""
    return content.startswith(MAGICS) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")


def open_image(content: bytes, max_pixels: int) -> Image.Image:
    """Read an image's header; raises UnreadableCellError where it is no image, has no pixels or too many."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        found = sentence("image.too_many", "the image has too many pixels, the limit is {limit:,}", limit=max_pixels)
        raise UnreadableCellError(found) from error
    except UnidentifiedImageError as error:
        damaged = sentence("image.damaged", "the header of the image is damaged, or it has no pixels")
        foreign = sentence("image.foreign", "the file is not a PNG, JPEG, GIF, WebP, BMP or TIFF image")
        raise UnreadableCellError(damaged if is_image(content) else foreign) from error
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableCellError(
            sentence(
                "image.large",
                "the image has {pixels:,} pixels, the limit is {limit:,}",
                pixels=width * height,
                limit=max_pixels,
            )
        )
    return image


def decode_image(content: bytes, size: int, channels: int, max_pixels: int) -> Pixels:
    """Decode an image upright, the first frame of an animated one, into (channels, size, size) uint8.

    Transparency is laid on white. The image is resized with antialiasing: whole where its sides differ by up to 10 %,
    else its central square. Raises UnreadableCellError, and whatever Pillow raises for damaged files.
    """
    image = open_image(content, max_pixels)
    image.draft(None, (DRAFT_MARGIN * size, DRAFT_MARGIN * size))
    ImageOps.exif_transpose(image, in_place=True)
    pixels = np.asarray(_resized(_opaque(image, "L" if channels == 1 else "RGB"), size))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _opaque(image: Image.Image, mode: str) -> Image.Image:
    """Convert any mode to 'L' or 'RGB'."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips to 255 in some releases and shifts in others.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)
    if image.mode in ("I", "F"):
        raise UnreadableCellError(
            sentence("image.range", "the image has 32-bit pixels of unknown range; save it with 8 or 16 bits")
        )
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == mode else image.convert(mode)


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
    colour, which `prepare` turns into zeros.
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

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """Return how surely the cells are image files, or relative paths of some."""
        return match_files(profile, is_image, SUFFIXES)

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: ImageConfig, context: FitContext
    ) -> Self:
        """Learn size, channels and normalisation from up to 5,000 images; raises DataError where none is readable."""
        cells = sampled_cells(frame[columns[0]], SAMPLED_IMAGES)
        size = config.size or _common_size(cells, config.max_pixels, context.folder)
        moments, reason = _Moments(config.channels or 3), "only missing cells"
        for start in range(0, len(cells), SAMPLED_AT_ONCE):
            part = cells[start : start + SAMPLED_AT_ONCE]
            pixels, bad = _decode_all(part, size, moments.channels, config.max_pixels, context.folder)
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
        return cls(name, columns, size, channels, config.max_pixels, mean, std)

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Decode the images on all cores into uint8 (rows, C, size, size)."""
        cells = frame[self.columns[0]].to_list()
        pixels, bad = _decode_all(cells, self.size, self.channels, self.max_pixels, folder)
        blank = [position for position, cell in enumerate(cells) if is_missing(cell)] + list(bad)
        pixels[blank] = np.round(np.array(self.mean) * 255).astype(np.uint8)[:, None, None]
        return Encoded(EncodedColumn(TensorKind.GRID, pixels), bad)

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
            return sentence("learned.images_grey", "images, {size} x {size}, grey", size=self.size)
        return sentence("learned.images_colour", "images, {size} x {size}, colour", size=self.size)


def _common_size(cells: Sequence[object], max_pixels: int, folder: Path | None) -> int:
    """Return the side that all images share, else the median of the shorter sides within bounds."""
    sizes: dict[int, tuple[int, int]] = {}

    def measure(position: int, content: bytes) -> None:
        sizes[position] = open_image(content, max_pixels).size

    decode_cells(cells, range(len(cells)), folder, measure)
    found = set(sizes.values())
    if len(found) == 1:
        width, height = found.pop()
        if width == height:
            return min(width, LARGEST_GUESS)
    shorter = [min(size) for size in sizes.values()] or [SMALLEST_GUESS]
    return int(np.clip(np.median(shorter), SMALLEST_GUESS, LARGEST_GUESS))


def _decode_all(
    cells: Sequence[object], size: int, channels: int, max_pixels: int, folder: Path | None
) -> tuple[Pixels, dict[int, str]]:
    """Decode all cells that are not missing into (rows, channels, size, size); the others stay black."""
    pixels = shared_zeros((len(cells), channels, size, size), np.uint8)

    def decode(position: int, content: bytes) -> None:
        pixels[position] = decode_image(content, size, channels, max_pixels)

    present = [position for position, cell in enumerate(cells) if not is_missing(cell)]
    with warnings.catch_warnings():
        # What Pillow finds odd but can read (a damaged EXIF tag, say) is nothing a user could act on.
        warnings.filterwarnings("ignore", module="PIL")
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
