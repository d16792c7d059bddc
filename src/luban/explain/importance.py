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

from luban.core.tensors import only
from luban.data.draw import sample_rows
from luban.evaluation.scores.bootstrap import weights_of_resamples
from luban.evaluation.scores.intervals import Score
from luban.features.dataset import Dataset
from luban.models.network import Network
from luban.predictor import Predictor
from luban.tasks.base import Floats, Metric

MIN_ROWS, MAX_ROWS, REPEATS, RESAMPLES = 50, 500, 5, 200
MAX_COLUMNS = 300  # measured; of more, those along whose vectors the outputs change most


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
    """Return the importance of every column, or of MAX_COLUMNS of more, the most important first.

    dataset: with targets.
    Each input is encoded once: changing the places of its cells is changing the places of its vectors.
    """
    draw = np.random.default_rng(seed)
    network, targets = predictor.network, predictor.task.truth(dataset)
    joined_BD = predictor.vectors(dataset)
    names, widths = network.joined_widths.keys(), network.joined_widths.values()
    ends = np.cumsum(list(widths)).tolist()
    places = {name: slice(start, end) for name, start, end in zip(names, [0, *ends[:-1]], ends, strict=True)}

    def outputs(joined: Tensor) -> Floats:
        with torch.inference_mode():
            logits = only(network.from_joined(joined.to(predictor.device))).float().cpu()
            found: Floats = predictor.task.outputs(logits / predictor.temperature).numpy()
        return found

    sign = 1.0 if metric.higher_is_better else -1.0
    weights = np.concatenate([np.ones((1, len(dataset))), *weights_of_resamples(len(dataset), RESAMPLES, seed)])
    whole = metric.compute(targets, outputs(joined_BD), weights)
    features = predictor.schema.features
    if len(features) > MAX_COLUMNS:
        changes = _changes(network, joined_BD.to(predictor.device))
        ranked = sorted(features, key=lambda feature: -float(changes[places[feature.name]].sum()))
        features = tuple(ranked[:MAX_COLUMNS])
    found = []
    for feature in features:
        drops = np.zeros(len(weights))
        for _ in range(repeats):
            order = torch.from_numpy(draw.permutation(len(dataset)))
            changed = joined_BD.clone()
            changed[:, places[feature.name]] = joined_BD[order, places[feature.name]]
            permuted = metric.compute(targets, outputs(changed), weights)
            drops += sign * (whole - permuted) / repeats
        found.append(Importance(" + ".join(feature.columns), Score.of(float(drops[0]), drops[1:])))
    return tuple(sorted(found, key=lambda item: -np.nan_to_num(item.drop.value, nan=-np.inf)))


def _changes(network: Network, joined_BD: Tensor) -> Tensor:
    """Return (D,) how much the logits change along each component of the joined vector, to first order."""
    leaf = joined_BD.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = only(network.from_joined(leaf)).float()
        slopes = torch.autograd.grad((logits - logits.mean(dim=0)).square().sum(), leaf)[0]
    return (slopes.abs().mean(dim=0) * joined_BD.std(dim=0, correction=0)).cpu()
