"""Images made small, once for all checks that look at them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from luban.audit.subject import Subject
from luban.data.media.cells import is_missing
from luban.data.media.pictures import MAX_PIXELS, Ranges
from luban.data.table import Table
from luban.features.decoding import Reasons, decode_cells, shared_zeros
from luban.features.image import Pixels, decode_image
from luban.features.levels import see
from luban.features.media import sampled_cells
from luban.features.plain.image import IMAGES_AT_ONCE, SIDE

SAMPLED_RANGES = 256  # images
MAX_IMAGES = 200_000  # that are looked at: 0.6 GB


def small_images(subject: Subject, column: str, table: Table | None = None) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Return (rows, 3, 32, 32) and (rows,) which could be read; the others are black. table: instead of the audited."""
    table = subject.table if table is None else table
    key = _key(table, column)
    if key not in subject.cache:
        cells = table.frame[column].head(MAX_IMAGES).to_list()
        ranges = _ranges(subject, column)
        pixels = shared_zeros((len(table), 3, SIDE, SIDE), np.uint8)
        is_read = shared_zeros((len(table),), np.bool_)

        def decode(position: int, content: bytes) -> None:
            pixels[position] = decode_image(content, SIDE, 3, MAX_PIXELS, ranges)
            is_read[position] = True

        present = [at for at, cell in enumerate(cells) if not is_missing(cell)]
        subject.cache[f"{key} unread"] = decode_cells(cells, present, table.folder, decode, is_shared=True)
        subject.cache[key] = pixels, is_read
    found: tuple[Pixels, npt.NDArray[np.bool_]] = subject.cache[key]
    return found


def thumbnails(pixels: Pixels, side: int) -> npt.NDArray[np.float32]:
    """Return images averaged down to at most `side` pixels each way, (rows, C * h * w), from 0 to 1."""
    height, width = (min(size, side) for size in pixels.shape[2:])
    shrunk = np.empty((len(pixels), pixels.shape[1] * height * width), np.float32)
    for start in range(0, len(pixels), IMAGES_AT_ONCE):
        chunk = torch.from_numpy(np.array(pixels[start : start + IMAGES_AT_ONCE])).float() / 255
        shrunk[start : start + IMAGES_AT_ONCE] = F.adaptive_avg_pool2d(chunk, (height, width)).flatten(1).numpy()
    return shrunk


def unreadable_images(subject: Subject, column: str) -> Reasons:
    """Return why images of the first 200,000 rows cannot be read, by row."""
    small_images(subject, column)
    reasons: Reasons = subject.cache[f"{_key(subject.table, column)} unread"]
    return reasons


def _ranges(subject: Subject, column: str) -> Ranges:
    """Return the levels of deep pixels that are black and white, from a few images of the audited table."""
    key = f"ranges {column}"
    if key not in subject.cache:
        sample = sampled_cells(subject.table.frame[column], SAMPLED_RANGES)
        subject.cache[key] = see(sample, subject.table.folder, MAX_PIXELS).ranges
    found: Ranges = subject.cache[key]
    return found


def _key(table: Table, column: str) -> str:
    return f"images {id(table)} {column}"
