"""Columns of dates: DENSE, days since training began and the phases of the year, the week and the day."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import Field

from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence
from luban.core.strict import Share
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features import epoch
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.cells import quoted, share, strings
from luban.features.learned import clauses, missing

# How the day is written; the first that reads 99 % of the cells is taken. Dots put the day first everywhere.
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d", "%d.%m.%Y", "%d %b %Y", "%b %d, %Y")
# A day and a month that cannot be told apart by the writing alone: (day first, month first).
AMBIGUOUS_DAYS = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))
# How the time of the day follows; one column may mix them.
TIMES = ("", " %H:%M:%S%.f", "T%H:%M:%S%.f", " %H:%M", "T%H:%M", " %H时%M分", "%H时%M分")
ZONED_TIMES = ("T%H:%M:%S%.f%#z", " %H:%M:%S%.f%#z")

PARSED_SHARE = 0.99
HEAD, HEAD_SHARE = 100, 0.9  # cells that are looked at first, and how many of them must read as dates
PARTS = r"\d\D+\d"  # every way of writing a day has numbers with something between them
SURE = 0.97
LONGEST_DATE = 40  # characters
EARLIEST_YEAR, LATEST_YEAR = 1000, 9999  # outside, '1/7/16' would pass for a day of the year 16
MOST_DAYS = 110_000_000  # before and after 1970 that 64 bits of microseconds hold
DAYS_LIMIT = 1e4  # scaled days stay finite in every float type
WIDTH = 8
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_A_DAY = 86_400_000_000


class DateConfig(FeatureConfig):
    """day_first: whether 03/04/2016 is the 3rd of April; None reads it off the cells, and raises where they do not
    tell."""

    day_first: bool | None = None


def parse_dates(series: pl.Series, day_format: str | None) -> pl.Series:
    """Return Datetime cells without a time zone, null where there is none. day_format: None for date columns; for
    numbers since 1970 a name in `epoch.FORMATS`."""
    if isinstance(series.dtype, pl.Datetime):
        return series.dt.replace_time_zone(None).dt.cast_time_unit("us")
    if series.dtype == pl.Date:
        return series.cast(pl.Datetime("us"))
    if day_format in epoch.FORMATS:
        return epoch.parse_epoch(series, day_format)
    cells = strings(series)
    cells = cells.set(cells.str.len_chars() > LONGEST_DATE, None)
    parsed = pl.Series(series.name, [None] * len(cells), dtype=pl.Datetime("us"))
    for time in (*TIMES, *ZONED_TIMES) if day_format else ():
        left = cells.filter(parsed.is_null() & cells.is_not_null())
        if not len(left):
            break
        found = left.str.to_datetime(f"{day_format}{time}", time_unit="us", strict=False, ambiguous="null")
        found = found.dt.replace_time_zone(None)
        found = found.set(~found.dt.year().is_between(EARLIEST_YEAR, LATEST_YEAR), None)
        parsed = parsed.scatter((parsed.is_null() & cells.is_not_null()).arg_true(), found)
    return parsed


def _reads(cells: pl.Series, day_format: str) -> bool:
    """Whether nearly all cells, which are not missing, read as dates."""
    head = cells.head(HEAD)
    return all(
        len(part) > 0 and share(parse_dates(part, day_format).is_not_null()) >= threshold
        for part, threshold in ((head, HEAD_SHARE), (cells, PARSED_SHARE))
    )


def find_formats(series: pl.Series) -> tuple[str, ...]:
    """Return the way the days are written, both ways where day and month cannot be told apart, or nothing."""
    cells = strings(series).drop_nulls()
    head = cells.head(HEAD)
    if not len(head) or share(head.str.contains(PARTS)) < HEAD_SHARE:  # most columns are no dates: find out cheaply
        return ()
    for day_format in DAYS:
        if _reads(cells, day_format):
            return (day_format,)
    for pair in AMBIGUOUS_DAYS:
        if found := tuple(day_format for day_format in pair if _reads(cells, day_format)):
            return found
    return ()


@dataclass(frozen=True, eq=False)
class DateFeature(Feature):
    """day_format: how days are written in columns of strings, or the unit of numbers. first, span: of training, in days
    since 1970."""

    kind: ClassVar[str] = "date"
    tensor_kind: ClassVar[TensorKind] = TensorKind.DENSE
    config_type: ClassVar[type[FeatureConfig]] = DateConfig

    name: str
    columns: tuple[str, ...]
    day_format: str | None
    first: Annotated[float, Field(ge=-MOST_DAYS, le=MOST_DAYS)]
    span: Annotated[float, Field(ge=0, le=MOST_DAYS)]
    missing_values: tuple[str, ...]
    missing_share: Share

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        dtype = profile.sample.dtype
        if dtype == pl.Date or isinstance(dtype, pl.Datetime):
            return 1.0
        if not (dtype == pl.String or dtype.is_numeric()):
            return 0.0
        is_epoch = epoch.is_time_name(profile.name) and epoch.find_epoch(profile.sample) is not None
        return SURE if is_epoch or (dtype == pl.String and find_formats(profile.sample)) else 0.0

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: DateConfig, context: FitContext
    ) -> Self:
        series = _without(frame[columns[0]], context.missing_values)
        day_format = _choose_format(series, config)
        days = parse_dates(series, day_format).cast(pl.Int64).drop_nulls().to_numpy() / MICROSECONDS_A_DAY
        return cls(
            name=name,
            columns=columns,
            day_format=day_format,
            first=float(days.min(initial=math.inf)) if len(days) else 0.0,
            span=float(np.ptp(days)) if len(days) else 0.0,
            missing_values=tuple(sorted(context.missing_values)),
            missing_share=1 - len(days) / len(series) if len(series) else 0.0,
        )

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Make (rows, 8): scaled days; sine and cosine of month, day of the week and hour; whether it is missing."""
        series = _without(frame[self.columns[0]], frozenset(self.missing_values))
        dates = parse_dates(series, self.day_format)
        missing = dates.is_null().to_numpy()
        days = dates.cast(pl.Int64).fill_null(0).to_numpy() / MICROSECONDS_A_DAY
        values = np.zeros((len(series), WIDTH))
        values[:, 0] = np.clip((days - self.first) / max(self.span, 1.0), -DAYS_LIMIT, DAYS_LIMIT)
        phases = (
            (dates.dt.month().fill_null(1).to_numpy() - 1) / 12,
            (dates.dt.weekday().fill_null(1).to_numpy() - 1) / 7,
            (dates.dt.hour().fill_null(0).to_numpy() + dates.dt.minute().fill_null(0).to_numpy() / 60) / 24,
        )
        for index, phase in enumerate(phases):
            values[:, 1 + 2 * index] = np.sin(2 * np.pi * phase)
            values[:, 2 + 2 * index] = np.cos(2 * np.pi * phase)
        values[missing] = 0.0
        values[:, -1] = missing
        bad = np.flatnonzero(missing & strings(series).is_not_null().to_numpy())
        expected = "a date" if self.day_format is None else f"a date like {example(self.day_format)}"
        return Encoded(
            EncodedColumn(self.tensor_kind, values.astype(np.float32)),
            {
                int(row): f"expected {expected}, found {quoted(series[int(row)])}. Add it to data.missing_values"
                for row in bad
            },
        )

    def spec(self) -> InputSpec:
        return InputSpec(self.name, self.tensor_kind, WIDTH)

    def state(self) -> dict[str, Any]:
        return asdict(self) | {"columns": list(self.columns), "missing_values": list(self.missing_values)}

    def check_state(self) -> None:
        if self.day_format is not None:
            try:
                parse_dates(pl.Series([example(self.day_format)]), self.day_format)
            except pl.exceptions.PolarsError as error:
                raise ValueError(f"day_format: no format of dates ({self.day_format})") from error

    def describe(self) -> Sentence:
        first, last = (EPOCH + timedelta(days=day) for day in (self.first, self.first + self.span))
        return clauses(
            [
                sentence("learned.dates", "{first} to {last}", first=f"{first:%Y-%m-%d}", last=f"{last:%Y-%m-%d}"),
                None
                if self.day_format is None
                else sentence("learned.date_format", "written like {example}", example=example(self.day_format)),
                missing(self.missing_share),
            ]
        )


