"""The grammar of a date: a time of the day, with its half and its zone, is taken out of a cell; the day is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.features.parsing import date_words as words

Order = Literal["dmy", "mdy", "ymd"]  # of day, month and year where a cell's numbers do not tell
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

ORDERS = ("", "dmy", "mdy", "ymd", "ym", "my")  # those that a cell may tell by itself; '' for none
NONE = np.iinfo(np.int64).min
EARLIEST_YEAR, LATEST_YEAR = 1000, 9999
NEAR_YEARS = (1900, 2100)  # of days written as one number, and of months without a day
PIVOT = 69  # years of two digits from here on are of the 20th century, as in POSIX

_HALF = rf"(?:{words.HALF_AFTER})"
_AFTER = rf"\s*(?P<after>{_HALF})?\s*(?P<zone>{words.ZONE})?"
TIME = (
    rf"(?:^|[T\s:,_日号])(?P<before>{words.HALF_BEFORE})?\s*(?P<hour>\d{{1,2}})"
    r"(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,:](?P<part>\d{1,9}))?)?"
    r"|[H时点](?:(?P<minute_>\d{1,2})(?:分(?:(?P<second_>\d{1,2})秒?)?)?)?"
    rf"|\s?(?P<alone>{_HALF}))" + _AFTER
)
DOTTED_TIME = (  # of Oracle, and of names of files
    r"[\s_T](?P<before>$^)?(?P<hour>\d{2})[.\-](?P<minute>\d{2})[.\-](?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?"
    r"(?P<minute_>$^)?(?P<second_>$^)?(?P<alone>$^)?" + _AFTER + "$"
)
COMPACT = (
    r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    rf"(?:[T _\-]?(?P<hour>\d{{2}})(?P<minute>\d{{2}})(?:(?P<second>\d{{2}})(?:[.,]?(?P<part>\d{{1,9}}))?)?"
    rf"\s?(?P<zone>{words.ZONE})?)?$"
)
_BETWEEN = r"\s?[-/.,]?\s?"
DAY = (
    rf"^(?P<a>{words.MONTH}|\d{{1,4}})(?P<s>{_BETWEEN})(?P<b>{words.MONTH}|\d{{1,2}})"
    rf"(?P<t>{_BETWEEN})'?(?P<c>\d{{4}}|\d{{1,2}})$"
)
MONTH_ONLY = rf"^(?P<a>{words.MONTH}|\d{{1,2}}|\d{{4}})(?P<s>{_BETWEEN})(?P<b>{words.MONTH}|\d{{1,2}}|\d{{4}})$"


@dataclass(frozen=True)
class Parts:
    """What the cells are made of, all (rows,): a, b, c are the numbers of the day in the order written, -1 where there
    is none. told: the order that the cell itself tells, by its place in `ORDERS`. is_open: whether it tells none.
    is_short: whether the year has two digits. microseconds: of the day."""

    a: Ints
    b: Ints
    c: Ints
    told: Ints
    is_open: Mask
    is_short: Mask
    has_time: Mask
    microseconds: Ints
    frame: pl.DataFrame

    @property
    def is_time(self) -> Mask:
        """Whether a cell is a time of the day alone."""
        found: Mask = self.has_time & (self.told == 0) & ~self.is_open & (self.frame["rest"] == "").to_numpy()
        return found

    def dates(self, order: Order | None) -> Ints:
        """Return microseconds since 1970, `NONE` where a cell is no date, or one whose order is not known."""
        told = np.where(self.is_open, ORDERS.index(order or ""), self.told)
        numbers = np.stack([self.a, self.b, self.c])
        year, month, day = (_at(numbers, told, letter) for letter in "ymd")
        year = np.where(self.is_short & (year >= 0), year + np.where(year >= PIVOT, 1900, 2000), year)
        day = np.where((told == ORDERS.index("ym")) | (told == ORDERS.index("my")), 1, day)
        return _since_1970(year, month, day, self.microseconds)


def take_apart(cells: pl.Series) -> Parts:
    """Take stripped strings apart, none of which is null."""
    text = cells.alias("cell").str.normalize("NFKC").str.to_uppercase()
    if text.str.contains("[月午晨早晚]").any():
        text = text.str.replace_all("(上午|下午|凌晨|早上|中午|晚上)", " $1 ")
        months = [f"{month}月" for month in words.CHINESE_MONTHS]
        text = text.str.replace_many(months, [f" {name} " for name in words.MONTH_NUMBERS], leftmost=True)
    if text.str.contains("周|星期|礼拜|[A-Z]{2}").any():
        text = text.str.replace_all(words.WEEKDAY, " ").str.replace(r"^[\s,.]+", "")
        text = text.str.replace_all(r"(\d)(?:ST|ND|RD|TH)\b", "$1").str.replace_all(r"\b(?:OF|AT|ON|THE)\b", " ")
    time = _time(text, TIME)
    rest = text.str.replace(TIME, " ")
    is_dotted = time["hour"].is_null() & text.str.contains(DOTTED_TIME)
    if is_dotted.any():
        dotted = _time(text, DOTTED_TIME)
        time = pl.DataFrame({name: dotted[name].zip_with(is_dotted, time[name]) for name in time.columns})
        rest = text.str.replace(DOTTED_TIME, "").zip_with(is_dotted, rest)
    if rest.str.contains("[年月日号]").any():
        rest = rest.str.replace_all("[年月]", "-").str.replace_all("[日号]", " ").str.replace_all("- *$", "")
    rest = rest.str.replace_all(r"[\s_]+", " ").str.strip_chars(" ,.;")
    compact = rest.str.extract_groups(COMPACT).struct.unnest()
    day = rest.str.extract_groups(DAY).struct.unnest()
    month = rest.str.extract_groups(MONTH_ONLY).struct.unnest()
    frame = pl.DataFrame(
        {
            "cell": text,
            "rest": rest,
            **{name: day[name] for name in "astbc"},
            "zone": time["zone"].set(time["hour"].is_null(), None).fill_null(compact["zone"]),
        }
    )
    return _parts(frame, time, compact, month)


def _time(text: pl.Series, pattern: str) -> pl.DataFrame:
    return text.str.extract_groups(pattern).struct.unnest()


def _parts(frame: pl.DataFrame, time: pl.DataFrame, compact: pl.DataFrame, month: pl.DataFrame) -> Parts:
    a, b, c = (_numbers(frame[name]) for name in "abc")
    long_a, long_c = (_lengths(frame[name]) == 4 for name in "ac")
    named_a, named_b = (frame[name].str.contains("^[A-Z]").fill_null(False).to_numpy() for name in "ab")
    s, t = (frame[name].str.strip_chars().fill_null("") for name in "st")
    same, apart = (s == t).to_numpy(), (frame["t"].fill_null("") != "").to_numpy()
    is_day = c >= 0
    numeric = is_day & ~named_a & ~named_b & same & apart & (frame["s"].fill_null("") != "").to_numpy()
    two_digits = (_lengths(frame["a"]) == 2) & (_lengths(frame["b"]) == 2)
    told = np.zeros(len(frame), np.int64)

    def tell(mask: Mask, order: str) -> None:
        told[mask] = ORDERS.index(order)

    tell(is_day & named_a & ~named_b & apart & (long_c | (_lengths(frame["c"]) == 2)), "mdy")
    tell(is_day & named_b & ~named_a & long_a & ~long_c, "ymd")
    tell(is_day & named_b & ~named_a & (_lengths(frame["a"]) <= 2) & (_lengths(frame["c"]) >= 2), "dmy")
    tell(numeric & long_a & ~long_c, "ymd")
    brief = numeric & (_lengths(frame["a"]) <= 2)
    tell(brief & long_c & (s == ".").to_numpy(), "dmy")
    is_short = brief & (_lengths(frame["c"]) == 2) & (s != "").to_numpy() & (two_digits | (s == "/").to_numpy())
    is_open = is_short | (brief & long_c & (told == 0))
    named_short = is_day & (named_a | named_b) & ~long_a & ~long_c

    whole = compact["year"].is_not_null().to_numpy() & _near(_numbers(compact["year"]))
    for target, name in ((a, "year"), (b, "month"), (c, "day")):
        target[whole] = _numbers(compact[name])[whole]
    tell(whole, "ymd")

    first, second = _numbers(month["a"]), _numbers(month["b"])
    is_month = (told == 0) & ~is_open & (first >= 0) & (month["s"].fill_null("") != "").to_numpy()
    year_first = is_month & (_lengths(month["a"]) == 4) & _near(first) & ~_near(second)
    year_last = is_month & ~year_first & (_lengths(month["b"]) == 4) & _near(second)
    for mask, letters in ((year_first, "ym"), (year_last, "my")):
        a[mask], b[mask], c[mask] = first[mask], second[mask], -1
        tell(mask, letters)
    frame = frame.with_columns(s=pl.when(pl.Series(year_first | year_last)).then(month["s"]).otherwise("s"))
    is_short = (is_short | named_short) & ~(year_first | year_last | whole)

    microseconds, has_time = _clock(time, compact, whole)
    return Parts(a, b, c, told, is_open, is_short, has_time, microseconds, frame)


def _clock(time: pl.DataFrame, compact: pl.DataFrame, whole: Mask) -> tuple[Ints, Mask]:
    """Return microseconds since midnight, 0 for no time and `NONE` for one that there is not; and which have one."""

    def either(name: str) -> Ints:
        written = time[name] if f"{name}_" not in time.columns else time[name].fill_null(time[f"{name}_"])
        return np.maximum(_numbers(written), np.where(whole, _numbers(compact[name]), -1))

    hour = either("hour")
    has_time = hour >= 0
    minute, second = (np.maximum(either(name), 0) for name in ("minute", "second"))
    part = time["part"].fill_null(compact["part"]).str.pad_end(9, "0").str.slice(0, 6)
    half = pl.select(pl.coalesce(time["before"], time["after"], time["alone"]).str.replace_all(r"\.", "")).to_series()
    is_late = half.is_in(list(words.AFTERNOON)).fill_null(False).to_numpy()
    is_early = half.is_in(list(words.MORNING)).fill_null(False).to_numpy()
    hour = np.where(is_late & (hour < 12), hour + 12, np.where(is_early & (hour == 12), 0, hour))
    is_valid = (hour <= 23) & (minute <= 59) & (second <= 60)
    found = ((np.maximum(hour, 0) * 60 + minute) * 60 + np.minimum(second, 59)) * 1_000_000 + np.maximum(
        _numbers(part), 0
    )
    return np.where(is_valid, found, NONE), has_time


def _numbers(cells: pl.Series) -> Ints:
    """Return numbers, and those of months by name; -1 where there is none."""
    found = cells.cast(pl.Int64, strict=False)
    if cells.str.contains("^[A-Z]").any():
        named = cells.str.slice(0, 3).replace_strict(words.MONTH_NUMBERS, default=None, return_dtype=pl.Int64)
        found = found.fill_null(named)
    return found.fill_null(-1).to_numpy().copy()


def _lengths(cells: pl.Series) -> Ints:
    return cells.str.len_chars().fill_null(0).cast(pl.Int64).to_numpy()


def _near(years: Ints) -> Mask:
    return (years >= NEAR_YEARS[0]) & (years <= NEAR_YEARS[1])


def _at(numbers: Ints, told: Ints, letter: str) -> Ints:
    """Return of each row the number at the place of a letter; -1 where it has none."""
    place = np.array([order.find(letter) for order in ORDERS])[told]
    found: Ints = np.where(place >= 0, numbers[np.maximum(place, 0), np.arange(numbers.shape[1])], -1)
    return found


def _since_1970(year: Ints, month: Ints, day: Ints, microseconds: Ints) -> Ints:
    is_valid = (year >= EARLIEST_YEAR) & (year <= LATEST_YEAR) & (month >= 1) & (month <= 12) & (microseconds != NONE)
    months = np.where(is_valid, (year - 1970) * 12 + month - 1, 0)
    starts, ends = ((months + more).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for more in (0, 1))
    is_valid &= (day >= 1) & (day <= ends - starts)
    return np.where(is_valid, (starts + day - 1) * 86_400_000_000 + np.where(is_valid, microseconds, 0), NONE)
