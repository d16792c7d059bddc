"""Near duplicates among sound clips, by a fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from luban.audit.hamming import Pairs, banded_pairs
from luban.audit.subject import Subject
from luban.features.audio import decode_clip, log_mel
from luban.features.decoding import Reasons, decode_cells
from luban.features.media import is_missing

SAMPLE_RATE, MAX_SECONDS = 8_000, 30.0  # Hz
NUM_BANDS, NUM_STEPS = 17, 32  # mel bands and stretches of time: 16 x 31 bits
BAND_BITS = 16
ERROR_RATE = 0.12  # of the bits; clips that have nothing to do with each other differ in half of them
LENGTH_RATIO = 1.03
MAX_CLIPS = 100_000


@dataclass(frozen=True)
class Fingerprints:
    """bits: (rows, 496). length: (rows,) in samples, 0 where there is no sound. unread: and why, by row."""

    bits: npt.NDArray[np.bool_]
    length: npt.NDArray[np.int64]
    unread: Reasons


def near_clips(subject: Subject, column: str) -> Pairs:
    """Return pairs of rows whose clips sound nearly alike: of the same length, and with nearly the same fingerprint.

    The fingerprint has the signs of the differences of energy between bands and times (Haitsma and Kalker 2002, "A
    Highly Robust Audio Fingerprinting System"); volume, noise far below the signal and compression leave it as it is.
    """
    found = _fingerprints(subject, column)
    bits, length = found.bits, found.length
    kept = np.flatnonzero(length > 0)
    if len(kept) < 2:
        return np.zeros((0, 2), np.int64)
    weights = 1 << np.arange(BAND_BITS)
    bands = (bits[kept].reshape(len(kept), -1, BAND_BITS) * weights).sum(axis=2)
    pairs = kept[banded_pairs(bands[:, :, None])].reshape(-1, 2)
    errors = (bits[pairs[:, 0]] != bits[pairs[:, 1]]).mean(axis=1)
    lengths = length[pairs]
    is_as_long = lengths.max(axis=1) <= LENGTH_RATIO * lengths.min(axis=1)
    near: Pairs = pairs[(errors <= ERROR_RATE) & is_as_long].astype(np.int64)
    return near


def unreadable_clips(subject: Subject, column: str) -> Reasons:
    """Return why clips of the first 100,000 rows cannot be read, by row."""
    return _fingerprints(subject, column).unread


def _fingerprints(subject: Subject, column: str) -> Fingerprints:
    """Return the fingerprints of a column, made once for all checks."""
    key = f"clips {column}"
    if key not in subject.cache:
        cells = subject.frame[column].head(MAX_CLIPS).to_list()
        bits = np.zeros((len(cells), (NUM_BANDS - 1) * (NUM_STEPS - 1)), np.bool_)
        length = np.zeros(len(cells), np.int64)

        def decode(position: int, content: bytes) -> None:
            samples = decode_clip(content, SAMPLE_RATE, MAX_SECONDS)
            if samples.any():
                bits[position], length[position] = _fingerprint(samples), len(samples)

        present = [at for at, cell in enumerate(cells) if not is_missing(cell)]
        subject.cache[key] = Fingerprints(bits, length, decode_cells(cells, present, subject.table.folder, decode))
    found: Fingerprints = subject.cache[key]
    return found


def _fingerprint(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    frames = log_mel(samples, SAMPLE_RATE, NUM_BANDS)
    at = np.linspace(0, len(frames), NUM_STEPS + 1)
    steps = np.stack([frames[int(begin) : max(int(end), int(begin) + 1)].mean(axis=0) for begin, end in pairwise(at)])
    slopes = np.diff(steps, axis=1)
    return np.asarray(np.diff(slopes, axis=0) > 0).ravel()