def example(day_format: str) -> str:
    """Return the 31st of December 2016 in a format."""
    if unit := epoch.FORMATS.get(day_format):
        return str(int(datetime(2016, 12, 31, tzinfo=UTC).timestamp()) * epoch.UNITS[unit])
    return datetime(2016, 12, 31, tzinfo=UTC).strftime(day_format)


def _without(series: pl.Series, missing_values: frozenset[str]) -> pl.Series:
    if series.dtype != pl.String:
        return series
    cells = strings(series)
    return cells.set(cells.is_in(list(missing_values)), None)


def _choose_format(series: pl.Series, config: DateConfig) -> str | None:
    if series.dtype == pl.Date or isinstance(series.dtype, pl.Datetime):
        return None
    formats = find_formats(series)
    if not formats and (found := epoch.find_epoch(series)):
        return found
    if not formats and len(cells := strings(series).drop_nulls()):
        raise DataError(
            f"column '{series.name}'",
            expected=f"dates written one way, like {', '.join(example(day) for day in DAYS[:3])}",
            found=quoted(cells[0]),
            action="Write the dates like 2016-12-31, or choose another kind for the column",
        )
    if len(formats) == 2 and config.day_first is None:
        raise DataError(
            f"column '{series.name}'",
            expected="dates that tell the day from the month",
            found=f"none past the 12th ({quoted(strings(series).drop_nulls()[0])} could be either)",
            action="Set features.date.day_first to true or false",
        )
    return (formats[0 if config.day_first else -1] if len(formats) == 2 else formats[0]) if formats else None
