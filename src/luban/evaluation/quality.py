"""How good the answer of each single row is: what scores of slices and of groups are means of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from luban.evaluation.intervals import Score, mean_share, proportion
from luban.evaluation.scoring import mean_of
from luban.tasks.base import Array, Floats, Task
from luban.tasks.classification import Classification
from luban.tasks.multi_label import MultiLabel


@dataclass(frozen=True, eq=False)
class Quality:
    """values: (rows,) whose mean is the metric. is_share: whether they are 0 and 1, is_bounded: or between those."""

    metric: str
    values: Floats
    higher_is_better: bool
    is_share: bool
    is_bounded: bool = True

    @classmethod
    def of(cls, task: Task, targets: Array, outputs: Floats) -> Quality:
        """Of classes whether the answer is right, of several labels the row's own F1, of numbers the absolute error."""
        if isinstance(task, Classification):
            return cls("accuracy", (task.decide(outputs) == targets).astype(np.float64), True, True)
        if isinstance(task, MultiLabel):
            present, predicted = targets.astype(np.bool_), task.decide(outputs)
            sizes = (present.sum(axis=1) + predicted.sum(axis=1)).astype(np.float64)
            both = 2.0 * (present & predicted).sum(axis=1)
            # A row without labels for which none is predicted is right.
            return cls("row_f1", np.divide(both, sizes, out=np.ones(len(sizes)), where=sizes > 0), True, False)
        return cls("mae", np.abs(outputs.astype(np.float64) - targets.astype(np.float64)), False, False, False)

    @cached_property
    def ranks(self) -> Floats:
        """(rows,) from 1; ties share their mean."""
        found: Floats = rankdata(self.values)
        return found

    def score(self, rows: npt.NDArray[np.int64]) -> Score:
        """Return the mean over some rows with the interval of a share where it is one, else by the bootstrap."""
        chosen = self.values[rows]
        if self.is_share:
            return proportion(int(chosen.sum()), len(rows))
        return mean_share(chosen) if self.is_bounded else mean_of(chosen)
