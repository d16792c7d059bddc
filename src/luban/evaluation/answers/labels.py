"""Answers that are any number of labels a row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from luban.evaluation.answers.base import Answer, Booleans, Constant
from luban.evaluation.quality import Quality
from luban.tasks.base import Array, Floats
from luban.tasks.multi_label import MultiLabel


class Labels(Answer[MultiLabel]):
    """targets: (rows, C), 1 where the row has the label. outputs: (rows, C) probabilities, which need not add up to
    1."""

    has_probabilities: ClassVar[bool] = True

    def texts(self, task: MultiLabel, targets: Array) -> list[str]:
        return [";".join(task.labels[place] for place in np.flatnonzero(row)) for row in targets]

    def certain(self, task: MultiLabel, targets: Array) -> Floats:
        return targets.astype(np.float32)

    def quality(self, task: MultiLabel, targets: Array, outputs: Floats) -> Quality:
        """The row's own F1."""
        present, predicted = targets.astype(np.bool_), task.decide(outputs)
        sizes = (present.sum(axis=1) + predicted.sum(axis=1)).astype(np.float64)
        both = 2.0 * (present & predicted).sum(axis=1)
        # A row without labels for which none is predicted is right.
        return Quality("row_f1", np.divide(both, sizes, out=np.ones(len(sizes)), where=sizes > 0), True, False)

    def wrongness(self, task: MultiLabel, targets: Array, outputs: Floats) -> Floats:
        """A row is as confident as its surest wrong label."""
        truth = targets.astype(np.bool_)
        wrong = task.decide(outputs) != truth
        found: Floats = np.where(wrong, np.where(truth, 1 - outputs, outputs), 0.0).max(axis=1)
        return found

    def constant(self, task: MultiLabel, targets: Array) -> Constant:
        shares = targets.mean(axis=0, dtype=np.float64)
        return Constant("frequency", "each label as probable as it is frequent", shares)

    def confusions(self, task: MultiLabel, targets: Array, outputs: Floats, limit: int) -> list[dict[str, Any]]:
        """Which labels are missed (`predicted` is None; share: of the label's rows), and which are falsely said
        (`actual` is None; share: of the rows that it is said of)."""
        present, said = targets.astype(np.bool_), task.decide(outputs)
        found: list[dict[str, Any]] = []
        for counts, totals, names in (
            ((present & ~said).sum(axis=0), present.sum(axis=0), ("actual", "predicted")),
            ((said & ~present).sum(axis=0), said.sum(axis=0), ("predicted", "actual")),
        ):
            for place in np.argsort(-counts, kind="stable")[:limit].tolist():
                rows = int(counts[place])
                if rows:
                    label = {names[0]: task.labels[place], names[1]: None}
                    shown = {name: label[name] for name in ("actual", "predicted")}
                    found.append({**shown, "rows": rows, "share": rows / int(totals[place])})
        return sorted(found, key=lambda item: -int(item["rows"]))[:limit]

    def decisions(self, task: MultiLabel, targets: Array, outputs: Floats) -> tuple[Floats, Booleans]:
        return outputs, targets.astype(np.bool_)

    def events(self, targets: Array, outputs: Floats) -> tuple[Floats, Booleans]:
        """Of every label, (rows * C,)."""
        return outputs.reshape(-1), targets.reshape(-1).astype(np.bool_)

    def at_temperature(self, outputs: Floats, temperature: float) -> Floats:
        from scipy.special import expit, logit  # takes long to import: not before the first step

        smallest, largest = np.finfo(outputs.dtype).tiny, 1 - np.finfo(outputs.dtype).epsneg
        found: Floats = expit(logit(np.clip(outputs, smallest, largest)) / temperature)
        return found
