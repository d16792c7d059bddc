"""Images of single rows, bounded in size, encoded anew: no byte of a file passes."""

from __future__ import annotations

import io

from luban.report.pictures.base import Cell, Piece, uri

MAX_SIDE, MIN_SIDE = 160, 96  # pixels of a picture


def picture(cell: Cell) -> Piece | None:
    """Return a picture shrunk to 160 pixels a side, small ones enlarged by whole pixels; None where it is none that
    can be decoded.

    Where pixels are deeper than 8 bits, the range of the picture itself is black to white.
    """
    from PIL import Image

    from luban.data.media.pictures import MAX_PIXELS, decode
    from luban.data.media.unreadable import UnreadableCellError
    from luban.features.levels import see

    if cell.content is None:
        return None
    try:
        ranges = see([cell.content], None, MAX_PIXELS).ranges
        image = decode(cell.content, None, ranges=ranges, draft=MAX_SIDE)
    except UnreadableCellError:
        return None
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    if max(image.size) < MIN_SIDE:
        factor = max(1, MIN_SIDE // max(image.size))
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return Piece("image", uri("image/png", buffer.getvalue()))
