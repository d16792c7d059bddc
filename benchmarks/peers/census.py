"""Reads the Adult table as arrays: numbers standardised, categories as ids, both as the training rows have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

RESERVED = 2  # ids of unseen and of missing cells; a "?" counts as missing
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rows:
    """numbers: (rows, n) float32. ids: (rows, m) int64. labels: (rows,) int64."""

    numbers: Array
    ids: Array
    labels: Array


def read(train: str, test: str, target: str) -> tuple[Rows, Rows, list[int], int]:
    """Return the training and the test rows, the number of ids of each category, and the number of labels."""
    frames = [pd.read_csv(path, na_values="?", skipinitialspace=True) for path in (train, test)]
    fitted = frames[0].drop(columns=target)
    numbers = list(fitted.select_dtypes("number"))
    categories = [name for name in fitted if name not in numbers]
    mean, std = fitted[numbers].mean(), fitted[numbers].std()
    values = {name: sorted(fitted[name].dropna().unique()) for name in categories}
    names = sorted(frames[0][target].unique())
    parts = []
    for frame in frames:
        scaled = ((frame[numbers] - mean) / std).fillna(0).to_numpy(np.float32)
        columns = [_ids(frame[name], values[name]) for name in categories]
        labels = pd.Categorical(frame[target], categories=names).codes.astype(np.int64)
        parts.append(Rows(scaled, np.stack(columns, axis=1), labels))
    return parts[0], parts[1], [RESERVED + len(found) for found in values.values()], len(names)


def _ids(cells: pd.Series, values: list[str]) -> Array:
    codes = pd.Categorical(cells, categories=values).codes.astype(np.int64)
    return np.where(codes >= 0, codes + RESERVED, cells.isna().to_numpy().astype(np.int64))


def embedding_dim(ids: int) -> int:
    """Return fastai's rule of thumb, which Luban takes, too."""
    return min(50, round(1.6 * ids**0.56))
