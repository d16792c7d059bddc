"""What is explained of one row: its prediction, as a function of which parts are there.

Shapes: B rows · S variants of the row · K parts of all inputs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from luban.core.runtime import autocast
from luban.core.tensors import Ragged, only
from luban.explain.answers import Answer, explained
from luban.explain.attributions import ATTRIBUTIONS
from luban.explain.view import Inputs, Part, RowInput, View
from luban.features.dataset import Dataset
from luban.predictor import Predictor
from luban.tasks.base import Floats

VARIANTS_AT_ONCE, TOKENS_AT_ONCE = 32, 4096  # of like length: more were no faster on a CPU


@dataclass(frozen=True)
class Question:
    """views: one an input. inputs, logits: of the row as it is, for the network and (1, outputs) from it. flops:
    floating-point operations of its prediction, those of products and convolutions."""

    predictor: Predictor
    answer: Answer
    views: tuple[View, ...]
    inputs: Inputs
    logits: Tensor
    flops: int

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part for view in self.views for part in view.parts)

    def score(self, keep: Tensor) -> Tensor:
        """(S, K) bool, false where a part is deleted -> (S,): log odds of the explained label, or the value."""
        return self._of_masks(keep, self._score)

    def level(self, keep: Tensor) -> Tensor:
        """The same in a unit that needs no scale: (S,) log odds, which move where a probability sticks to 0 or 1, or
        the value in standard deviations of the target."""
        task = self.predictor.task
        return self.score(keep) / explained(task).scale(task)

    def outputs(self, keep: Tensor) -> Floats:
        """Return the task's outputs for variants (S, K), rows first."""
        found: Floats = self._of_masks(keep, self.predictor.task.outputs).numpy()
        return found

    def score_at(self, *points: Tensor) -> Tensor:
        """Return the score (S,) of points (S, ...), one for each view, with gradients."""
        inputs: Inputs = {}
        for view, point in zip(self.views, points, strict=True):
            inputs |= view.lift(point)
        with autocast(self.predictor.device, self.predictor.dtype):
            logits = only(self.predictor.network(inputs))
        return self._score(calibrated(self.predictor, logits))

    def masked(self, keep: Tensor) -> Inputs:
        """Return the inputs of the variants, (S, K) bool."""
        inputs: Inputs = {}
        start = 0
        for view in self.views:
            inputs |= view.masked(keep[:, start : start + len(view.parts)])
            start += len(view.parts)
        return inputs

    def _score(self, logits: Tensor) -> Tensor:
        task = self.predictor.task
        found: Tensor = explained(task).score(task, self.answer, logits)
        return found

    def _of_masks(self, keep: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Predict each variant once, however often it is asked for: methods, checks and edits share them."""
        keep = keep.cpu()
        keys = [row.tobytes() for row in keep.numpy()]
        places = list({key: place for place, key in enumerate(keys) if key not in self._known}.values())
        for chunk in self._chunks(keep[places]):
            logits = self.predictor.logits_of(self.masked(chunk.to(self.predictor.device)))
            self._known.update(zip([row.tobytes() for row in chunk.numpy()], logits, strict=True))
        return function(calibrated(self.predictor, torch.stack([self._known[key] for key in keys]))).cpu()

    @cached_property
    def _known(self) -> dict[bytes, Tensor]:
        """Logits of the variants that were predicted."""
        return {torch.ones(len(self.parts), dtype=torch.bool).numpy().tobytes(): self.logits[0]}

    def _chunks(self, keep: Tensor) -> Iterator[Tensor]:
        """Yield variants (S, K) of like length, the longest first, as many as are predicted at once."""
        sizes = torch.tensor([part.words for part in self.parts], dtype=torch.float32)
        shares = (keep * sizes).sum(dim=1) / sizes.sum().clamp(min=1)
        tokens = sum(len(value.values) for value in self.inputs.values() if isinstance(value, Ragged))
        order, start = shares.argsort(descending=True, stable=True), 0
        while start < len(order):
            longest = max(1.0, tokens * float(shares[order[start]]))
            end = start + max(1, min(VARIANTS_AT_ONCE, int(TOKENS_AT_ONCE / longest)))
            yield keep[order[start:end]]
            start = end


def ask(predictor: Predictor, dataset: Dataset, position: int, cells: pl.DataFrame) -> Question:
    """Take one row of a data set apart. cells: its row of the table."""
    rows = np.array([position])
    inputs = dataset.batch(rows).to(predictor.device).inputs
    views = []
    for feature in predictor.schema.features:
        stored = dataset.inputs[feature.name].take(dataset.index[rows])
        row = RowInput(
            feature,
            predictor.network.encoder(feature.name),
            cells[list(feature.columns)],
            stored,
            inputs[feature.name],
        )
        views.append(ATTRIBUTIONS[feature.kind](row))
    logits, flops = counted(lambda: predictor.logits_of(inputs))
    task = predictor.task
    answer = explained(task).answer(task, task.outputs(calibrated(predictor, logits).cpu()))
    return Question(predictor, answer, tuple(views), inputs, logits, flops)


def calibrated(predictor: Predictor, logits: Tensor) -> Tensor:
    """Return the logits as predictions are made of them."""
    return logits.float() / predictor.temperature


def counted(forward: Callable[[], Tensor]) -> tuple[Tensor, int]:
    """Return what a forward pass returns, and its floating-point operations, one at least."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_uncounted()) as counter:
        found = forward()
    return found, max(1, int(counter.get_total_flops()))


def _uncounted() -> dict[Any, Callable[..., int]]:
    """Return the formulas of what torch does not count: attention and packed products on a CPU."""

    def attention(query: Any, key: Any, *_: Any, **__: Any) -> int:
        rows, heads, times, width = query
        return int(4 * rows * heads * times * key[2] * width)

    def product(x: Any, weight: Any, *_: Any, **__: Any) -> int:
        return int(2 * x[0] * weight[0] * weight[1])

    found: dict[Any, Callable[..., int]] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        found[torch.ops.mkldnn._linear_pointwise] = product
    return found


@contextmanager
def fixed(predictor: Predictor) -> Iterator[None]:
    """Let no gradient be computed for weights."""
    trained = [parameter for parameter in predictor.network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
