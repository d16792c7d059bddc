"""Near duplicates among sound clips, by a fingerprint."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from luban.audit.hamming import Pairs, banded_pairs
from luban.data.table import Table
from luban.features.audio import decode_clip, log_mel
from luban.features.decoding import decode_cells
from luban.features.media import is_missing

SAMPLE_RATE, MAX_SECONDS = 8_000, 30.0  # Hz
NUM_BANDS, NUM_STEPS = 17, 32  # mel bands and stretches of time: 16 x 31 bits
BAND_BITS = 16
ERROR_RATE = 0.12  # of the bits; clips that have nothing to do with each other differ in half of them
LENGTH_RATIO = 1.03
MAX_CLIPS = 100_000


def near_clips(table: Table, column: str) -> Pairs:
    """Return pairs of rows whose clips sound nearly alike: of the same length, and with nearly the same fingerprint.

    The fingerprint has the signs of the differences of energy between bands and times (Haitsma and Kalker 2002, "A
    Highly Robust Audio Fingerprinting System"); volume, noise far below the signal and compression leave it as it is.
    """
    cells = table.frame[column].head(MAX_CLIPS).to_list()
    bits = np.zeros((len(cells), (NUM_BANDS - 1) * (NUM_STEPS - 1)), np.bool_)
    length = np.zeros(len(cells))

    def decode(position: int, content: bytes) -> None:
        samples = decode_clip(content, SAMPLE_RATE, MAX_SECONDS)
        if samples.any():
            bits[position], length[position] = _fingerprint(samples), len(samples)

    decode_cells(cells, [at for at, cell in enumerate(cells) if not is_missing(cell)], table.folder, decode)
    kept = np.flatnonzero(length > 0)
    if len(kept) < 2:
        return np.zeros((0, 2), np.int64)
    weights = 1 << np.arange(BAND_BITS)
    bands = (bits[kept].reshape(len(kept), -1, BAND_BITS) * weights).sum(axis=2)
    pairs = kept[banded_pairs(bands[:, :, None])].reshape(-1, 2)
    errors = (bits[pairs[:, 0]] != bits[pairs[:, 1]]).mean(axis=1)
    lengths = length[pairs]
    is_as_long = lengths.max(axis=1) <= LENGTH_RATIO * lengths.min(axis=1)
    found: Pairs = pairs[(errors <= ERROR_RATE) & is_as_long].astype(np.int64)
    return found


def _fingerprint(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    frames = log_mel(samples, SAMPLE_RATE, NUM_BANDS)
    at = np.linspace(0, len(frames), NUM_STEPS + 1)
    steps = np.stack([frames[int(begin) : max(int(end), int(begin) + 1)].mean(axis=0) for begin, end in pairwise(at)])
    slopes = np.diff(steps, axis=1)
    return np.asarray(np.diff(slopes, axis=0) > 0).ravel()
