"""Split conformal prediction: sets and intervals that hold the truth as often as they promise, whatever the model.

Vovk et al., Algorithmic Learning in a Random World (2005). Classes: least ambiguous sets (LAC; Sadinle, Lei and
Wasserman 2019) or adaptive sets (APS; Romano, Sesia and Candes 2020, without their randomisation). Numbers: absolute
residuals (Lei et al. 2018). Several labels a row: conformal risk control of the share of a row's labels that are missed
(Angelopoulos, Bates, Fisch, Lei and Schuster 2024, arXiv:2208.02814, theorem 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import betabinom, norm

from luban.data.draw import sample_rows
from luban.evaluation.scores.intervals import Score, mean_share, proportion
from luban.tasks.base import Array, Floats, SetMethod, Task
from luban.tasks.validated import SetScores

MAX_SCORES = 5_000  # that are stored with a model
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
    method: SetMethod

    @property
    def sentence(self) -> str:
        """What the coverage says, in plain words."""
        kind = "intervals" if self.sizes is None else "sets"
        held = f"{self.coverage.value:.1%}"
        truth = f"{held} of a test row's labels" if self.method == "risk" else f"the truth in {held} of the test rows"
        found = f"{self.level:.0%} {kind} hold {truth}"
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


def method_of(task: Task, sets: Literal["lac", "aps"]) -> SetMethod | None:
    """Return how a task's sets are made; None where they cannot be."""
    return sets if sets in task.set_methods else next(iter(task.set_methods), None)


def fit_scores(method: SetMethod, targets: Array, outputs: Floats, seed: int = 0) -> SetScores:
    """Return how strange the truth of each validation row is; of at most 5,000 rows drawn at random.

    Of several labels a row each has a score, and they weigh as much as one row together.
    """
    if method == "risk":
        return _label_scores(targets, outputs, seed)
    if method == "residual":
        scores = np.abs(targets.astype(np.float64) - outputs)
    else:
        scores = _strangeness(method, outputs)[np.arange(len(targets)), targets.astype(np.int64)]
    scores = scores[sample_rows(len(scores), MAX_SCORES, np.random.default_rng(seed))]
    return SetScores(method=method, scores=tuple(np.sort(scores.astype(np.float64)).tolist()))


def _label_scores(targets: Array, outputs: Floats, seed: int) -> SetScores:
    present = targets.astype(np.bool_)
    at_most = max(1, MAX_SCORES * len(present) // max(1, int(present.sum()))) if len(present) else 0
    kept = sample_rows(len(present), min(MAX_SCORES, at_most), np.random.default_rng(seed))
    rows, labels = np.nonzero(present[kept])
    scores = 1 - outputs[kept][rows, labels].astype(np.float64)
    order = np.argsort(scores, kind="stable")
    weights = (1 / present[kept].sum(axis=1).clip(1))[rows]
    return SetScores(
        method="risk", scores=tuple(scores[order].tolist()), weights=tuple(weights[order].tolist()), rows=len(kept)
    )


def limit_of(found: SetScores, level: float) -> float:
    """Return how strange a label may be, or how far off a number: that of a new row is no stranger at the level.

    It is the smallest score beyond which so little of the validation rows' truth lies that one more row, all of it
    missed, would still leave 1 - level at most: without weights the ceil((n + 1) * level)-th smallest. Infinite where
    there are too few rows for the level.
    """
    scores, weights = found.arrays()
    allowed = (1 - level) * (found.num_rows + 1) - 1 + 1e-9
    if allowed < 0:
        return math.inf
    beyond = weights.sum() - np.cumsum(weights)
    places = np.flatnonzero(beyond <= allowed)
    return float(scores[places[0]]) if len(places) else -math.inf


def rows_needed(level: float) -> int:
    """Return how many validation rows a level asks for."""
    return math.ceil(level / (1 - level) - 1e-9)


def sets_of(method: SetMethod, outputs: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Return (rows, C): the classes that are no stranger than the limit, and always the most probable one; of several
    labels a row those that are no stranger, if any."""
    members: npt.NDArray[np.bool_] = _strangeness(method, outputs) <= limit
    if method == "risk":
        return members
    members[np.arange(len(outputs)), outputs.argmax(axis=1)] = True
    return members


def _strangeness(method: SetMethod, outputs: Floats) -> Floats:
    """(rows, C): 1 minus the probability (LAC; each of several labels), or that of all classes down to it (APS)."""
    probabilities = outputs.astype(np.float64)
    if method in ("lac", "risk"):
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(probabilities, order, axis=1), axis=1)
    strangeness = np.empty_like(sums)
    np.put_along_axis(strangeness, order, sums, axis=1)
    return strangeness


def check_coverage(found: SetScores, level: float, targets: Array, outputs: Floats) -> Conformal | None:
    """Measure on test rows what sets and intervals fitted on validation rows hold; None where those rows are too few.

    The interval of the coverage is Wilson's; whether it holds is decided by its exact law, the beta-binomial
    (Angelopoulos and Bates 2023, section 3.2). Of several labels a row, the coverage is the mean share of a row's
    labels that its set holds, with Wilson's interval of as many rows as it is worth and the normal law of the two
    samples' means.
    """
    limit = limit_of(found, level)
    if limit == math.inf:
        return None
    rows, fitted = len(targets), found.num_rows
    if found.method == "residual":
        coverage, holds = _share_held(np.abs(targets.astype(np.float64) - outputs) <= limit, fitted, level)
        return Conformal(level, coverage, None, None, limit, fitted, holds, found.method)
    members = sets_of(found.method, outputs, limit)
    if found.method == "risk":
        coverage, holds = _labels_held(members, targets.astype(np.bool_), fitted, level)
    else:
        coverage, holds = _share_held(members[np.arange(rows), targets.astype(np.int64)], fitted, level)
    counts = np.bincount(members.sum(axis=1))
    sizes = {str(size): int(counts[size]) for size in np.flatnonzero(counts)}
    return Conformal(level, coverage, sizes, float(members.sum(axis=1).mean()), None, fitted, holds, found.method)


def _share_held(held: npt.NDArray[np.bool_], fitted: int, level: float) -> tuple[Score, bool]:
    """held: (rows,), whether each row's truth is in its set."""
    rows, covered = len(held), int(held.sum())
    place = math.ceil((fitted + 1) * level - 1e-9)
    return proportion(covered, rows), bool(betabinom.cdf(covered, rows, place, fitted + 1 - place) > DOUBT)


def _labels_held(
    members: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_], fitted: int, level: float
) -> tuple[Score, bool]:
    """members, present: (rows, C). A row without labels has nothing to miss."""
    counts = present.sum(axis=1)
    shares = np.where(counts > 0, (members & present).sum(axis=1) / counts.clip(1), 1.0)
    coverage = mean_share(shares)
    error = float(shares.std()) * math.sqrt(1 / len(shares) + 1 / fitted)
    return coverage, bool(coverage.value >= level + norm.ppf(DOUBT) * error)
