"""Whether a model serves the groups of a column alike: rates of each group, and the widest gaps between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.evaluation.answers import answer_of
from luban.evaluation.scores.intervals import Score, independent_difference, mean_share, proportion
from luban.evaluation.scores.scoring import mean_of
from luban.evaluation.slices import MIN_ROWS, NUM_BINS, Cut, cut_category, cut_number
from luban.features.cells import strings
from luban.features.number import parse_numbers
from luban.tasks.base import Array, Floats, Task

MAX_GROUP_NUMBERS = 10  # a column of numbers with more distinct ones is cut into bins

UNBOUNDED = ("mae", "mean_error")  # rates that are no shares, nor between 0 and 1


@dataclass(frozen=True)
class Group:
    value: str
    rows: int
    rates: dict[str, Score]


@dataclass(frozen=True)
class Gap:
    """gap: how much higher the rate of the first group is than that of the second: the widest of all pairs."""

    rate: str
    gap: Score
    between: tuple[str, str]


@dataclass(frozen=True)
class Fairness:
    """Rates by the groups of a column."""

    column: str
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "groups": [
                {
                    "value": group.value,
                    "rows": group.rows,
                    "rates": {name: score.to_json() for name, score in group.rates.items()},
                }
                for group in self.groups
            ],
            "gaps": [{"rate": gap.rate, "gap": gap.gap.to_json(), "between": list(gap.between)} for gap in self.gaps],
        }


def compare_groups(task: Task, targets: Array, outputs: Floats, cells: pl.Series, seed: int = 0) -> Fairness | None:
    """Compare the groups that a column makes: its values, or bins of numbers, of 20 rows or more.

    The rates are those of the answer (`evaluation/answers/`): of two classes how often the positive one is predicted,
    TPR, FPR and accuracy; of others the quality of a row. Intervals are Wilson's of shares, and Newcombe's of their
    gaps. Returns None where there are not two such groups.
    """
    cut = _groups(cells)
    sizes = np.bincount(cut.codes[cut.codes >= 0], minlength=len(cut.names))
    big = [code for code in range(len(cut.names)) if sizes[code] >= MIN_ROWS]
    if len(big) < 2:
        return None
    parts = answer_of(task).rates(task, targets, outputs)
    groups = []
    for code in big:
        rows = np.flatnonzero(cut.codes == code)
        rates = {name: _rate(name, values[rows], counted[rows]) for name, (values, counted) in parts.items()}
        groups.append(Group(cut.names[code], len(rows), rates))
    return Fairness(str(cells.name), tuple(groups), tuple(_gaps(groups)))


def num_groups(cells: pl.Series) -> int:
    """Return how many groups of 20 rows or more a column makes, of which at most 50 are compared."""
    if _is_cut(cells):
        return NUM_BINS
    counts = strings(cells).drop_nulls().rename("value").value_counts()["count"]
    return int((counts >= MIN_ROWS).sum())


def _rate(name: str, values: npt.NDArray[Any], counted: npt.NDArray[Any]) -> Score:
    """Return the mean of the values of the rows that are counted, with the interval that they ask for."""
    chosen = values[counted.astype(np.bool_)]
    if chosen.dtype == np.bool_:
        return proportion(int(chosen.sum()), len(chosen))
    return mean_of(chosen) if name in UNBOUNDED else mean_share(chosen)


def _gaps(groups: list[Group]) -> list[Gap]:
    gaps = []
    for rate in groups[0].rates:
        defined = [place for place, group in enumerate(groups) if not np.isnan(group.rates[rate].value)]
        if len(defined) < 2:
            continue
        ordered = sorted(defined, key=lambda place: groups[place].rates[rate].value)
        high, low = ordered[-1], ordered[0]
        gap = independent_difference(groups[high].rates[rate], groups[low].rates[rate])
        gaps.append(Gap(rate, gap, (groups[high].value, groups[low].value)))
    return gaps


def _groups(cells: pl.Series) -> Cut:
    return cut_number(cells) if _is_cut(cells) else cut_category(cells)


def _is_cut(cells: pl.Series) -> bool:
    """Tell whether cells are so many different numbers that they are cut into bins."""
    is_number = cells.dtype.is_numeric() or not parse_numbers(cells)[1].any()
    return is_number and cells.n_unique() > MAX_GROUP_NUMBERS
