"""Numbers as people write them, `(1,143.00)`, `1'234,5 kg`, `￥３.２万`, read by one rule for each column of a file."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.sentence import Sentence, sentence
from luban.data.decimals import Decimal
from luban.features.parsing.number_marks import (
    LONGEST,
    WRITTEN,
    has_scale,
    is_currency,
    plain_forms,
    scale_and_unit,
    unit_key,
)

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

READ_SHARE = 0.99  # of the cells one way of writing must read, for a column to be one of numbers
MAX_UNITS = 20  # different texts beside the digits; a column with more holds no numbers
UNITS_OF_A_LETTER = "%‰$€£¥₹元gmslhtd"  # of others, '12A' and '13B' are places
CODE_DIGITS = 9  # so many in every cell, with blanks between them, are a telephone number or another code

# Of the digits of a number, where marks stand in them: those that tell what the marks are.
GROUP = r"[1-9]\d{0,2}"
_TELLS = (
    r"^({group}([{other}' ]\d{{3}})+{mark}\d+|{group}({other}\d{{2,3}})*({other}\d{{3}}){{2}}"
    r"|\d*{mark}(\d{{1,2}}|\d{{4,}})|(\d{{4,}}|0\d*)?{mark}\d+)$"
)
POINT_TELLS = _TELLS.format(group=GROUP, mark=r"\.", other=",")
COMMA_TELLS = _TELLS.format(group=GROUP, mark=",", other=r"\.")
SHORT_PAIR, HALF = r"^\d{1,2},\d$", r"^0,[2-9]$"  # '1,2' may be two labels, '0,1' two marks; '0,5' is a number
# What each way of writing allows; apostrophes and blanks are groups of thousands in both.
POINT_FORM = r"^(\d+|\d{1,3}(,\d{2,3})*,\d{3}|\d{1,3}([' ]\d{3})+)?(\.\d+)?$"
COMMA_FORM = r"^(\d+|\d{1,3}(\.\d{3}){1,2}|\d{1,3}(\.\d{3})+,\d+|\d{1,3}([' ]\d{3})+)?(,\d+)?$"


@dataclass(frozen=True)
class Writing:
    """How the numbers of a column are written.

    decimal: what stands before decimals. unit: what stands beside the digits, as it is written most often; empty for
    nothing. example: a cell that is not written like 1234.5; empty where all are.
    """

    decimal: Decimal = "point"
    unit: str = ""
    example: str = ""

    @property
    def is_plain(self) -> bool:
        return not self.example

    def describe(self) -> Sentence | None:
        """Say how the numbers are written; None where they are written plainly."""
        if self.is_plain:
            return None
        if self.unit:
            return sentence("written.unit", "in '{unit}', written like '{cell}'", unit=self.unit, cell=self.example)
        return sentence("written.like", "written like '{cell}'", cell=self.example)

    def state(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Read:
    """values: (rows,) NaN where there is no number. is_other: (rows,) whether a cell is there but is no number.

    units: how many cells have each unit, the most frequent first; cells of others than the first are not read.
    """

    values: Numbers
    is_other: Mask
    writing: Writing
    units: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of the cells that are there, how many are numbers; 0 where none is there."""
        there = self.is_other | ~np.isnan(self.values)
        return 1 - float(self.is_other.sum()) / int(there.sum()) if there.any() else 0.0


