"""Images of single rows, bounded in size, encoded anew: no byte of a file passes."""

from __future__ import annotations

import io

from luban.report.pictures.base import Cell, Piece, uri

MAX_SIDE, MIN_SIDE = 160, 96  # pixels of a picture


def picture(cell: Cell) -> Piece | None:
    """Return a picture shrunk to 160 pixels a side, small ones enlarged by whole pixels; None where it is none."""
    from PIL import Image

    if cell.content is None:
        return None
    try:
        with Image.open(io.BytesIO(cell.content)) as opened:
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
