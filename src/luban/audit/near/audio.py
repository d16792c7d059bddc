"""Near duplicates among sound clips, by a fingerprint."""

from __future__ import annotations

import numpy as np

from luban.audit.clips import clips_of
from luban.audit.near.hamming import Pairs, banded_pairs
from luban.audit.subject import Subject

BAND_BITS = 16
ERROR_RATE = 0.12  # of the bits; clips that have nothing to do with each other differ in half of them
LENGTH_RATIO = 1.03


def near_clips(subject: Subject, column: str) -> Pairs:
    """Return pairs of rows whose clips sound nearly alike: of the same length, and with nearly the same fingerprint.

    The fingerprint has the signs of the differences of energy between bands and times (Haitsma and Kalker 2002, "A
    Highly Robust Audio Fingerprinting System"); volume, noise far below the signal and compression leave it as it is.
    """
    found = clips_of(subject, column)
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
