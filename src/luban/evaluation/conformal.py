"""Split conformal prediction: sets and intervals that hold the truth as often as they promise, whatever the model.

Vovk et al., Algorithmic Learning in a Random World (2005). Classes: least ambiguous sets (LAC; Sadinle, Lei and
Wasserman 2019) or adaptive sets (APS; Romano, Sesia and Candes 2020, without their randomisation). Numbers: absolute
residuals (Lei et al. 2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import betabinom

from luban.evaluation.bootstrap import Score
from luban.evaluation.quality import proportion
from luban.tasks.base import Array, Floats, Task
from luban.tasks.classification import Classification
from luban.tasks.regression import Regression

Method = Literal["lac", "aps", "residual"]

MAX_SCORES = 5_000  # of validation rows that are stored with a model
DOUBT = 0.025  # coverage as low as what was found, or lower, is rarer than this where the promise holds


@dataclass(frozen=True)
class Conformal:
    """level: the promised coverage. coverage: on the test rows. sizes: how many rows have sets of each size.
    half_width: of an interval, in the target's unit. holds: whether the coverage is no lower than chance allows."""

    level: float
    coverage: Score
    sizes: dict[str, int] | None
    mean_size: float | None
    half_width: float | None
    fitted_rows: int
    holds: bool
    method: Method

    @property
    def sentence(self) -> str:
        """What the coverage says, in plain words."""
        kind = "intervals" if self.sizes is None else "sets"
        found = f"{self.level:.0%} {kind} hold the truth in {self.coverage.value:.1%} of the test rows"
        if self.holds:
            return f"{found}."
        return f"{found}: the promise does not hold, so the test rows differ from the validation rows."

    def to_json(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "method": self.method,
            "coverage": self.coverage.to_json(),
            "sizes": self.sizes,
            "mean_size": self.mean_size,
            "half_width": self.half_width,
            "fitted_rows": self.fitted_rows,
            "holds": self.holds,
            "sentence": self.sentence,
        }


def method_of(task: Task, sets: Literal["lac", "aps"]) -> Method | None:
    """Return how a task's sets are made; None where it has none."""
    if isinstance(task, Classification):
        return sets
    return "residual" if isinstance(task, Regression) else None


def fit_scores(method: Method, targets: Array, outputs: Floats, seed: int = 0) -> Floats:
    """Return how strange the truth of each validation row is, sorted, (n,); of at most 5,000 rows drawn at random."""
    if method == "residual":
        scores = np.abs(targets.astype(np.float64) - outputs)
    else:
        scores = _strangeness(method, outputs)[np.arange(len(targets)), targets.astype(np.int64)]
    if len(scores) > MAX_SCORES:
        scores = np.random.default_rng(seed).choice(scores, MAX_SCORES, replace=False)
    ordered: Floats = np.sort(scores.astype(np.float64))
    return ordered


def quantile(scores: Floats, level: float) -> float:
    """Return the ceil((n + 1) * level)-th smallest score: the truth of a new row is no stranger with that probability.

    Infinite where there are too few scores for the level.
    """
    place = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(scores[place - 1]) if place <= len(scores) else math.inf


def rows_needed(level: float) -> int:
    """Return how many validation rows a level asks for."""
    return math.ceil(level / (1 - level) - 1e-9)


def sets_of(method: Method, outputs: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Return (rows, C): the classes that are no stranger than the limit, and always the most probable one."""
    members: npt.NDArray[np.bool_] = _strangeness(method, outputs) <= limit
    members[np.arange(len(outputs)), outputs.argmax(axis=1)] = True
    return members


def _strangeness(method: Method, outputs: Floats) -> Floats:
    """(rows, C): 1 minus the probability (LAC), or the probability of all classes down to this one (APS)."""
    probabilities = outputs.astype(np.float64)
    if method == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    strangeness = np.empty_like(sums)
    np.put_along_axis(strangeness, order, sums, axis=1)
    return strangeness


def check_coverage(method: Method, scores: Floats, level: float, targets: Array, outputs: Floats) -> Conformal | None:
    """Measure on test rows what sets and intervals fitted on validation rows hold; None where those rows are too few.

    The interval of the coverage is Wilson's; whether it holds is decided by its exact law, the beta-binomial
    (Angelopoulos and Bates 2023, section 3.2).
    """
    limit, num_scores, rows = quantile(scores, level), len(scores), len(targets)
    if math.isinf(limit):
        return None
    sizes: dict[str, int] | None = None
    mean_size = half_width = None
    if method == "residual":
        held = np.abs(targets.astype(np.float64) - outputs) <= limit
        half_width = limit
    else:
        members = sets_of(method, outputs, limit)
        held = members[np.arange(rows), targets.astype(np.int64)]
        counts = np.bincount(members.sum(axis=1))
        sizes = {str(size): int(counts[size]) for size in np.flatnonzero(counts)}
        mean_size = float(members.sum(axis=1).mean())
    covered = int(held.sum())
    place = math.ceil((num_scores + 1) * level - 1e-9)
    holds = bool(betabinom.cdf(covered, rows, place, num_scores + 1 - place) > DOUBT)
    found = proportion(covered, rows)
    return Conformal(level, found, sizes, mean_size, half_width, num_scores, holds, method)
