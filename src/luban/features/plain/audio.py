"""Plain features of sound clips: statistics of the bands of log-mel frames."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from luban.features.audio import SMALLEST_STD
from luban.features.plain.columns import LARGEST_SCALED

Frames = npt.NDArray[np.float32]

NUM_STRETCHES = 4  # of a clip, whose means are kept
STATISTICS_A_BAND = 4 + NUM_STRETCHES


def statistics(frames: Frames) -> Frames:
    """Return mean and standard deviation of each band and of its change from frame to frame, and its means in four
    stretches of the clip, so that what comes first and what last is told apart: (bands * 8,). frames: (T, bands)."""
    changes = np.diff(frames, axis=0) if len(frames) > 1 else np.zeros_like(frames)
    both = (frames.mean(axis=0), frames.std(axis=0), changes.mean(axis=0), changes.std(axis=0))
    return np.concatenate([*both, stretches(frames, NUM_STRETCHES).ravel()])


def stretches(frames: Frames, count: int) -> Frames:
    """Return (count, bands) means of equal stretches of time."""
    at = np.linspace(0, len(frames), count + 1)
    return np.stack([frames[int(begin) : max(int(end), int(begin) + 1)].mean(axis=0) for begin, end in pairwise(at)])


def standardised(found: Frames, is_read: npt.NDArray[np.bool_]) -> Frames:
    """Return the statistics of clips, (rows, D), standardised; zeros where there is no sound. is_read: (rows,)."""
    known = found[is_read]
    if not len(known):
        return np.zeros_like(found)
    scaled = (found - known.mean(axis=0)) / np.maximum(known.std(axis=0), SMALLEST_STD)
    return np.where(is_read[:, None], scaled.clip(-LARGEST_SCALED, LARGEST_SCALED), 0).astype(np.float32)
