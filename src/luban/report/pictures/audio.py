"""Sound of single rows, bounded in length, encoded anew: no byte of a file passes."""

from __future__ import annotations

import io

from luban.features.media import UnreadableCellError
from luban.report.pictures.base import Cell, Piece, uri

SAMPLE_RATE, MAX_SECONDS = 16_000, 3.0


def sound(cell: Cell) -> Piece | None:
    """Return the first three seconds of a sound as a WAV file of 16 bits, mono; None where it is none."""
    import numpy as np
    import soundfile

    from luban.features.audio import decode_clip

    if cell.content is None:
        return None
    try:
        samples_S = decode_clip(cell.content, SAMPLE_RATE, MAX_SECONDS)
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError, UnreadableCellError):
        return None
    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples_S), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return Piece("audio", uri("audio/wav", buffer.getvalue()))
