"""Pictures of what an image or a sound has weights at: PNG files."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from luban.explain.view import Pictures

SHORTEST_SIDE, LONGEST_SIDE = 224, 1024  # pixels; a smaller picture is enlarged, pixel by pixel
LEVELS = 16  # of opacity: a PNG of noise in all 256 is several times as large
LARGEST_SHARE = 99.0  # percentile of the weights that is of full colour: one bright pixel shall not outshine the rest
FOR, AGAINST = (214, 39, 40), (31, 119, 180)  # told apart by the colour-blind too


def pictures(pixels: npt.NDArray[np.uint8], weights: npt.NDArray[np.floating]) -> Pictures:
    """Draw pixels, (H, W) or (H, W, 3), and their weights (H, W)."""
    scale = max(1, min(-(-SHORTEST_SIDE // min(weights.shape)), LONGEST_SIDE // max(weights.shape)))
    size = (weights.shape[1] * scale, weights.shape[0] * scale)
    largest = float(np.percentile(np.abs(weights), LARGEST_SHARE)) or float(np.abs(weights).max()) or 1.0
    heat = np.zeros((*weights.shape, 4), np.uint8)
    heat[..., :3] = np.where((weights > 0)[..., None], FOR, AGAINST)
    shares = np.clip(np.abs(weights) / largest, 0, 1)
    heat[..., 3] = np.round(shares * (LEVELS - 1)) * (255 // (LEVELS - 1))
    heat[heat[..., 3] == 0] = 0
    return Pictures(_png(Image.fromarray(heat), size), _png(Image.fromarray(pixels), size))


def _png(image: Image.Image, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
