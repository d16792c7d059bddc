"""Dates and times of the day as people write them: the one place that reads them, for inference, training, prediction
and audit.

Every cell is read by a grammar: a time of the day, with its half and its zone, is taken out of it, and the day is what
is left. The clock is the one on the wall: hours are taken as written, whatever the zone behind them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from luban.features.cells import SAMPLED, evenly, share, strings
from luban.features.parsing.date_grammar import EARLIEST_YEAR, LATEST_YEAR, NONE, ORDERS, Mask, Order, Parts, take_apart

TIME_OF_DAY = "%H:%M"  # the format of columns that have no day
PARSED_SHARE = 0.99
HEAD, HEAD_SHARE = 100, 0.9  # cells that are looked at first, and how many of them must read as dates
LIKELY = r"\d\D+\d|^\d{8}|[A-Za-z]{3}\D*\d{4}|\d{4}\D+[A-Za-z]{3}|^\d{1,2} ?[AaPp]\.?[Mm]"
LONGEST_DATE = 80  # characters
ISO_DAY = "%Y-%m-%d"
# What Polars reads many times as fast as the grammar, and as it does.
QUICK_TIMES = (
    " %H:%M:%S%.f", "", "T%H:%M:%S%.f", " %H:%M", "T%H:%M", " %H时%M分", "%H时%M分", " %I:%M:%S %p", " %I:%M %p",
)  # fmt: skip
QUICK_ZONE = r"(:\d{2}(?:\.\d+)?) ?(?:Z|[+-]\d{2}:?\d{2}|UTC|GMT)$"
QUICK_WEEKDAY = r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), "
CALENDAR_SPREAD, CALENDAR_DAYS = 2, 8  # so many times more different days than years, and so many, tell them apart


@dataclass(frozen=True)
class Writing:
    """How a column's dates are written. day_format: the commonest way, in letters of strftime. orders: of day, month
    and year as numbers: one where the cells decide, several where they leave it open, none where no cell needs one."""

    day_format: str
    orders: tuple[Order, ...] = ()


def parse_text(series: pl.Series, order: Order | None, day_format: str | None = None) -> pl.Series:
    """Return Datetime cells without a zone, null where a cell is no date, or where its order is needed and not given.

    day_format: the commonest way of writing, which is tried first; with `TIME_OF_DAY` times are read as those of the
    1st of January 1970.
    """
    cells = strings(series)
    cells = cells.set(cells.str.len_chars() > LONGEST_DATE, None)
    found = pl.Series(series.name, [None] * len(cells), dtype=pl.Datetime("us"))
    of_day = day_format == TIME_OF_DAY
    bare = cells.str.replace(QUICK_ZONE, "$1").str.replace(QUICK_WEEKDAY, "")
    contradicts = order is not None and order_of(day_format) not in (None, order)
    for way in () if of_day else _quick(None if contradicts else day_format):
        left = (found.is_null() & cells.is_not_null()).arg_true()
        if not len(left) or not _read_quickly(bare.gather(left.head(HEAD)), way).is_not_null().any():
            continue
        found = found.scatter(left, _read_quickly(bare.gather(left), way))
    left = (found.is_null() & cells.is_not_null()).arg_true()
    if not len(left):
        return found
    distinct = cells.gather(left).unique()
    parts = take_apart(distinct)
    moments = parts.dates(order)
    if of_day:
        moments = np.where(parts.has_time & (parts.is_time | (moments != NONE)), parts.microseconds, NONE)
    read = pl.Series(moments).set(pl.Series(moments == NONE), None).cast(pl.Datetime("us"))
    return found.scatter(left, cells.gather(left).replace_strict(distinct, read, return_dtype=pl.Datetime("us")))


def _quick(day_format: str | None) -> tuple[str, ...]:
    days = (ISO_DAY,) if day_format is None or "%y" in day_format or "%d" not in day_format else (day_format, ISO_DAY)
    return tuple(f"{day}{time}" for day in dict.fromkeys(days) for time in QUICK_TIMES)


def _read_quickly(cells: pl.Series, way: str) -> pl.Series:
    read = cells.str.to_datetime(way, time_unit="us", strict=False, ambiguous="null")
    return read.set(~read.dt.year().is_between(EARLIEST_YEAR, LATEST_YEAR), None)


def find_writing(series: pl.Series) -> Writing | None:
    """Return how nearly all cells write dates or times of the day, or None where they are none."""
    cells = sampled(series)
    head = cells.head(HEAD)
    if not len(head) or share(head.str.contains(LIKELY)) < HEAD_SHARE:  # most columns are no dates: find out cheaply
        return None
    if _writing(head, HEAD_SHARE) is None:
        return None
    return _writing(cells, PARSED_SHARE)


def _writing(cells: pl.Series, least: float) -> Writing | None:
    short = cells.set(cells.str.len_chars() > LONGEST_DATE, None).fill_null("")
    parts = take_apart(short)
    if parts.is_time.mean() >= least:
        return Writing(TIME_OF_DAY) if (parts.microseconds[parts.is_time] != NONE).mean() >= least else None
    orders = tuple(order for order in _candidates(parts) if _reads(parts, order, least)) if parts.is_open.any() else ()
    found = parts.dates(orders[0] if orders else None) != NONE
    if found.mean() < least:
        return None
    return Writing(_format(parts, found, orders), orders)


def _reads(parts: Parts, order: Order, least: float) -> bool:
    return float((parts.dates(order) != NONE)[parts.is_open].mean()) >= least


def _candidates(parts: Parts) -> tuple[Order, ...]:
    """Return the orders that the cells without an order of their own may have: years of two digits may stand first,
    where a year's number differs less from row to row than a day's."""
    short = parts.is_open & parts.is_short
    if not short.any():
        return ("dmy", "mdy")
    firsts, lasts = len(np.unique(parts.a[short])), len(np.unique(parts.c[short]))
    dotted = bool((parts.frame["s"] == ".").fill_null(False).to_numpy()[short].all())
    last: tuple[Order, ...] = ("dmy",) if dotted else ("dmy", "mdy")
    if (~parts.is_short & parts.is_open).any() or firsts >= max(CALENDAR_DAYS, CALENDAR_SPREAD * lasts):
        return last
    return ("ymd",) if lasts >= max(CALENDAR_DAYS, CALENDAR_SPREAD * firsts) else (*last, "ymd")


def _format(parts: Parts, found: Mask, orders: tuple[Order, ...]) -> str:
    """Return the commonest way to write the day, in letters of strftime."""
    letters = np.array(ORDERS)[np.where(parts.is_open, ORDERS.index(orders[0] if orders else ""), parts.told)]
    rows = pl.DataFrame(
        {
            "letters": letters,
            "short": parts.is_short,
            **{name: parts.frame[name].fill_null("") for name in ("s", "t")},
            **{f"{name}_": parts.frame[name].str.contains("[A-Z]").fill_null(False) for name in ("a", "b")},
            "chinese": parts.frame["cell"].str.contains("年"),
        }
    ).filter(pl.Series(found))
    top = (
        rows.group_by(pl.all(), maintain_order=True)
        .len()
        .sort("len", descending=True, maintain_order=True)
        .row(0, named=True)
    )
    if top["letters"] in ("ymd", "ym") and top["chinese"]:
        return "%Y年%m月%d日" if top["letters"] == "ymd" else "%Y年%m月"
    names = {"y": "%y" if top["short"] else "%Y", "m": "%b" if top["a_"] or top["b_"] else "%m", "d": "%d"}
    written = [names[letter] for letter in top["letters"]]
    return "".join(f"{sign}{part}" for sign, part in zip(("", top["s"], top["t"]), written, strict=False))


def order_of(day_format: str | None) -> Order | None:
    """Return the order of the numbers in a format in letters of strftime."""
    if day_format is None or "%b" in day_format:
        return None
    starts: dict[str, Order] = {"%d": "dmy", "%m": "mdy", "%y": "ymd"}
    return starts.get(day_format[:2])


def zones_of(series: pl.Series) -> tuple[str, ...]:
    """Return the zones of cells with a time, sorted: offsets like '+08:00', names as written, '' for none. Strings are
    sampled."""
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return ("",)
        minutes = (series.dt.base_utc_offset() + series.dt.dst_offset()).dt.total_minutes().drop_nulls().unique()
        return tuple(sorted(_offset(int(minute)) for minute in minutes))
    if dtype != pl.String:
        return ()
    cells = sampled(series).unique()
    parts = take_apart(cells.filter(cells.str.len_chars() <= LONGEST_DATE))
    found = parts.frame.filter(pl.Series(parts.has_time))["zone"].fill_null("").unique()
    return tuple(sorted({_zone(zone) for zone in found}))


def sampled(series: pl.Series) -> pl.Series:
    """Return cells that are there, drawn evenly."""
    return evenly(strings(series).drop_nulls(), SAMPLED)


def _zone(written: str) -> str:
    """Return a zone in one spelling: its offset where it has one."""
    text = written.strip("()[] ").replace("−", "-")
    if text in ("", "Z", "UTC", "GMT", "UT"):
        return "+00:00" if text else ""
    text = text.removeprefix("UTC").removeprefix("GMT").strip()
    if text[0] in "+-":
        digits = "".join(sign for sign in text[1:6] if sign.isdigit())
        hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
        return _offset((60 * int(hours) + int(minutes)) * (-1 if text[0] == "-" else 1))
    return text


def _offset(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
