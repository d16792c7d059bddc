"""Plain features of sound clips for the linear model that doubts labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from luban.audit.clips import clips_of
from luban.audit.finding import Rows
from luban.audit.subject import Subject

SMALLEST_STD = 1e-3  # of a logarithm of power
LARGEST_SCALED = 10.0  # standard deviations


def plain_clips(subject: Subject, column: str, rows: Rows) -> npt.NDArray[np.float32]:
    """Return (rows, 136) standardised statistics of the bands of log-mel frames; zeros where there is no sound.

    rows: positions within the first 100,000.
    """
    clips = clips_of(subject, column)
    statistics, is_read = clips.statistics[rows], clips.length[rows] > 0
    known = statistics[is_read]
    if not len(known):
        return np.zeros_like(statistics)
    scaled = (statistics - known.mean(axis=0)) / np.maximum(known.std(axis=0), SMALLEST_STD)
    return np.where(is_read[:, None], scaled.clip(-LARGEST_SCALED, LARGEST_SCALED), 0).astype(np.float32)
