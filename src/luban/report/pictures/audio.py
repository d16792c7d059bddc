"""Sound of single rows, bounded in length, encoded anew: no byte of a file passes."""

from __future__ import annotations

from luban.report.pictures.base import Cell, Piece, uri

SAMPLE_RATE, MAX_SECONDS = 16_000, 3.0


def sound(cell: Cell) -> Piece | None:
    """Return the first three seconds of a sound as a WAV file of 16 bits, mono; None where it is none that
    can be decoded."""
    from luban.data.media.sound import as_wav
    from luban.data.media.unreadable import UnreadableCellError
    from luban.features.audio import decode_clip

    if cell.content is None:
        return None
    try:
        samples_S = decode_clip(cell.content, SAMPLE_RATE, MAX_SECONDS)
    except UnreadableCellError:
        return None
    return Piece("audio", uri("audio/wav", as_wav(samples_S, SAMPLE_RATE)))
