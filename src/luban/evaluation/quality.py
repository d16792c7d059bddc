"""How good the answer of each single row is: what scores of slices and of groups are means of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from luban.evaluation.scores.intervals import Score, mean_share, proportion
from luban.evaluation.scores.scoring import mean_of
from luban.tasks.base import Floats


@dataclass(frozen=True, eq=False)
class Quality:
    """values: (rows,) whose mean is the metric. is_share: whether they are 0 and 1, is_bounded: or between those."""

    metric: str
    values: Floats
    higher_is_better: bool
    is_share: bool
    is_bounded: bool = True

    @cached_property
    def ranks(self) -> Floats:
        """(rows,) from 1; ties share their mean."""
        from scipy.stats import rankdata  # takes long to import: not before the first step

        found: Floats = rankdata(self.values)
        return found

    def score(self, rows: npt.NDArray[np.int64]) -> Score:
        """Return the mean over some rows with the interval of a share where it is one, else by the bootstrap."""
        chosen = self.values[rows]
        if self.is_share:
            return proportion(int(chosen.sum()), len(rows))
        return mean_share(chosen) if self.is_bounded else mean_of(chosen)
