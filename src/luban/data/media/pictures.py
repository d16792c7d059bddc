"""The one decoder of pictures.

Nothing else opens one: the format is told by the content and is one of six whose decoders start no other program, the
size is checked before a pixel is decoded, and whatever is wrong with a file is an UnreadableCellError.
Shapes: H height, W width, C channels.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from luban.core.sentence import sentence
from luban.data.media.formats import format_of, kind_of
from luban.data.media.quiet import quiet
from luban.data.media.unreadable import UnreadableCellError, decoding

MAX_PIXELS = 64_000_000
TURNS = {  # by what the tag of the orientation says
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION, WHITE_IS_ZERO, PHOTOMETRIC = 0x0112, 0, 262  # tags of EXIF and TIFF
LARGEST_12, LARGEST_16 = 4_095, 65_535
LIMIT_OF_PILLOW = 2  # times `Image.MAX_IMAGE_PIXELS`: what Pillow itself refuses to open

Levels = npt.NDArray[Any]
# By the kind of numbers that pixels are, the levels that are black and white.
Ranges = Mapping[str, tuple[float, float]]
NO_RANGES: Ranges = {}


@dataclass(frozen=True)
class Look:
    """What the header says. depth: `16-bit`, `32-bit` or `float` where a pixel is more than 8 bits, else None."""

    size: tuple[int, int]
    depth: str | None
    has_frames: bool


def look(content: bytes, max_pixels: int = MAX_PIXELS) -> Look:
    """Read what the header of a picture says; raises UnreadableCellError."""
    with quiet():
        image = _open(content, max_pixels)
        with decoding():
            return Look(image.size, _depth(image), bool(getattr(image, "is_animated", False)))


def decode(
    content: bytes,
    mode: str | None,
    max_pixels: int = MAX_PIXELS,
    *,
    ranges: Ranges = NO_RANGES,
    draft: int | None = None,
) -> Image.Image:
    """Decode a picture upright, the first frame of several, to 8 bits; raises UnreadableCellError.

    mode: `L` or `RGB`; None is `L` where the file has no colours. Transparency is laid on white. ranges: of deeper
    pixels, where they are known. draft: a JPEG may be decoded at any size of at least this many pixels a side.
    """
    with quiet():
        image = _open(content, max_pixels)
        with decoding():
            if draft is not None:
                image.draft(None, (draft, draft))
            depth = _depth(image)  # is known from what is still to load
            image.load()
            orientation = _orientation(image)
            if depth is not None:
                image = _scaled(content, image, depth, ranges)
            image = _opaque(image, mode)
            return image if orientation is None else image.transpose(TURNS[orientation])


def levels_of(content: bytes, max_pixels: int = MAX_PIXELS) -> Levels:
    """Return the numbers that the pixels of a deep picture are, without transparency: (H, W) or (H, W, 3)."""
    with quiet():
        image = _open(content, max_pixels)
        with decoding():
            levels = _levels(content, image)
            return levels[..., :3] if levels.ndim == 3 else levels


def _open(content: bytes, max_pixels: int) -> Image.Image:
    """Read a picture's header; raises UnreadableCellError where it is no picture, has no pixels or too many."""
    name = format_of(content)
    if name is None:
        foreign = sentence("image.foreign", "the file is not a PNG, JPEG, GIF, WebP, BMP or TIFF image")
        raise UnreadableCellError(foreign)
    if kind_of(content) != "image":
        known = sentence(
            "image.other", "the file is {format}, not a PNG, JPEG, GIF, WebP, BMP or TIFF image", format=name
        )
        raise UnreadableCellError(known)
    with decoding():
        image = _identified(content, name, max_pixels)
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


def _identified(content: bytes, name: str, max_pixels: int) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=(name,))
    except UnidentifiedImageError as error:
        damaged = sentence("image.damaged", "the header of the image is damaged, or it has no pixels")
        raise UnreadableCellError(damaged) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = min(max_pixels, LIMIT_OF_PILLOW * (Image.MAX_IMAGE_PIXELS or max_pixels))
        found = sentence("image.too_many", "the image has too many pixels, the limit is {limit:,}", limit=limit)
        raise UnreadableCellError(found) from error


def _orientation(image: Image.Image) -> int | None:
    """Return how the camera was held, where the file says so; None where what it says is damaged."""
    try:
        found = image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001  # the reader of damaged tags raises whatever it stumbles over
        return None
    return found if isinstance(found, int) and found in TURNS else None


