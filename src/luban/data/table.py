"""The one table that every source is read into."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.core.errors import DataError, SchemaError, listed, nearest
from luban.data.decimals import Decimal

REJECTED_LIMIT = 0.01  # the share of rows that may be set aside before training refuses
MOST = 0.5  # of the rows: not they are wrong, but how they are read


@dataclass(frozen=True)
class RejectedRow:
    """A row that could not be read. row: its number in the source, counted from 1 after the header."""

    source: str
    row: int
    column: str
    reason: str


@dataclass(frozen=True)
class Table:
    """Columns in memory, or memory-mapped where the source is large.

    name: the source, as shown in messages. folder: where relative paths in the cells start, and may not leave.
    row_numbers: (rows,) the number of each row in its source, counted from 1. rejected: the rows set aside so far.
    notes: choices made for the user while reading (separator, encoding), one sentence each. decimal: what stood before
    the decimals of its numbers, a point by now; None where they were not text.
    """

    frame: pl.DataFrame
    name: str
    folder: Path | None
    row_numbers: npt.NDArray[np.int64]
    rejected: tuple[RejectedRow, ...] = ()
    notes: tuple[str, ...] = field(default=())
    decimal: Decimal | None = None

    def __len__(self) -> int:
        return self.frame.height

    @property
    def columns(self) -> list[str]:
        return self.frame.columns

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the columns: to ask for each of thousands whether it is there."""
        return frozenset(self.frame.columns)

    def require(self, column: str, role: str = "column") -> None:
        """Raise SchemaError, with the nearest name, where the column is not there."""
        if column not in self.names:
            raise SchemaError(
                f"{self.name}, {role} '{column}'",
                expected="the name of a column",
                found=f"only {listed(self.columns)}",
                action=f"{nearest(column, self.columns)}Check the spelling",
            )

    def take(self, rows: npt.NDArray[np.int64]) -> Table:
        """Keep the given rows, in the given order."""
        return replace(self, frame=self.frame[rows], row_numbers=self.row_numbers[rows])

    def without(self, bad: dict[int, tuple[str, str]]) -> Table:
        """Set rows aside. bad: position -> (column, reason)."""
        if not bad:
            return self
        rejected = tuple(
            RejectedRow(self.name, int(self.row_numbers[position]), column, reason)
            for position, (column, reason) in sorted(bad.items())
        )
        kept = np.setdiff1d(np.arange(len(self)), np.fromiter(bad, np.int64))
        return replace(self.take(kept), rejected=self.rejected + rejected)

    def check_rejected(self) -> None:
        """Raise DataError where more than 1 % of the rows could not be read."""
        total = len(self) + len(self.rejected)
        if len(self.rejected) > REJECTED_LIMIT * total:
            first = self.rejected[0]
            raise DataError(
                self.name,
                expected=f"at most {REJECTED_LIMIT:.0%} of the rows to be unreadable",
                found=f"{len(self.rejected)} of {total} (the first: row {first.row}, {first.reason})",
                action=self._likely_cause() if len(self.rejected) > MOST * total else "Mend these rows or remove them",
            )

    def _likely_cause(self) -> str:
        """Say what to look at where most rows cannot be read: the same is then wrong with all of them."""
        columns = Counter(row.column for row in self.rejected)
        column, _ = columns.most_common(1)[0]
        if column:
            return f"Most rows fail alike: look at how column '{column}' is written, and whether it is the one you mean"
        if "JSON" in self.rejected[0].reason:
            return "Most rows fail alike, so the layout is another one: write a JSON object a line, as json.dumps does"
        return (
            "Most rows fail alike, so the layout is another one: look at the separator (data.separator), the quotes "
            "and the first line"
        )
