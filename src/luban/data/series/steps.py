"""Steps of time: how far rows are apart, and the moments that follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Unit = Literal["s", "m", "h", "d", "bd", "w", "mo", "y", "step"]
Integers = npt.NDArray[np.int64]
Moments = npt.NDArray[np.int64]  # microseconds since 1970, or steps where time is counted

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MICROSECONDS = 1_000_000
WRITTEN = re.compile(r"([0-9]{1,6})(s|m|h|d|bd|w|mo|q|y)")
USUAL = 0.5  # of the distances must be one step for it to be told
WEEK_DAYS = 4  # distances enough to tell working days from days
# How many steps a season usually has: a day of hours, a week of days, a year of months.
SEASONS = {"s": 60, "m": 60, "h": 24, "d": 7, "bd": 5, "w": 52, "mo": 12, "y": 1, "step": 1}


@dataclass(frozen=True)
class Frequency:
    """count units from one row to the next: `15 m`, `1 h`, `1 mo`. bd: working days. step: time is a number."""

    count: int
    unit: Unit

    def __str__(self) -> str:
        return f"{self.count}{self.unit}" if self.unit != "step" else str(self.count)

    @classmethod
    def of(cls, text: str) -> Frequency | None:
        """Read `15m`, `1h`, `1d`, `1bd`, `1w`, `1mo`, `1q`, `1y`, or a number of steps; None for anything else."""
        if text.isascii() and text.isdecimal() and int(text):
            return cls(int(text), "step")
        found = WRITTEN.fullmatch(text)
        if found is None or not int(found[1]):
            return None
        count, unit = int(found[1]), found[2]
        return cls(3 * count, "mo") if unit == "q" else cls(count, unit)  # type: ignore[arg-type]

    @property
    def season(self) -> int:
        """How many steps a season usually has; 1 where none is usual."""
        usual = SEASONS[self.unit]
        if self.unit in ("s", "m"):  # a day of quarters of an hour has 96
            a_day = 86_400 // (SECONDS[self.unit] * self.count)
            return a_day if 2 <= a_day <= 1_440 else 1
        return usual // self.count if usual % self.count == 0 else 1

    def moved(self, moments: Moments, steps: Integers | int) -> Moments:
        """Return the moments so many steps later. Months are counted from the first of the month, so that the last days
        of months follow each other."""
        distance = np.asarray(steps, np.int64) * self.count
        if self.unit == "step":
            return moments + distance
        if self.unit in SECONDS:
            return moments + distance * SECONDS[self.unit] * MICROSECONDS
        days, of_day = np.divmod(moments, SECONDS["d"] * MICROSECONDS)
        dates = days.astype("datetime64[D]")
        if self.unit == "bd":
            moved = np.busday_offset(dates, distance, roll="forward")
        else:
            months = dates.astype("datetime64[M]")
            place, is_last = (dates - months.astype("datetime64[D]")).astype(np.int64), _is_last(dates)
            target = months + (distance * (12 if self.unit == "y" else 1)).astype("timedelta64[M]")
            length = _length(target)
            moved = target.astype("datetime64[D]") + np.where(is_last, length - 1, np.minimum(place, length - 1))
        return moved.astype("datetime64[D]").astype(np.int64) * SECONDS["d"] * MICROSECONDS + of_day

    def counted(self, start: Moments, moments: Moments) -> Integers:
        """Return how many steps moments lie behind their start, rounded to the nearest; both (rows,)."""
        if self.unit == "step":
            return np.rint((moments - start) / self.count).astype(np.int64)
        if self.unit in SECONDS:
            return np.rint((moments - start) / (self.count * SECONDS[self.unit] * MICROSECONDS)).astype(np.int64)
        first, last = (_dates(part) for part in (start, moments))
        if self.unit == "bd":
            return np.rint(np.busday_count(first, last) / self.count).astype(np.int64)
        months = last.astype("datetime64[M]").astype(np.int64) - first.astype("datetime64[M]").astype(np.int64)
        return np.rint(months / (self.count * (12 if self.unit == "y" else 1))).astype(np.int64)


def _dates(moments: Moments) -> npt.NDArray[np.datetime64]:
    days: npt.NDArray[np.datetime64] = (moments // (SECONDS["d"] * MICROSECONDS)).astype("datetime64[D]")
    return days


def _length(months: npt.NDArray[np.datetime64]) -> Integers:
    """Return how many days months have."""
    following = (months + np.timedelta64(1, "M")).astype("datetime64[D]")
    days: Integers = (following - months.astype("datetime64[D]")).astype(np.int64)
    return days


def _is_last(dates: npt.NDArray[np.datetime64]) -> npt.NDArray[np.bool_]:
    """Return whether dates are the last of their month, beyond the 28th."""
    months = dates.astype("datetime64[M]")
    place = (dates - months.astype("datetime64[D]")).astype(np.int64)
    found: npt.NDArray[np.bool_] = place + 1 == _length(months)
    return found


def moments_of(cells: pl.Series) -> Moments:
    """Return dates as microseconds, whole numbers as they are; neither may be missing."""
    if cells.dtype.is_temporal():
        return cells.cast(pl.Datetime("us")).to_physical().to_numpy().astype(np.int64)
    return cells.cast(pl.Int64).to_numpy()


def typed_as(moments: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Undo `moments_of`: return moments as cells of a type."""
    return moments.cast(pl.Datetime("us")).cast(dtype) if dtype.is_temporal() else moments.cast(dtype)


def find_frequency(moments: Moments, same: npt.NDArray[np.bool_], *, dated: bool) -> Frequency | None:
    """Return the step between rows, by the commonest distance; None where none is common.

    moments: (rows,), ascending in each series. same: (rows - 1,), whether a row is of the same series as the one before
    it. dated: moments are dates.
    """
    distances = np.diff(moments)[same]
    if not len(distances):
        return None
    values, counts = np.unique(distances, return_counts=True)
    usual = int(values[counts.argmax()])
    if not dated:
        return Frequency(usual, "step") if counts.max() >= USUAL * len(distances) and usual > 0 else None
    day = SECONDS["d"] * MICROSECONDS
    if found := _of_months(moments, same, distances // day):
        return found
    if counts.max() < USUAL * len(distances) or usual % MICROSECONDS or usual <= 0:
        return None
    dates = _dates(moments)
    if usual == day and len(distances) >= WEEK_DAYS and (values == 3 * day).any() and np.is_busday(dates).all():
        return Frequency(1, "bd")
    seconds = usual // MICROSECONDS
    unit: Unit = next(unit for unit in ("w", "d", "h", "m", "s") if seconds % SECONDS[unit] == 0)
    return Frequency(seconds // SECONDS[unit], unit)


def _of_months(moments: Moments, same: npt.NDArray[np.bool_], days: Integers) -> Frequency | None:
    """Return a step of months or years, where rows are on one day of the month or on its last."""
    if np.median(days) < 28:
        return None
    dates = _dates(moments)
    months = dates.astype("datetime64[M]")
    place = (dates - months.astype("datetime64[D]")).astype(np.int64)
    if len(np.unique(place)) > 1 and not _is_last(dates).all():
        return None
    values, counts = np.unique(np.diff(months.astype(np.int64))[same], return_counts=True)
    usual = int(values[counts.argmax()])
    if usual <= 0 or counts.max() < USUAL * counts.sum():
        return None
    return Frequency(usual // 12, "y") if usual % 12 == 0 else Frequency(usual, "mo")
