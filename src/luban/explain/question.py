"""What is explained of one row: its prediction, as a function of which parts are there.

Shapes: B rows · S variants of the row · K parts of all inputs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from luban.explain.attributions import ATTRIBUTIONS
from luban.explain.view import Inputs, Part, RowInput, View
from luban.features.dataset import Dataset
from luban.predictor import Predictor
from luban.tasks.base import Floats, Task
from luban.tasks.classification import Binary, Classification
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression

VARIANTS_AT_ONCE = 32  # of like length: more were no faster on a CPU


@dataclass(frozen=True)
class Answer:
    """The prediction that is explained. label, position: of several labels the most probable one, which the weights
    are of, and its place among the outputs, None of a value. unit: of the weights."""

    text: str
    label: str
    position: int | None
    probability: float | None
    unit: str


@dataclass(frozen=True)
class Question:
    """views: one an input. inputs: of the row as it is, for the network."""

    predictor: Predictor
    answer: Answer
    views: tuple[View, ...]
    inputs: Inputs

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part for view in self.views for part in view.parts)

    def score(self, keep: Tensor) -> Tensor:
        """(S, K) bool, false where a part is deleted -> (S,): log odds of the explained label, or the value."""
        return self._of_masks(keep, lambda logits: score_of(self.predictor.task, self.answer, logits))

    def level(self, keep: Tensor) -> Tensor:
        """The same in a unit that needs no scale: (S,) log odds, which move where a probability sticks to 0 or 1, or
        the value in standard deviations of the target."""
        task = self.predictor.task
        return self.score(keep) / (task.std if isinstance(task, Regression) else 1.0)

    def outputs(self, keep: Tensor) -> Floats:
        """Return the task's outputs for variants (S, K), rows first."""
        found: Floats = self._of_masks(keep, self.predictor.task.outputs).numpy()
        return found

    def score_at(self, *points: Tensor) -> Tensor:
        """Return the score (S,) of points (S, ...), one for each view, with gradients."""
        inputs: Inputs = {}
        for view, point in zip(self.views, points, strict=True):
            inputs |= view.lift(point)
        logits = calibrated(self.predictor, self.predictor.network(inputs))
        return score_of(self.predictor.task, self.answer, logits)

    @cached_property
    def flops(self) -> int:
        """Floating-point operations of one prediction of the row, those of products and convolutions."""
        return max(1, flops_of(self.predictor, self.inputs))

    def masked(self, keep: Tensor) -> Inputs:
        """Return the inputs of the variants, (S, K) bool."""
        inputs: Inputs = {}
        start = 0
        for view in self.views:
            inputs |= view.masked(keep[:, start : start + len(view.parts)])
            start += len(view.parts)
        return inputs

    def _of_masks(self, keep: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        keep, places_of = keep.to(self.predictor.device).unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
        order = keep.sum(dim=1).argsort(descending=True, stable=True)
        chunks = [
            self.predictor.logits_of(self.masked(keep[places])) for places in torch.split(order, VARIANTS_AT_ONCE)
        ]
        logits = torch.cat(chunks)[order.argsort()][places_of]
        return function(calibrated(self.predictor, logits)).cpu()


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
            cells.select(feature.columns),
            stored,
            inputs[feature.name],
        )
        views.append(ATTRIBUTIONS[feature.kind](row))
    outputs = predictor.task.outputs(calibrated(predictor, predictor.logits_of(inputs)).cpu())
    return Question(predictor, _answer(predictor.task, outputs), tuple(views), inputs)


def calibrated(predictor: Predictor, logits: Tensor) -> Tensor:
    """Return the logits as predictions are made of them."""
    return logits.float() / predictor.temperature


def score_of(task: Task, answer: Answer, logits: Tensor) -> Tensor:
    """Return (S,) log odds of the explained label, or values."""
    if isinstance(task, Binary):
        return logits[:, 0] if answer.position == 1 else -logits[:, 0]
    if isinstance(task, Classification):
        others = [label for label in range(logits.shape[1]) if label != answer.position]
        return logits[:, answer.position] - logits[:, others].logsumexp(dim=1)
    if isinstance(task, MultiLabel):
        return logits[:, answer.position]
    return task.outputs(logits)


def flops_of(predictor: Predictor, inputs: Inputs) -> int:
    """Return the floating-point operations of one forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        predictor.network(inputs)
    return int(counter.get_total_flops())


def _answer(task: Task, outputs: Tensor) -> Answer:
    text = str(task.decode(outputs.numpy()).item(0, 0))
    if outputs.ndim == 1:
        text = f"{float(outputs[0]):.6g}"
        return Answer(text, text, None, None, f"{task.target}, in its own unit")
    decided = task.decide(outputs.numpy()) if isinstance(task, Classification) else outputs.argmax(dim=1)
    position = int(decided[0])
    label = task.labels[position] if isinstance(task, MultiLabel) else text
    unit = f"log odds of '{label}', in nats"
    return Answer(text, label, position, float(outputs[0, position]), unit)


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
