"""Answers that are one of several labels a row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from luban.evaluation.answers.base import Answer, Booleans, Constant, Rate
from luban.evaluation.quality import Quality
from luban.tasks.base import Array, Floats
from luban.tasks.classification import Classification

MAX_CONFUSION_CLASSES = 100


class Classes(Answer[Classification]):
    """targets: (rows,) places of labels. outputs: (rows, C) probabilities that add up to 1."""

    has_probabilities: ClassVar[bool] = True

    def texts(self, task: Classification, targets: Array) -> list[str]:
        return [task.names[place] for place in targets.astype(np.int64)]

    def certain(self, task: Classification, targets: Array) -> Floats:
        found: Floats = np.eye(len(task.names), dtype=np.float32)[targets.astype(np.int64)]
        return found

    def quality(self, task: Classification, targets: Array, outputs: Floats) -> Quality:
        """Whether the answer is right."""
        return Quality("accuracy", (task.decide(outputs) == targets).astype(np.float64), True, True)

    def wrongness(self, task: Classification, targets: Array, outputs: Floats) -> Floats:
        """The probability of the label that is wrongly said."""
        said = task.decide(outputs)
        found: Floats = np.where(said != targets, outputs[np.arange(len(said)), said], 0.0)
        return found

    def constant(self, task: Classification, targets: Array) -> Constant:
        """How frequent each class is."""
        shares = np.bincount(targets.astype(np.int64), minlength=len(task.names)) / len(targets)
        return Constant("majority", "always the most frequent class", shares)

    def confusion(self, task: Classification, targets: Array, outputs: Floats) -> tuple[tuple[int, ...], ...] | None:
        """Row i, column j: rows of class i that are taken for class j; None of more than 100 classes."""
        width = len(task.names)
        if width > MAX_CONFUSION_CLASSES:
            return None
        counts = np.zeros((width, width), np.int64)
        np.add.at(counts, (targets.astype(np.int64), task.decide(outputs)), 1)
        return tuple(tuple(row) for row in counts.tolist())

    def confusions(self, task: Classification, targets: Array, outputs: Floats, limit: int) -> list[dict[str, Any]]:
        """Which classes are taken for which others. share: of the actual class's rows."""
        actual: npt.NDArray[np.int64] = targets.astype(np.int64)
        predicted, width = task.decide(outputs), len(task.names)
        wrong = actual != predicted
        pairs, counts = np.unique(actual[wrong] * width + predicted[wrong], return_counts=True)
        totals = np.bincount(actual, minlength=width)
        found = []
        for index in np.lexsort((pairs, -counts))[:limit].tolist():
            one, other = divmod(int(pairs[index]), width)
            rows = int(counts[index])
            names = {"actual": task.names[one], "predicted": task.names[other]}
            found.append({**names, "rows": rows, "share": rows / int(totals[one])})
        return found

    def decisions(self, task: Classification, targets: Array, outputs: Floats) -> tuple[Floats, Booleans] | None:
        """Of two classes the positive one is decided on."""
        return None if task.positive is None else (outputs[:, 1:2], (targets == 1)[:, None])

    def events(self, targets: Array, outputs: Floats) -> tuple[Floats, Booleans]:
        """Of each row's most probable class, (rows,)."""
        return outputs.max(axis=1), outputs.argmax(axis=1) == targets

    def at_temperature(self, outputs: Floats, temperature: float) -> Floats:
        powers = np.log(np.maximum(outputs, np.finfo(outputs.dtype).tiny)) / temperature
        powers = np.exp(powers - powers.max(axis=1, keepdims=True))
        normed: Floats = powers / powers.sum(axis=1, keepdims=True)
        return normed

    def rates(self, task: Classification, targets: Array, outputs: Floats) -> dict[str, Rate]:
        """Of two classes how often the positive one is predicted, rightly of its own rows (TPR), wrongly of the others
        (FPR), and the accuracy (Hardt, Price and Srebro 2016)."""
        if task.positive is None:
            return super().rates(task, targets, outputs)
        chosen, positive = task.decide(outputs) == 1, targets == 1
        everyone = np.ones(len(targets), np.bool_)
        return {
            "selection_rate": (chosen, everyone),
            "tpr": (chosen & positive, positive),
            "fpr": (chosen & ~positive, ~positive),
            "accuracy": (chosen == positive, everyone),
        }
