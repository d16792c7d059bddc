"""Where a model is better and worse than on the whole: every category, length and bin, and pairs of them.

Each slice is compared with all other rows, and the p-values of all slices that were looked at are corrected together
(Benjamini and Hochberg 1995).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import false_discovery_control, hypergeom, norm

from luban.evaluation.quality import Quality
from luban.evaluation.scores.intervals import Score
from luban.features.cells import CJK, cjk_share, quoted, strings
from luban.features.number import parse_numbers
from luban.features.parsing.words import words_of
from luban.features.plain.columns import CJK_SHARE
from luban.tasks.base import Floats

Codes = npt.NDArray[np.int64]  # (rows,): the slice of each row, -1 for none

MIN_ROWS = 20  # of a slice
MAX_VALUES = 50  # of a column that are looked at
NUM_BINS = 5
MAX_COLUMNS = 200
MAX_PAIR_COLUMNS = 25  # that are paired with each other
MAX_FOUND = 20
MAX_SINGLE = 200  # slices of single columns that are listed
SIGNIFICANT = 0.05
MISSING = "missing"
JOINED = " and "  # between the columns of a pair, and between their values


@dataclass(frozen=True)
class Cut:
    """One column, cut into slices. names: of each code."""

    codes: Codes
    names: list[str]


@dataclass(frozen=True)
class Part:
    """value: a cell of the data in quotation marks; words of ours (a bin, `missing`) have none."""

    column: str
    value: str


@dataclass(frozen=True)
class Slice:
    """parts: one, or two of a pair. difference: of the score from that of all rows. p_adjusted: how often chance alone
    does as much, after correction. worse: whether it is worse by more than chance."""

    parts: tuple[Part, ...]
    rows: int
    score: Score
    difference: float
    p_adjusted: float
    worse: bool

    @property
    def column(self) -> str:
        return JOINED.join(part.column for part in self.parts)

    @property
    def value(self) -> str:
        return JOINED.join(part.value for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values. column, value: to be read; only `parts` tells two columns from one that has an 'and'."""
        parts = [vars(part) for part in self.parts]
        shown = {"column": self.column, "value": self.value}
        return {**shown, **vars(self), "parts": parts, "score": self.score.to_json()}


@dataclass(frozen=True)
class Slices:
    """looked_at: how many slices were. found: the significantly worse ones, the worst first, and then others from worse
    to better. by_column: the slices of single columns."""

    metric: str
    overall: float
    looked_at: int
    found: tuple[Slice, ...]
    by_column: tuple[Slice, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "overall": self.overall,
            "looked_at": self.looked_at,
            "found": [slice_.to_json() for slice_ in self.found],
            "by_column": [slice_.to_json() for slice_ in self.by_column],
        }


def cut_category(cells: pl.Series) -> Cut:
    """Each frequent value."""
    texts = strings(cells)
    counted = texts.drop_nulls().rename("value").value_counts(sort=True).head(MAX_VALUES)
    values = counted.filter(pl.col("count") >= MIN_ROWS)["value"].sort().to_list()
    codes = texts.replace_strict(values, range(len(values)), default=-1, return_dtype=pl.Int64) if values else None
    found = np.full(len(texts), -1, np.int64) if codes is None else codes.fill_null(-1).to_numpy(writable=True)
    return with_missing(Cut(found, [quoted(value) for value in values]), texts.is_null().to_numpy())


def cut_number(cells: pl.Series) -> Cut:
    """Bins of like many rows."""
    return by_bins(parse_numbers(cells)[0])


def cut_text(cells: pl.Series) -> Cut:
    """Bins of the number of words; of characters in Chinese and Japanese."""
    texts = strings(cells)
    is_cjk = cjk_share(texts.head(1000).drop_nulls()) >= CJK_SHARE
    lengths = texts.str.count_matches(CJK if is_cjk else r"\S+").cast(pl.Float64).fill_null(np.nan).to_numpy()
    return by_bins(lengths, "characters" if is_cjk else "words")


