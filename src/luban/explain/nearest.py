"""The training rows that the model takes for most alike: nearest in the vector space that its encoders make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from luban.data.draw import sample_rows
from luban.data.table import Table
from luban.features import cache
from luban.features.cells import quoted
from luban.features.dataset import Dataset
from luban.predictor import Predictor

MAX_ROWS = 2_000  # that are looked through, drawn at random


@dataclass(frozen=True)
class Neighbour:
    """row: its number in the training source. similarity: the cosine of the two vectors. cells: as text."""

    row: int
    similarity: float
    cells: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"row": self.row, "similarity": self.similarity, "cells": self.cells}


def nearest_rows(
    predictor: Predictor, dataset: Dataset, source: Table, count: int, seed: int = 0
) -> list[tuple[Neighbour, ...]]:
    """Return the nearest rows of a source for each row of a data set."""
    source = source.take(sample_rows(len(source), MAX_ROWS, np.random.default_rng(seed)))
    inputs, _ = cache.encode(predictor.schema, source, None, None)
    theirs = predictor.vectors(Dataset.of(predictor.schema, inputs, {})).numpy()
    search = NearestNeighbors(n_neighbors=min(count, len(source)), metric="cosine").fit(theirs)
    distances, places = search.kneighbors(predictor.vectors(dataset).numpy())
    names = [*predictor.schema.columns, predictor.task.target]
    shown = [name for name in names if name in source.columns]
    return [
        tuple(
            Neighbour(
                int(source.row_numbers[place]),
                1 - float(distance),
                {name: _text(source.frame[int(place), name]) for name in shown},
            )
            for distance, place in zip(*found, strict=True)
        )
        for found in zip(distances, places, strict=True)
    ]


def _text(cell: object) -> str:
    return "(missing)" if cell is None else quoted(cell).strip("'")