def _depth(image: Image.Image) -> str | None:
    if image.mode.startswith("I;16"):
        return "16-bit"
    if image.mode in ("I", "F"):
        return "32-bit" if image.mode == "I" else "float"
    return "16-bit" if image.mode in ("RGB", "RGBA") and any(_is_16_bits(tile) for tile in _tiles(image)) else None


def _tiles(image: Image.Image) -> list[Any]:
    return list(getattr(image, "tile", ()))


def _raw_mode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0])


def _is_16_bits(tile: Any) -> bool:
    return _raw_mode(tile).endswith((";16B", ";16L", ";16N"))


def _levels(content: bytes, image: Image.Image) -> Levels:
    """Return the numbers that the pixels are, (H, W) or (H, W, 3 or 4) with the transparency."""
    if image.mode in ("RGB", "RGBA"):
        again = Image.open(io.BytesIO(content), formats=(image.format or "",))
        tiles = _tiles(again)
        if any(_raw_mode(tile).startswith("LA") for tile in tiles):
            again.tile = [
                tile._replace(args="RGBA") for tile in tiles
            ]  # the two bytes of a grey level, and of its alpha
            high_and_low = np.asarray(again).astype(np.uint16)
            grey_and_alpha: Levels = high_and_low[..., ::2] * 256 + high_and_low[..., 1::2]
            return grey_and_alpha[..., [0, 0, 0, 1]]
        again.tile = [_low_bytes(tile) for tile in tiles]
        both: Levels = np.asarray(image).astype(np.uint16) * 256 + np.asarray(again)
        return both
    levels = np.asarray(image)
    tags = getattr(image, "tag_v2", None)
    if image.mode.startswith("I;16") and tags is not None and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        levels = LARGEST_16 - levels
    return levels


def _low_bytes(tile: Any) -> Any:
    """Return what decodes the low byte of each 16-bit level, in place of the high one: Pillow keeps only one of both,
    the one that it takes to be high."""
    raw = _raw_mode(tile)
    order = "L" if raw.endswith("B") or (raw.endswith("N") and sys.byteorder == "big") else "B"
    turned = raw[:-1] + order
    return tile._replace(args=turned if isinstance(tile.args, str) else (turned, *tile.args[1:]))


def _scaled(content: bytes, image: Image.Image, depth: str, ranges: Ranges) -> Image.Image:
    """Return a deep picture in 8 bits: its range becomes 0 to 255, and what is beyond it black or white."""
    span = ranges.get(depth)
    if span is None and depth != "16-bit":
        raise UnreadableCellError(
            sentence("image.range", "the image has 32-bit pixels of unknown range; save it with 8 or 16 bits")
        )
    levels = _levels(content, image)
    colours = levels[..., :3] if levels.ndim == 3 else levels
    if span is None and 0 < (largest := int(colours.max())) <= LARGEST_12:
        found = sentence(
            "image.dark",
            "the image has levels of 16 bits up to {largest:,}, and no such image was trained on; save it with 8 bits",
            largest=largest,
        )
        raise UnreadableCellError(found)
    pixels = (colours >> 8).astype(np.uint8) if span is None else to_bytes(colours, span)
    if levels.ndim == 3 and levels.shape[2] == 4:
        pixels = np.concatenate([pixels, (levels[..., 3:] >> 8).astype(np.uint8)], axis=2)
    return Image.fromarray(pixels)


def to_bytes(levels: Levels, span: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Scale levels so that those of `span` are 0 and 255; what is no number is black."""
    if levels.dtype == np.uint16:  # a table takes less memory than the numbers of all pixels
        table: npt.NDArray[np.uint8] = to_bytes(np.arange(LARGEST_16 + 1.0), span)[levels]
        return table
    low, high = span
    with np.errstate(all="ignore"):  # of numbers near the largest there are
        shares = (levels.astype(np.float64) - low) / ((high - low) or 1.0)
    return np.round(np.nan_to_num(shares, nan=0.0).clip(0, 1) * 255).astype(np.uint8)


def _opaque(image: Image.Image, mode: str | None) -> Image.Image:
    """Convert any mode of 8 bits to 'L' or 'RGB', transparency laid on white."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        wanted = mode or ("L" if image.mode in ("L", "LA", "1") else "RGB")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    else:
        wanted = mode or ("L" if image.mode in ("1", "L") else "RGB")
    return image if image.mode == wanted else image.convert(wanted)
