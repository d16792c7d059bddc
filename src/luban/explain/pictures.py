"""Pictures of what an image or a sound has weights at: PNG files."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from luban.explain.view import Pictures

SHORTEST_SIDE = 224  # pixels; a smaller picture is enlarged, pixel by pixel
LARGEST_SHARE = 99.0  # percentile of the weights that is of full colour: one bright pixel shall not outshine the rest
FOR, AGAINST = (214, 39, 40), (31, 119, 180)  # told apart by the colour-blind too


def pictures(pixels: npt.NDArray[np.uint8], weights: npt.NDArray[np.floating]) -> Pictures:
    """Draw pixels, (H, W) or (H, W, 3), and their weights (H, W)."""
    scale = max(1, -(-SHORTEST_SIDE // min(weights.shape)))
    size = (weights.shape[1] * scale, weights.shape[0] * scale)
    largest = float(np.percentile(np.abs(weights), LARGEST_SHARE)) or float(np.abs(weights).max()) or 1.0
    heat = np.zeros((*weights.shape, 4), np.uint8)
    heat[..., :3] = np.where((weights > 0)[..., None], FOR, AGAINST)
    heat[..., 3] = np.round(255 * np.clip(np.abs(weights) / largest, 0, 1))
    return Pictures(_png(Image.fromarray(heat), size), _png(Image.fromarray(pixels), size))


def _png(image: Image.Image, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
