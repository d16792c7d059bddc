"""Whether the first line of a table in text names its columns: exports have titles above the names, or no names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from luban.core.errors import DataError, listed

LEAST_ROWS = 10  # fewer tell nothing
TITLE_WIDTH = 3  # columns from which on a single name is a title
FRACTION = re.compile(r"[-+]?\d+[.,]\d+")
SHOWN = 3


def check_header(header: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> None:
    """Raise DataError where the header is a title, or a row of data. rows: the first ones below it, of its length."""
    if len(rows) < LEAST_ROWS:
        return
    named = [cell.strip() for cell in header if cell.strip()]
    if len(header) >= TITLE_WIDTH and len(named) <= 1:
        refuse_title(named[0] if named else "", next((row for row in rows if all(row)), ()), name)
    others = [row for row in rows if list(row) != list(header)]
    columns = list(zip(*others, strict=True)) or [()] * len(header)
    values = [
        cell
        for place, (cell, column) in enumerate(zip(header, columns, strict=True))
        if cell.strip() and not _counts(cell, place) and (FRACTION.fullmatch(cell.strip()) or _is_one_of(cell, column))
    ]
    if len(values) >= 2 and 2 * len(values) > len(named):
        raise DataError(
            f"{name}, header",
            expected="the names of the columns in the first line",
            found=f"what looks like a row of data, {listed(values, SHOWN)}",
            action="Add a line with the names above it",
        )


def refuse_title(title: str, names: Sequence[str], name: str) -> None:
    """Raise DataError for a line that stands above the names. names: what they may be, if anything."""
    found = f"'{title.strip()[:80]}' alone" if title.strip() else "an empty line"
    raise DataError(
        f"{name}, header",
        expected="the names of the columns in the first line",
        found=f"{found}, and {listed(names, SHOWN)} further down" if names else found,
        action="Remove the lines above the names",
    )


def _counts(cell: str, place: int) -> bool:
    """Tell whether a name is the number of its column, as of a table that never had other names."""
    return cell.strip() in (str(place), str(place + 1))


def _is_one_of(cell: str, column: Sequence[str]) -> bool:
    """Tell whether a name is one value of its column among others; a box that was ticked may hold the name itself."""
    return cell in column and bool({*column} - {cell, ""})
