"""What the pictures of a column have in common: sizes, and which levels are black and white where pixels are deep.

Cameras and scanners write 10, 12 or 14 bits into files of 16, so that the range of the file says little of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from luban.data.media import pictures
from luban.features.decoding import decode_cells

SAMPLED_LEVELS = 1_024  # of a picture
PERCENTILES = (0.1, 99.9)
OUTLYING = 4.0  # times as far apart as the percentiles: from here on the extremes are single pixels, dead or hot


@dataclass(frozen=True)
class Seen:
    """sizes: width and height of each picture that could be opened. ranges: by depth, the levels that are black and
    white. frames: the share of the files with several frames or pages."""

    sizes: list[tuple[int, int]] = field(default_factory=list)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    frames: float = 0.0


def see(cells: Sequence[object], folder: Path | None, max_pixels: int) -> Seen:
    """Look at the headers of pictures, and at the pixels of those that are deep; what cannot be read is left out."""
    looks: dict[int, pictures.Look] = {}
    levels: dict[int, tuple[str, npt.NDArray[np.float64]]] = {}

    def measure(position: int, content: bytes) -> None:
        found = pictures.look(content, max_pixels)
        if found.depth is not None:
            levels[position] = found.depth, _sampled(pictures.levels_of(content, max_pixels))
        looks[position] = found

    decode_cells(cells, range(len(cells)), folder, measure)
    by_depth: dict[str, list[npt.NDArray[np.float64]]] = {}
    for position in sorted(levels):
        depth, sample = levels[position]
        by_depth.setdefault(depth, []).append(sample)
    found = {depth: _range(np.concatenate(samples)) for depth, samples in by_depth.items()}
    return Seen(
        [looks[position].size for position in sorted(looks)],
        {depth: span for depth, span in found.items() if span is not None},
        sum(look.has_frames for look in looks.values()) / max(1, len(looks)),
    )


def _sampled(levels: pictures.Levels) -> npt.NDArray[np.float64]:
    """Return the least, the largest and about a thousand other levels of a picture; what is no number is left out."""
    values = levels.ravel()
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not len(values):
        return np.zeros(0)
    step = max(1, len(values) // SAMPLED_LEVELS)
    return np.concatenate([values[::step], [values.min(), values.max()]]).astype(np.float64)


def _range(sample: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the least and the largest level; where single pixels lie far out, the 0.1 and 99.9 percentiles."""
    if not len(sample):
        return None
    low, high = float(sample.min()), float(sample.max())
    inner = np.percentile(sample, PERCENTILES)
    width = float(inner[1] - inner[0])
    return (float(inner[0]), float(inner[1])) if 0 < OUTLYING * width < high - low else (low, high)