def read(cells: pl.Series, hint: Decimal | None = None, unit: str = "", *, is_known: bool = False) -> Read:
    """Read stripped strings, null where missing, as numbers, by the writing that suits the column.

    hint: what stands before decimals where the cells do not tell, as the file or the training has it. unit: of the
    training; cells with another one are not read. is_known: whether the column is one of numbers, so that '1,2' are no
    two labels.
    """
    plain = cells.cast(pl.Float64, strict=False)
    is_other = (cells.is_not_null() & plain.is_null()).to_numpy()
    if not is_other.any() and not (hint == "comma" and _may_be_groups(cells)):
        return Read(plain.fill_null(math.nan).to_numpy(), is_other, Writing())
    parts = _parts(cells)
    digits = parts["digits"]
    points, commas = evidence(digits, is_known=is_known)
    decimal: Decimal = (hint or "point") if points == commas else "point" if points > commas else "comma"
    values = _values(digits, parts["power"], decimal)
    if points and commas:  # whoever wrote it did as they liked: what can be read one way only is read that way
        values = values.fill_null(_values(digits, parts["power"], "comma" if decimal == "point" else "point"))
    befores, afters = parts["before"].fill_null(""), parts["after"].fill_null("")
    beside = pl.DataFrame({"before": befores, "after": afters, "there": values.is_not_null()})
    counted = beside.filter("there").group_by("before", "after").len().sort("len", "before", "after", descending=True)
    if len(counted) > MAX_UNITS:
        return _unread(plain, is_other)
    units, factors, names = _units(counted)
    main = unit or next(iter(units), "")
    wanted = {"", unit_key(main)}
    factor = {pair: scale if unit_key(names[pair]) in wanted else math.nan for pair, scale in factors.items()}
    table = counted.select("before", "after").with_columns(
        pl.Series("factor", [factor[pair] for pair in counted.select("before", "after").iter_rows()], pl.Float64)
    )
    scales = beside.join(table, on=["before", "after"], how="left", maintain_order="left")["factor"].fill_null(math.nan)
    is_minus = parts["minus"].to_numpy()
    written = np.where(is_minus, -1.0, 1.0) * values.fill_null(math.nan).to_numpy() * scales.to_numpy()
    is_plain = plain.is_not_null().to_numpy() & ~(~np.isnan(written) & _pointed(cells, decimal))
    found = np.where(is_plain, plain.fill_null(math.nan).to_numpy(), written)
    unread = cells.is_not_null().to_numpy() & np.isnan(found) & ~is_plain
    example = next(iter(cells.filter(pl.Series(~is_plain & ~unread) & cells.is_not_null())), "")
    return Read(found, unread, Writing(decimal, main, str(example)), tuple(units))


def reads(cells: pl.Series, hint: Decimal | None = None, least: float = READ_SHARE) -> Read:
    """Read a column as numbers however they are written if nearly all of it can be, else what `float` would read."""
    plain = cells.cast(pl.Float64, strict=False)
    is_other = (cells.is_not_null() & plain.is_null()).to_numpy()
    short = _unread(plain, is_other)
    if (not is_other.any() and hint != "comma") or not may_be_numbers(cells, least):
        return short
    found = read(cells, hint)
    return found if found.share >= least and not _are_codes(cells, found) else short


def may_be_numbers(cells: pl.Series, least: float = READ_SHARE) -> bool:
    """Tell cheaply, of most columns, that they hold no numbers: a number is short and has a digit."""
    present = cells.drop_nulls()
    if not len(present):
        return False
    fits = present.str.contains(r"\d") & (present.str.len_chars() <= LONGEST)
    return int(fits.sum()) >= least * len(present)


def plainly(cells: pl.Series, found: Read) -> pl.Series:
    """Return cells with all numbers written like 1234.5, the others as they are."""
    if found.writing.is_plain:
        return cells
    plain = cells.cast(pl.Float64, strict=False).fill_null(math.nan).to_numpy()
    rows = np.flatnonzero(~np.isnan(found.values) & (found.values != plain))
    return cells.scatter(rows, [repr(value).removesuffix(".0") for value in found.values[rows].tolist()])


def tells_decimal(cells: pl.Series, *, is_known: bool = False) -> Decimal | None:
    """Return what stands before decimals in a column of numbers, or None where it holds none or does not tell."""
    if not is_known and not may_be_numbers(cells):
        return None
    digits = _parts(cells)["digits"]
    if not is_known and digits.null_count() - cells.null_count() > (1 - READ_SHARE) * len(digits):
        return None
    points, commas = evidence(digits, is_known=is_known)
    return None if (points > 0) == (commas > 0) else "point" if points else "comma"


def _pointed(cells: pl.Series, decimal: Decimal) -> Mask:
    """Whether a cell has points that are not before decimals."""
    points = cells.str.contains(".", literal=True).fill_null(False).to_numpy()
    return points if decimal == "comma" else np.zeros(len(cells), np.bool_)


def _unread(plain: pl.Series, is_other: Mask) -> Read:
    return Read(plain.fill_null(math.nan).to_numpy(), is_other, Writing())


def _may_be_groups(cells: pl.Series) -> bool:
    """Whether all points may be those of thousands, as in '1.234'."""
    pointed = cells.drop_nulls().filter(cells.drop_nulls().str.contains(".", literal=True))
    return len(pointed) > 0 and bool(pointed.str.contains(rf"^[-+]?{GROUP}\.\d{{3}}$").all())


