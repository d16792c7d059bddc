"""Reads a Parquet file of encoded images into memory."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
from PIL import Image


def encoded(path: str, target: str) -> tuple[list[bytes], np.ndarray[Any, Any]]:
    """Return the images' files and their labels, (rows,)."""
    frame = pl.read_parquet(path)
    return frame["image"].to_list(), frame[target].to_numpy().astype(np.int64)


def decode(content: bytes) -> np.ndarray[Any, Any]:
    """(H, W) or (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(content)))


def read(path: str, target: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the decoded images, (rows, H, W, C) uint8, and their labels, (rows,)."""
    files, labels = encoded(path, target)
    images = np.stack([decode(content) for content in files])
    return (images[..., None] if images.ndim == 3 else images), labels
