"""Permutation importance (Breiman 2001; Fisher et al. 2019, arXiv:1801.01489): how much the score falls as the cells of
a column change places.

Shapes: B rows · D width of an input's vector · R resamples
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from luban.data.draw import sample_rows
from luban.evaluation.bootstrap import weights_of_resamples
from luban.evaluation.intervals import Score
from luban.features.dataset import Dataset
from luban.models.mlp import CategoryEmbedding
from luban.models.network import vector_name
from luban.predictor import Predictor
from luban.tasks.base import Floats, Metric

MIN_ROWS, MAX_ROWS, REPEATS, RESAMPLES = 50, 500, 5, 200


@dataclass(frozen=True)
class Importance:
    """column: one, or the text columns that are one input, joined by ' + '. drop: how much worse the score becomes, in
    the metric's unit, the mean over the repeats; its interval is over rows."""

    column: str
    drop: Score

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "drop": self.drop.to_json()}


def drawn(rows: npt.NDArray[np.int64], seed: int, most: int = MAX_ROWS) -> npt.NDArray[np.int64]:
    """Return those of the rows that importance is measured on: 500 at most, drawn at random."""
    count = min(len(rows), MAX_ROWS, max(most, MIN_ROWS))
    return rows[sample_rows(len(rows), count, np.random.default_rng(seed))]


def permutation_importance(
    predictor: Predictor, dataset: Dataset, metric: Metric, *, seed: int = 0, repeats: int = REPEATS
) -> tuple[Importance, ...]:
    """Return the importance of every column, the most important first. dataset: with targets.

    Each input is encoded once: changing the places of its cells is changing the places of its vectors.
    """
    draw = np.random.default_rng(seed)
    network, targets = predictor.network, dataset.targets_array()
    joined_BD = predictor.vectors(dataset)
    names = sorted(network.names, key=lambda name: isinstance(network.encoder(name), CategoryEmbedding))
    ends = np.cumsum([network.encoder(name).output_dim for name in names]).tolist()
    vectors = {name: joined_BD[:, start:end] for name, start, end in zip(names, [0, *ends[:-1]], ends, strict=True)}

    def outputs(changed: dict[str, Tensor]) -> Floats:
        inputs: Any = {vector_name(name): (vectors | changed)[name].to(predictor.device) for name in network.names}
        with torch.inference_mode():
            found: Floats = predictor.task.outputs(network(inputs).float().cpu() / predictor.temperature).numpy()
        return found

    sign = 1.0 if metric.higher_is_better else -1.0
    weights = np.concatenate([np.ones((1, len(dataset))), *weights_of_resamples(len(dataset), RESAMPLES, seed)])
    whole = metric.compute(targets, outputs({}), weights)
    found = []
    for feature in predictor.schema.features:
        drops = np.zeros(len(weights))
        for _ in range(repeats):
            order = torch.from_numpy(draw.permutation(len(dataset)))
            permuted = metric.compute(targets, outputs({feature.name: vectors[feature.name][order]}), weights)
            drops += sign * (whole - permuted) / repeats
        found.append(Importance(" + ".join(feature.columns), Score.of(float(drops[0]), drops[1:])))
    return tuple(sorted(found, key=lambda item: -np.nan_to_num(item.drop.value, nan=-np.inf)))
