"""What the audit keeps of each sound clip, decoded once for all checks: a fingerprint, and statistics of its bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from luban.audit.subject import Subject
from luban.data.media.cells import is_missing
from luban.features.audio import decode_clip, log_mel
from luban.features.decoding import Reasons, decode_cells
from luban.features.plain import audio
from luban.features.plain.audio import STATISTICS_A_BAND, Frames

SAMPLE_RATE, MAX_SECONDS = 8_000, 30.0  # Hz
NUM_BANDS, NUM_STEPS = 17, 32  # mel bands and stretches of time: 16 x 31 bits
NUM_STATISTICS = NUM_BANDS * STATISTICS_A_BAND
MAX_CLIPS = 100_000


@dataclass(frozen=True)
class Clips:
    """bits: (rows, 496), the fingerprint. statistics: (rows, 136). length: (rows,) in samples, 0 where there is no
    sound. unread: and why, by row. Only the first 100,000 rows are there."""

    bits: npt.NDArray[np.bool_]
    statistics: Frames
    length: npt.NDArray[np.int64]
    unread: Reasons


def clips_of(subject: Subject, column: str) -> Clips:
    """Decode the clips of a column, the first time that one asks."""
    key = f"clips {column}"
    if key not in subject.cache:
        cells = subject.frame[column].head(MAX_CLIPS).to_list()
        bits = np.zeros((len(cells), (NUM_BANDS - 1) * (NUM_STEPS - 1)), np.bool_)
        statistics = np.zeros((len(cells), NUM_STATISTICS), np.float32)
        length = np.zeros(len(cells), np.int64)

        def decode(position: int, content: bytes) -> None:
            samples = decode_clip(content, SAMPLE_RATE, MAX_SECONDS)
            if samples.any():
                frames = log_mel(samples, SAMPLE_RATE, NUM_BANDS)
                bits[position], statistics[position] = _fingerprint(frames), audio.statistics(frames)
                length[position] = len(samples)

        present = [at for at, cell in enumerate(cells) if not is_missing(cell)]
        unread = decode_cells(cells, present, subject.table.folder, decode)
        subject.cache[key] = Clips(bits, statistics, length, unread)
    found: Clips = subject.cache[key]
    return found


def unreadable_clips(subject: Subject, column: str) -> Reasons:
    """Return why clips of the first 100,000 rows cannot be read, by row."""
    return clips_of(subject, column).unread


def _fingerprint(frames: Frames) -> npt.NDArray[np.bool_]:
    slopes = np.diff(audio.stretches(frames, NUM_STEPS), axis=1)
    return np.asarray(np.diff(slopes, axis=0) > 0).ravel()
