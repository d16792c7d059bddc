"""Near duplicates among images, by perceptual hash."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from luban.audit.near.hamming import Pairs, banded_pairs
from luban.features.image import Pixels

LOW = 12  # frequencies each way that are kept: 143 bits without the mean
BAND_BITS, MAX_BITS = 16, 8  # two images with at most 8 of 143 bits different agree in a band of 16
GREY = np.array([0.299, 0.587, 0.114], np.float32)
SMALLEST_STD = 4.0  # grey levels: an even picture says nothing
SIMILAR = 0.985  # correlation of the grey values: survives scaling, compression and brightness
ROWS_AT_ONCE = 8_192


def near_images(pixels: Pixels, is_read: npt.NDArray[np.bool_]) -> Pairs:
    """Return pairs of rows whose images are nearly alike.

    Candidates have nearly the same perceptual hash, the signs of the low frequencies about their median (Zauner 2010,
    pHash), and are then compared by the correlation of their grey values.
    """
    grey = np.concatenate(
        [_normal(pixels[at : at + ROWS_AT_ONCE]) for at in range(0, len(pixels), ROWS_AT_ONCE)]
        or [np.zeros((0, 1024), np.float32)]
    )
    kept = np.flatnonzero(is_read & grey.any(axis=1))
    if len(kept) < 2:
        return np.zeros((0, 2), np.int64)
    bits = np.concatenate(
        [_bits(grey[kept[at : at + ROWS_AT_ONCE]]) for at in range(0, len(kept), ROWS_AT_ONCE)]
        or [np.zeros((0, LOW * LOW - 1), np.bool_)]
    )
    usable = bits.shape[1] // BAND_BITS * BAND_BITS
    weights = 1 << np.arange(BAND_BITS)
    bands = (bits[:, :usable].reshape(len(bits), -1, BAND_BITS) * weights).sum(axis=2)
    pairs = banded_pairs(bands[:, :, None])
    pairs = pairs[_distances(bits, pairs) <= MAX_BITS]
    pairs = kept[pairs]
    likeness = [
        np.einsum("ij,ij->i", grey[part[:, 0]], grey[part[:, 1]])
        for part in np.array_split(pairs, max(1, len(pairs) // ROWS_AT_ONCE))
    ]
    return pairs[np.concatenate(likeness) >= SIMILAR].astype(np.int64)


def _distances(bits: npt.NDArray[np.bool_], pairs: Pairs) -> npt.NDArray[np.int64]:
    parts = np.array_split(pairs, max(1, len(pairs) // 50_000))
    return np.concatenate([(bits[part[:, 0]] != bits[part[:, 1]]).sum(axis=1) for part in parts])


def _normal(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return (rows, 1024) grey values of mean 0 and length 1; zeros for an even picture."""
    grey = np.einsum("ichw,c->ihw", pixels.astype(np.float32), GREY).reshape(len(pixels), -1)
    grey -= grey.mean(axis=1, keepdims=True)
    std = grey.std(axis=1, keepdims=True)
    scaled = np.where(std < SMALLEST_STD, 0, grey / np.maximum(std * np.sqrt(grey.shape[1]), 1e-6))
    return scaled.astype(np.float32)


def _bits(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    from scipy.fft import dctn  # takes long to import: not before the first step

    side = int(np.sqrt(grey.shape[1]))
    low = dctn(grey.reshape(-1, side, side), axes=(1, 2))[:, :LOW, :LOW].reshape(len(grey), -1)[:, 1:]
    return np.asarray(low > np.median(low, axis=1, keepdims=True))
