"""Images made small, once for all checks that look at them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from luban.audit.subject import Subject
from luban.data.table import Table
from luban.features.decoding import Reasons, decode_cells, shared_zeros
from luban.features.image import ImageConfig, decode_image
from luban.features.media import is_missing

SIDE = 32  # pixels
MAX_IMAGES = 200_000  # that are looked at: 0.6 GB
MAX_PIXELS = ImageConfig.model_fields["max_pixels"].default
Pixels = npt.NDArray[np.uint8]


def small_images(subject: Subject, column: str, table: Table | None = None) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """Return (rows, 3, 32, 32) and (rows,) which could be read; the others are black. table: instead of the audited."""
    table = subject.table if table is None else table
    key = _key(table, column)
    if key not in subject.cache:
        cells = table.frame[column].head(MAX_IMAGES).to_list()
        pixels = shared_zeros((len(table), 3, SIDE, SIDE), np.uint8)
        is_read = shared_zeros((len(table),), np.bool_)

        def decode(position: int, content: bytes) -> None:
            pixels[position] = decode_image(content, SIDE, 3, MAX_PIXELS)
            is_read[position] = True

        present = [at for at, cell in enumerate(cells) if not is_missing(cell)]
        subject.cache[f"{key} unread"] = decode_cells(cells, present, table.folder, decode, is_shared=True)
        subject.cache[key] = pixels, is_read
    found: tuple[Pixels, npt.NDArray[np.bool_]] = subject.cache[key]
    return found


def unreadable_images(subject: Subject, column: str) -> Reasons:
    """Return why images of the first 200,000 rows cannot be read, by row."""
    small_images(subject, column)
    reasons: Reasons = subject.cache[f"{_key(subject.table, column)} unread"]
    return reasons


def _key(table: Table, column: str) -> str:
    return f"images {id(table)} {column}"