def cut_words(cells: pl.Series) -> Cut:
    """Bins of the number of words."""
    return by_bins(words_of(cells).list.len().cast(pl.Float64).fill_null(np.nan).to_numpy(), "words")


def cut_length(cells: pl.Series) -> Cut:
    """Bins of the number of steps of a sequence, or of labels."""
    lengths = [np.nan if cell is None else float(len(cell)) for cell in cells.to_list()]
    return by_bins(np.array(lengths), "long")


def cut_missing(cells: pl.Series) -> Cut:
    """Whether there is a cell."""
    missing = cells.is_null().to_numpy()
    return with_missing(Cut(np.where(missing, -1, 0).astype(np.int64), ["there"]), missing)


def cut_date(cells: pl.Series) -> Cut:
    """Bins of the date as it sorts, where cells are dates already or texts that start with the year."""
    if cells.dtype.is_temporal():
        return by_bins(cells.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy(), shown=_day(cells))
    years = strings(cells).str.extract(r"((?:19|20)\d\d)").cast(pl.Float64, strict=False)
    return by_bins(years.fill_null(np.nan).to_numpy())


CUTS: dict[str, Callable[[pl.Series], Cut]] = {
    "number": cut_number,
    "category": cut_category,
    "identifier": cut_category,
    "date": cut_date,
    "text": cut_text,
    "words": cut_words,
    "sequence": cut_length,
    "labels": cut_category,
    "image": cut_missing,
    "audio": cut_missing,
}


def _day(cells: pl.Series) -> Callable[[float], str]:
    return lambda value: str(pl.Series([int(value)]).cast(cells.dtype)[0])[:10]


def by_bins(values: npt.NDArray[np.float64], unit: str = "", shown: Callable[[float], str] = "{:.4g}".format) -> Cut:
    """Cut numbers, NaN where missing, at their quintiles."""
    known = np.isfinite(values)
    if not known.any():
        return with_missing(Cut(np.full(len(values), -1, np.int64), []), ~known)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, NUM_BINS + 1), method="inverted_cdf"))
    # A value belongs to the last bin that starts no later, and the largest value to the bin below it.
    starts = edges[:-1] if len(edges) > 1 else edges
    codes = np.where(known, np.searchsorted(starts, np.where(known, values, edges[0]), side="right") - 1, -1)
    names = []
    for code in range(len(starts)):
        inside = values[known & (codes == code)]
        low, high = shown(float(inside.min())), shown(float(inside.max()))
        names.append(f"{low} to {high} {unit}".rstrip() if low != high else f"{low} {unit}".rstrip())
    return with_missing(Cut(codes.astype(np.int64), names), ~known)


def with_missing(cut: Cut, missing: npt.NDArray[np.bool_]) -> Cut:
    """Add the rows without a cell as a slice of their own."""
    return Cut(np.where(missing, len(cut.names), cut.codes), [*cut.names, MISSING])


