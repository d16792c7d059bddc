"""Numbers with decimal commas, `1.234,5`, written with points, `1234.5`, as everything behind the reader has them."""

from __future__ import annotations

from typing import Literal, TypeVar

import polars as pl

Decimal = Literal["point", "comma"]
Cells = TypeVar("Cells", pl.Series, pl.Expr)

SIGNS = r"[\p{Sc}%\s]"  # of currencies and shares: never part of the number
DECIMAL = r"^[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+$"
GROUPED = r"^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$"  # 1,234 is an English thousand, or a number with three decimals
WITH_COMMA = r"^[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$"
WITH_POINT = r"^[-+]?\d+(\.\d+)?$"
THOUSANDS = r"^[-+]?\d{1,3}(\.\d{3})*$|^[-+]?\d+$"
NEARLY, SEEN = 0.99, 1_000  # of the cells with commas, and of the cells at all
# Two groups of thousands without a comma are a number; three may be the address of a machine.
WRITTEN = r"^\s*[-+]?(\d+,\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){1,2})\s*$"


def with_points(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame of strings with all cells that are numbers with decimal commas written with points."""
    cells = pl.all()
    return frame.with_columns(pl.when(cells.str.contains(WRITTEN)).then(pointed(cells)).otherwise(cells).name.keep())


def pointed(cells: Cells) -> Cells:
    """Return numbers with decimal commas, written with points."""
    return cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)


def recognise(frame: pl.DataFrame) -> Decimal:
    """Return how the numbers in a table of strings are written: `comma` where a column holds nothing else, and none has
    decimal points."""
    columns = [column.str.strip_chars().drop_nulls() for column in frame.get_columns()]
    numbers = [column.filter(column.str.contains(r"\d")) for column in columns]
    numbers = [found for found, column in zip(numbers, columns, strict=True) if 2 * len(found) > len(column)]
    if any(_are_nearly(column, WITH_POINT) and not _are_nearly(column, THOUSANDS) for column in numbers):
        return "point"
    return "comma" if any(_are_nearly(c, WITH_COMMA) and shows_decimal_commas(c) for c in numbers) else "point"


def _are_nearly(cells: pl.Series, form: str) -> bool:
    fitting = int(cells.str.contains(form).sum())
    return fitting > 0 and fitting >= NEARLY * len(cells)


def shows_decimal_commas(cells: pl.Series) -> bool:
    """Tell whether the commas in a column stand before decimals, and cannot all be those of thousands."""
    return _has_commas(cells, DECIMAL) and not _has_commas(cells, GROUPED)


def _has_commas(cells: pl.Series, form: str) -> bool:
    """Tell whether some of the first cells have a comma, and nearly all of those this form."""
    if cells.dtype != pl.String:
        return False
    numbers = cells.drop_nulls().head(SEEN).str.replace_all(SIGNS, "")
    commas = numbers.filter(numbers.str.contains(",", literal=True))
    fitting = int(commas.str.contains(form).sum())
    return fitting > 0 and fitting >= NEARLY * len(commas)
