"""Pictures and sound of single rows as data URIs, bounded in size, encoded anew: no byte of a file passes."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from luban.data import samples
from luban.features.media import UnreadableCellError, read_cell
from luban.report.content import Content

MAX_TOTAL = 1_500_000  # characters of all pieces of a page
MAX_SIDE, MIN_SIDE = 160, 96  # pixels of a picture
SAMPLE_RATE, MAX_SECONDS = 16_000, 3.0  # of a sound


@dataclass(frozen=True)
class Piece:
    """kind: `image` or `audio`. source: its data URI."""

    kind: str
    source: str


class Media:
    """Finds the file of a cell where the data of the run still are, and holds the page within its size."""

    def __init__(self, source: Path | None) -> None:
        self.source, self.left = source, MAX_TOTAL

    @classmethod
    def of(cls, content: Content) -> Media:
        """Return the media of the rows that were tested."""
        data = content.config.get("data", {})
        reference = data.get("test") or data.get("train")
        if not reference or samples.is_reference(reference):
            return cls(None)
        path = Path(reference).expanduser()
        return cls(path if path.exists() else None)

    def piece(self, column: str, path: object, row: int) -> Piece | None:
        """Return a cell's picture or sound; None where it cannot be had, or the page is full."""
        if self.source is None:
            return None
        folder = self.source if self.source.is_dir() else self.source.parent
        try:
            content = read_cell(path if isinstance(path, str) else self.cell(column, row), folder)
        except (UnreadableCellError, OSError, pl.exceptions.PolarsError):
            return None
        piece = picture(content) or sound(content)
        if piece is None or len(piece.source) > self.left:
            return None
        self.left -= len(piece.source)
        return piece

    def cell(self, column: str, row: int) -> Any:
        """Return the bytes of a cell of a Parquet file. row: counted from 1."""
        if self.source is None or self.source.suffix not in (".parquet", ".pq"):
            return None
        found = pl.scan_parquet(self.source).select(column).slice(row - 1, 1).collect()
        return found.item() if found.height == 1 else None


def picture(content: bytes) -> Piece | None:
    """Return a picture shrunk to 160 pixels a side, small ones enlarged by whole pixels; None where it is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as opened:
            image = opened.convert("L" if opened.mode in ("1", "L", "I;16") else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    if max(image.size) < MIN_SIDE:
        factor = max(1, MIN_SIDE // max(image.size))
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return Piece("image", uri("image/png", buffer.getvalue()))


def sound(content: bytes) -> Piece | None:
    """Return the first three seconds of a sound as a WAV file of 16 bits, mono; None where it is none."""
    import numpy as np
    import soundfile

    from luban.features.audio import decode_clip

    try:
        samples_S = decode_clip(content, SAMPLE_RATE, MAX_SECONDS)
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError, UnreadableCellError):
        return None
    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples_S), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return Piece("audio", uri("audio/wav", buffer.getvalue()))


def uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
