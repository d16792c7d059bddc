"""What the audit keeps of each sound clip, decoded once for all checks: a fingerprint, and statistics of its bands."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from luban.audit.subject import Subject
from luban.data.media.cells import is_missing
from luban.features.audio import decode_clip, log_mel
from luban.features.decoding import Reasons, decode_cells

SAMPLE_RATE, MAX_SECONDS = 8_000, 30.0  # Hz
NUM_BANDS, NUM_STEPS = 17, 32  # mel bands and stretches of time: 16 x 31 bits
NUM_STRETCHES = 4  # of the clip, whose means are kept
NUM_STATISTICS = NUM_BANDS * (4 + NUM_STRETCHES)
MAX_CLIPS = 100_000
Frames = npt.NDArray[np.float32]


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
                bits[position], statistics[position] = _fingerprint(frames), _statistics(frames)
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
    slopes = np.diff(_stretches(frames, NUM_STEPS), axis=1)
    return np.asarray(np.diff(slopes, axis=0) > 0).ravel()


def _statistics(frames: Frames) -> Frames:
    """Return mean and standard deviation of each band and of its change from frame to frame, and its means in four
    stretches of the clip, so that what comes first and what last is told apart."""
    changes = np.diff(frames, axis=0) if len(frames) > 1 else np.zeros_like(frames)
    both = (frames.mean(axis=0), frames.std(axis=0), changes.mean(axis=0), changes.std(axis=0))
    return np.concatenate([*both, _stretches(frames, NUM_STRETCHES).ravel()])


def _stretches(frames: Frames, count: int) -> Frames:
    """Return (count, bands) means of equal stretches of time."""
    at = np.linspace(0, len(frames), count + 1)
    return np.stack([frames[int(begin) : max(int(end), int(begin) + 1)].mean(axis=0) for begin, end in pairwise(at)])
