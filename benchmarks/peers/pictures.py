"""Reads a Parquet file of encoded images into memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

Array = np.ndarray[Any, Any]


def encoded(job: dict[str, Any]) -> list[tuple[list[bytes], Array]]:
    """Return the images' files and the ids of their labels, (rows,) int64, of the training and the test rows."""
    frames = [pl.read_parquet(job[role]) for role in ("train", "test")]
    names = np.unique(frames[0][job["target"]].to_numpy())
    return [(frame["image"].to_list(), np.searchsorted(names, frame[job["target"]].to_numpy())) for frame in frames]


def decode(content: bytes) -> Array:
    """(H, W) or (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(content)))


def read(job: dict[str, Any]) -> list[tuple[Array, Array]]:
    """Return the decoded images, (rows, H, W, C) uint8, and the ids of their labels, of training and test rows."""
    parts = []
    for files, labels in encoded(job):
        images = np.stack([decode(content) for content in files])
        parts.append((images[..., None] if images.ndim == 3 else images, labels))
    return parts
