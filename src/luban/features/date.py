"""Columns of dates: DENSE, days since training began and the phases of the year, the week and the day."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import Field

from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence, several
from luban.core.strict import Share
from luban.core.tensors import EncodedColumn, InputSpec, TensorKind
from luban.features import epoch
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.cells import quoted, strings
from luban.features.learned import clauses, lacking, missing
from luban.features.parsing import dates
from luban.features.parsing.date_format import (
    EPOCH,
    MICROSECONDS_A_DAY,
    Format,
    example,
    find_format,
    find_numbers,
    is_doubtful,
    is_typed,
    parse_dates,
    reordered,
)
from luban.features.parsing.date_grammar import Order
from luban.features.parsing.dates import PARSED_SHARE, TIME_OF_DAY

SURE = 0.97
SURE_DAYS = 10  # different days written as one number, from where on they are no chance
EXAMPLES = ("%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日")
MOST_DAYS = 110_000_000  # before and after 1970 that 64 bits of microseconds hold
DAYS_LIMIT = 1e4  # scaled days stay finite in every float type
WIDTH = 8
MIDDLE = 0.5  # of the training's time: where a missing cell stands that training never had


class DateConfig(FeatureConfig):
    """day_first: whether 03/04/2016 is the 3rd of April; None reads it off the cells, and raises where they do not
    tell."""

    day_first: bool | None = None

    @property
    def order(self) -> Order | None:
        return None if self.day_first is None else "dmy" if self.day_first else "mdy"


@dataclass(frozen=True, eq=False)
class DateFeature(Feature):
    """day_format, order: as in `Format`, of training. zones: of its cells with a time, None where a run is too old to
    know. first, span: of training, in days since 1970."""

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
    order: Order | None = None
    zones: tuple[str, ...] | None = None

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        cells = profile.sample
        if is_typed(cells.dtype):
            return 1.0
        if not (cells.dtype == pl.String or cells.dtype.is_numeric()):
            return 0.0
        is_time_name = epoch.is_time_name(profile.name)
        if is_time_name and epoch.find_epoch(cells) is not None:
            return SURE
        found = find_format(cells)
        if found is None or is_doubtful(found):
            return 0.0
        is_bare = found.day_format == "%Y%m%d" and not strings(cells).str.contains(r"\D").any()
        return SURE if not is_bare or is_time_name or profile.num_unique >= SURE_DAYS else 0.0

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: DateConfig, context: FitContext
    ) -> Self:
        series = _without(frame[columns[0]], context.missing_values)
        found = _choose_format(series, config)
        days = parse_dates(series, found.day_format, found.order).cast(pl.Int64).drop_nulls().to_numpy()
        days = days / MICROSECONDS_A_DAY
        return cls(
            name=name,
            columns=columns,
            day_format=found.day_format,
            first=float(days.min(initial=math.inf)) if len(days) else 0.0,
            span=float(np.ptp(days)) if len(days) else 0.0,
            missing_values=tuple(sorted(context.missing_values)),
            missing_share=1 - len(days) / len(series) if len(series) else 0.0,
            order=found.order or config.order,
            zones=dates.zones_of(series),
        )

    def suited(self, frame: pl.DataFrame) -> Self:
        """Read another way of writing, where that reads more of these cells; what it leaves open is as in training."""
        series = dates.sampled(_without(frame[self.columns[0]], frozenset(self.missing_values)))
        if is_typed(frame[self.columns[0]].dtype) or not len(series):
            return self
        num_read = parse_dates(series, self.day_format, self.order).is_not_null().sum()
        if num_read >= PARSED_SHARE * len(series):
            return self
        found = find_format(series) or find_numbers(series)
        if found is None:
            return self
        order = self.order if len(found.orders) != 1 else found.order
        day_format = TIME_OF_DAY if self.day_format == TIME_OF_DAY else found.day_format
        if len(found.orders) > 1:
            day_format = reordered(day_format, order) if order in found.orders else None
        if parse_dates(series, day_format, order).is_not_null().sum() <= num_read:
            return self
        return replace(self, day_format=day_format, order=order)

    def remarks(self, frame: pl.DataFrame) -> list[Sentence]:
        found: list[Sentence] = []
        series = _without(frame[self.columns[0]], frozenset(self.missing_values))
        own = self.suited(frame)
        if self.order is not None and own.order is not None and own.order != self.order:
            found.append(
                sentence(
                    "date.order",
                    "column '{column}': dates are written like {here}, in training like {there}; read as they are",
                    column=self.columns[0],
                    here=example(own.day_format),
                    there=example(self.day_format),
                )
            )
        found += lacking(self.columns[0], series.null_count(), len(series), self.missing_share)
        zones = set(dates.zones_of(series))
        if self.zones and zones - set(self.zones):
            found.append(_zones_differ(self.columns[0], sorted(zones), self.zones))
        return found

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Make (rows, 8): scaled days; sine and cosine of month, day of the week and hour; whether it is missing.

        Where training lacked no date, a missing one is in the middle of its time, of no month, day or hour: the weights
        of a component that was always zero are as they were drawn.
        """
        series = _without(frame[self.columns[0]], frozenset(self.missing_values))
        read = parse_dates(series, self.day_format, self.order)
        missing = read.is_null().to_numpy()
        days = read.cast(pl.Int64).fill_null(0).to_numpy() / MICROSECONDS_A_DAY
        values = np.zeros((len(series), WIDTH))
        values[:, 0] = np.clip((days - self.first) / max(self.span, 1.0), -DAYS_LIMIT, DAYS_LIMIT)
        phases = (
            (read.dt.month().fill_null(1).to_numpy() - 1) / 12,
            (read.dt.weekday().fill_null(1).to_numpy() - 1) / 7,
            (read.dt.hour().fill_null(0).to_numpy() + read.dt.minute().fill_null(0).to_numpy() / 60) / 24,
        )
        for index, phase in enumerate(phases):
            values[:, 1 + 2 * index] = np.sin(2 * np.pi * phase)
            values[:, 2 + 2 * index] = np.cos(2 * np.pi * phase)
        values[missing] = 0.0
        if self.missing_share:
            values[:, -1] = missing
        else:
            values[missing, 0] = MIDDLE
        bad = np.flatnonzero(missing & strings(series).is_not_null().to_numpy())
        return Encoded(
            EncodedColumn(self.tensor_kind, values.astype(np.float32)),
            dict(zip(bad.tolist(), self._why(series, bad), strict=True)),
        )

    def _why(self, series: pl.Series, bad: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[str]:
        cells = series.gather(bad)
        is_open = dates.parse_text(cells, "dmy").is_not_null() if self.order is None and len(bad) else cells.is_null()
        expected = "a date" if self.day_format is None else f"a date like {example(self.day_format)}"
        return [
            f"expected a date that tells the day from the month, found {quoted(cell)}. Write it like 2016-12-31"
            if either
            else f"expected {expected}, found {quoted(cell)}. Add it to data.missing_values"
            for cell, either in zip(cells, is_open, strict=True)
        ]

    def spec(self) -> InputSpec:
        return InputSpec(self.name, self.tensor_kind, WIDTH)

    def state(self) -> dict[str, Any]:
        zones = None if self.zones is None else list(self.zones)
        lists = {"columns": list(self.columns), "missing_values": list(self.missing_values), "zones": zones}
        return asdict(self) | lists

    def check_state(self) -> None:
        if self.day_format is not None:
            try:
                parse_dates(pl.Series([example(self.day_format)]), self.day_format)
            except pl.exceptions.PolarsError as error:
                raise ValueError(f"day_format: no format of dates ({self.day_format})") from error

    def describe(self) -> Sentence:
        first, last = (EPOCH + timedelta(days=day) for day in (self.first, self.first + self.span))
        zones = [zone for zone in self.zones or () if zone]
        return clauses(
            [
                sentence("learned.times", "times from {first} to {last}", first=f"{first:%H:%M}", last=f"{last:%H:%M}")
                if self.day_format == TIME_OF_DAY
                else sentence("learned.dates", "{first} to {last}", first=f"{first:%Y-%m-%d}", last=f"{last:%Y-%m-%d}"),
                None
                if self.day_format is None
                else sentence("learned.date_format", "written like {example}", example=example(self.day_format)),
                sentence("learned.pivot", "years of two digits from 1969 to 2068")
                if "%y" in (self.day_format or "")
                else None,
                sentence("learned.zones", "hours as written, zone {zones}", zones=several(zones)) if zones else None,
                missing(self.missing_share),
            ]
        )


def doubt(profile: ColumnProfile, kind: str) -> str:
    """Say so where the cells of a column that is taken for another kind look like dates."""
    cells = profile.sample
    if kind not in ("category", "text", "number") or not len(cells):
        return ""
    found = find_format(cells) if cells.dtype == pl.String else None
    if found is not None and is_doubtful(found):
        return sentence(
            "infer.short_dates",
            "column '{column}': the cells look like dates whose day, month and year cannot be told apart ({cell}); "
            "it is taken as {kind}. Write years with four digits, or set features.date.day_first and "
            "data.columns.{column}=date",
            column=profile.name,
            cell=quoted(cells[0]),
            kind=kind,
        )
    likely = epoch.likely(profile.name, cells) if kind == "number" else None
    if likely is None:
        return ""
    return sentence(
        "infer.moments",
        "column '{column}': the numbers may be dates ({cell} = {date}); it is taken as {kind}. Set "
        "data.columns.{column}=date if they are",
        column=profile.name,
        cell=quoted(strings(cells)[0]),
        date=f"{epoch.parse_epoch(cells.head(1), likely)[0]:%Y-%m-%d}",
        kind=kind,
    )


def _without(series: pl.Series, missing_values: frozenset[str]) -> pl.Series:
    if series.dtype != pl.String:
        return series
    cells = strings(series)
    return cells.set(cells.is_in(list(missing_values)), None)


def _choose_format(series: pl.Series, config: DateConfig) -> Format:
    cells = strings(series).drop_nulls()
    found = find_format(series) or find_numbers(series)
    if found is None and len(cells):
        raise DataError(
            f"column '{series.name}'",
            expected=f"dates written one way, like {', '.join(example(day) for day in EXAMPLES)}",
            found=quoted(cells[0]),
            action="Write the dates like 2016-12-31, or choose another kind for the column",
        )
    if found is None or len(found.orders) < 2:
        return found or Format(None)
    if config.order in found.orders:
        day_format = found.day_format
        return Format(reordered(day_format, config.order), (config.order,))
    raise DataError(
        f"column '{series.name}'",
        expected="dates that tell the day from the month",
        found=f"none past the 12th ({quoted(cells[0])} could be either)"
        if {"dmy", "mdy"} <= set(found.orders)
        else f"years of two digits that may stand first or last ({quoted(cells[0])})",
        action="Set features.date.day_first to true or false",
    )


def _zones_differ(column: str, here: list[str], there: tuple[str, ...]) -> Sentence:
    """Say that times stand in other zones than those of training."""
    named_here, named_there = ([zone for zone in zones if zone] for zones in (here, there))
    if not named_there:
        return sentence(
            "date.zones_appear",
            "column '{column}': times have the zone {here}, those of training had none; hours are read as written",
            column=column,
            here=several(named_here),
        )
    if not named_here:
        return sentence(
            "date.zones_vanish",
            "column '{column}': times have no zone, those of training had {there}; hours are read as written",
            column=column,
            there=several(named_there),
        )
    return sentence(
        "date.zones_differ",
        "column '{column}': times have the zone {here}, those of training had {there}; hours are read as written",
        column=column,
        here=several(named_here),
        there=several(named_there),
    )