def _parts(cells: pl.Series) -> pl.DataFrame:
    """Return what a number is made of, null where a cell is none: (rows,) before, digits, power, after, minus."""
    ascii_cells = cells.set(cells.str.len_chars() > LONGEST, None)
    if bool(ascii_cells.str.contains(r"[^\x00-\x7f]").any()):
        ascii_cells = ascii_cells.str.replace_many(*plain_forms())
    found = ascii_cells.str.extract_groups(WRITTEN).struct.unnest()
    signs = [pl.col(name) for name in ("sign", "sign_inside", "minus")]
    has_open = pl.any_horizontal(pl.col("open", "open_inside").is_not_null())
    has_close = pl.any_horizontal(pl.col("close", "close_inside").is_not_null())
    num_signs = pl.sum_horizontal(*[sign.is_not_null() for sign in signs], has_open)
    is_number = (has_open == has_close) & (num_signs <= 1)
    is_minus = has_open | pl.any_horizontal(*[sign.eq("-").fill_null(False) for sign in signs])
    return found.select(
        pl.when(is_number).then(pl.col("before")).alias("before"),
        pl.when(is_number).then(pl.col("digits")).alias("digits"),
        pl.when(is_number).then(pl.col("power")).alias("power"),
        pl.when(is_number).then(pl.col("after")).alias("after"),
        is_minus.fill_null(False).alias("minus"),
    )


def evidence(digits: pl.Series, *, is_known: bool) -> tuple[int, int]:
    """Return how many cells can only be read with decimal points, and how many only with decimal commas."""
    points, commas = digits.str.contains(POINT_TELLS), digits.str.contains(COMMA_TELLS)
    if not is_known and _may_be_pairs(digits.filter(commas)):
        return int(points.sum()), 0
    return int(points.sum()), int(commas.sum())


def _may_be_pairs(digits: pl.Series) -> bool:
    """Whether the digits with commas, in a column that may be one of lists, may all be two labels."""
    return bool(digits.str.contains(SHORT_PAIR).all()) and not bool(digits.str.contains(HALF).any())


def _values(digits: pl.Series, powers: pl.Series, decimal: Decimal) -> pl.Series:
    form, group, mark = (POINT_FORM, ",", ".") if decimal == "point" else (COMMA_FORM, ".", ",")
    fitting = digits.set(~digits.str.contains(form), None)
    bare = fitting.str.replace_all(rf"[{group}' ]", "").str.replace(mark, ".", literal=True)
    return (bare + powers.fill_null("")).cast(pl.Float64, strict=False)


def _units(counted: pl.DataFrame) -> tuple[list[str], dict[tuple[str, str], float], dict[tuple[str, str], str]]:
    """Return the units, the most frequent first and each once; by what stands beside the digits its factor and unit."""
    has_scales = any(has_scale(after) for after in counted["after"])
    found = {
        (before, after): scale_and_unit(before, after, has_scales=has_scales)
        for before, after in counted.select("before", "after").iter_rows()
    }
    # '12A' and '13B' are seats: a letter is a scale only where no other unit than money stands in the column.
    if any(unit and not is_currency(unit) for scale, unit in found.values() if scale == 1.0):
        found = {
            pair: (1.0, pair[1]) if len(pair[1]) == 1 and has_scale(pair[1]) else own for pair, own in found.items()
        }
    weights: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for before, after, count in counted.iter_rows():
        unit = found[before, after][1]
        if unit:
            shown.setdefault(unit_key(unit), unit)
            weights[unit_key(unit)] += count
    factors, names = ({pair: own[place] for pair, own in found.items()} for place in (0, 1))
    return [shown[key] for key, _ in weights.most_common()], factors, names  # type: ignore[return-value]


def _are_codes(cells: pl.Series, found: Read) -> bool:
    """Whether the cells are codes that have the form of numbers: telephone numbers, numbers with leading zeros."""
    present = cells.drop_nulls()
    if not found.writing.unit and int(present.str.contains(r"^\+?0\d+[\d ]*$").sum()) >= READ_SHARE * len(present):
        return True
    num_digits = present.filter(present.str.contains(r"^\+?\d[\d ]* [\d ]*\d$")).str.count_matches(r"\d")
    return len(num_digits) >= READ_SHARE * len(present) and num_digits.n_unique() == 1 and num_digits[0] >= CODE_DIGITS


def several_units(cells: pl.Series) -> tuple[str, ...]:
    """Return the units of a column whose cells are numbers in more than one of them; none of other columns."""
    if not may_be_numbers(cells):
        return ()
    found = read(cells)
    if len(found.units) < 2 or not all(len(unit) > 1 or unit in UNITS_OF_A_LETTER for unit in found.units):
        return ()
    every = sum((~np.isnan(read(cells, unit=unit).values)) & cells.is_not_null().to_numpy() for unit in found.units)
    return found.units if int((every > 0).sum()) >= READ_SHARE * (len(cells) - cells.null_count()) else ()