def find_slices(quality: Quality, frame: pl.DataFrame, kinds: Mapping[str, str]) -> Slices | None:
    """Look at all slices of single columns and of pairs of columns. kinds: of the columns to look at.

    Returns None where no slice has 20 rows and as many beside it.
    """
    cuts = {name: CUTS[kind](frame[name]) for name, kind in list(kinds.items())[:MAX_COLUMNS] if kind in CUTS}
    looks = [_look(quality, (name,), cut.codes, len(cut.names)) for name, cut in cuts.items()]
    for first, second in combinations(list(cuts)[:MAX_PAIR_COLUMNS], 2):
        width = len(cuts[first].names) * len(cuts[second].names)
        looks.append(_look(quality, (first, second), _crossed(cuts[first], cuts[second]), width))
    seen = [look for look in looks if len(look.codes)]
    if not seen:
        return None
    place = np.repeat(np.arange(len(seen)), [len(look.codes) for look in seen])
    code, mean = np.concatenate([look.codes for look in seen]), np.concatenate([look.means for look in seen])
    adjusted = false_discovery_control(np.concatenate([look.p_values for look in seen]))
    overall = float(quality.values.mean())
    sign = 1 if quality.higher_is_better else -1
    worse = (adjusted < SIGNIFICANT) & (sign * (mean - overall) < 0)

    def places_of(look: _Look, code: int) -> tuple[tuple[str, int], ...]:
        """Return the columns of a slice, each with its own code."""
        codes = (code,) if len(look.columns) == 1 else divmod(code, len(cuts[look.columns[1]].names))
        return tuple(zip(look.columns, codes, strict=True))

    def described(index: int) -> Slice:
        look = seen[place[index]]
        rows = np.flatnonzero(look.of_rows == code[index])
        return Slice(
            tuple(Part(name, cuts[name].names[own]) for name, own in places_of(look, int(code[index]))),
            len(rows),
            quality.score(rows),
            float(mean[index] - overall),
            float(adjusted[index]),
            bool(worse[index]),
        )

    wider = {
        (look.columns[0], int(c)): float(m)
        for look in seen
        for c, m in zip(look.codes, look.means, strict=True)
        if len(look.columns) == 1
    }
    found: list[Slice] = []
    for index in np.lexsort((sign * mean, ~worse)).tolist():
        look, slice_ = seen[place[index]], described(index)
        if len(look.columns) > 1:
            means = [wider[part] for part in places_of(look, int(code[index])) if part in wider]
            # A pair says something new only where it is worse than its wider slices by more than chance.
            if any((slice_.score.high >= m) if sign > 0 else (slice_.score.low <= m) for m in means):
                continue
        found.append(slice_)
        if len(found) == MAX_FOUND:
            break
    single = [described(index) for index, where in enumerate(place) if len(seen[where].columns) == 1]
    return Slices(quality.metric, overall, len(place), tuple(found), tuple(single[:MAX_SINGLE]))


@dataclass(frozen=True)
class _Look:
    """of_rows: the slice of each row. codes: of the slices that have rows enough, with their means and p-values, (n,)
    each."""

    columns: tuple[str, ...]
    of_rows: Codes
    codes: Codes
    means: Floats
    p_values: Floats


def _look(quality: Quality, columns: tuple[str, ...], of_rows: Codes, width: int) -> _Look:
    """width: how many slices there are."""
    inside = of_rows >= 0
    places, rows = of_rows[inside], len(of_rows)
    counts = np.bincount(places, minlength=width)
    big = np.flatnonzero((counts >= MIN_ROWS) & (rows - counts >= MIN_ROWS))
    sums = np.bincount(places, quality.values[inside], width)[big]
    of_ranks = np.bincount(places, quality.ranks[inside], width)[big]
    counts = counts[big]
    return _Look(columns, of_rows, big, sums / np.maximum(counts, 1), _p_values(quality, counts, sums, of_ranks))


def _p_values(quality: Quality, counts: Codes, sums: npt.NDArray[Any], of_ranks: npt.NDArray[Any]) -> Floats:
    """Two-sided, of each slice against all other rows: hypergeometric (Fisher's exact test) where values are 0 and 1,
    Wilcoxon's rank sum elsewhere, corrected for ties."""
    rows = len(quality.values)
    if quality.is_share:
        right, found = int(quality.values.sum()), np.rint(sums)
        lower, upper = hypergeom.cdf(found, rows, right, counts), hypergeom.sf(found - 1, rows, right, counts)
        both: Floats = np.minimum(1.0, 2 * np.minimum(lower, upper))
        return both
    spread = np.sqrt(quality.ranks.var() * (rows - counts) / (counts * (rows - 1)))
    deviations = np.abs(of_ranks / counts - (rows + 1) / 2)
    p_values: Floats = 2 * norm.sf(np.divide(deviations, spread, out=np.zeros(len(counts)), where=spread > 0))
    return np.minimum(1.0, p_values)


def _crossed(first: Cut, second: Cut) -> Codes:
    """Return the slice of each row by two columns at once."""
    both = (first.codes >= 0) & (second.codes >= 0)
    return np.where(both, first.codes * len(second.names) + second.codes, -1)
