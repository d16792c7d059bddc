"""What is audited: a table, what its columns are, and the tables beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.audit.finding import MAX_EXAMPLES, Rows
from luban.core.answers import AnswerKind
from luban.data.contents import contents, holds_files
from luban.data.groups import group_ids
from luban.data.split.config import SplitConfig
from luban.data.table import Table
from luban.features.cells import strings
from luban.features.infer import SET_ASIDE
from luban.features.media import FILE_KINDS
from luban.features.parsing.spellings import alike, respelled

EXAMPLE_CHARACTERS = 200
EXAMPLE_COLUMNS = 6
PROSE_KINDS = ("text", *FILE_KINDS)  # whose cells repeat by mistake only; those of the others repeat by nature
AGAINST = "against"  # the role of the rows to predict on, which need no target


@dataclass(frozen=True, eq=False)
class Subject:
    """target: None where nothing is to be predicted. answer: the kind that it asks for. kinds: of each column but the
    target, as planned. others: tables beside the audited one, by role: `validation`, `test`, `against`.
    missing_values: cells that mean 'missing' in columns of numbers and dates. split: how the rows will be divided.
    budget: seconds that a training waits for the audit, by estimate; None where all of it is wanted. beside: other
    targets, for which a row counts that lacks this one."""

    table: Table
    target: str | None
    answer: AnswerKind | None
    kinds: Mapping[str, str]
    others: Mapping[str, Table] = field(default_factory=dict)
    missing_values: Collection[str] = ()
    split: SplitConfig = field(default_factory=SplitConfig)
    budget: float | None = None
    seed: int = 0
    beside: tuple[str, ...] = ()
    cache: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def frame(self) -> pl.DataFrame:
        return self.table.frame

    @cached_property
    def inputs(self) -> list[str]:
        """The columns that a model would learn from."""
        return [name for name, kind in self.kinds.items() if kind not in SET_ASIDE]

    def of_kind(self, *kinds: str) -> list[str]:
        """Return the columns of these kinds."""
        return [name for name, kind in self.kinds.items() if kind in kinds]

    @cached_property
    def has_classes(self) -> bool:
        return self.target is not None and self.answer == AnswerKind.CLASS

    @cached_property
    def labels(self) -> pl.Series:
        """The cells of the target as stripped strings, null where missing; each class in one spelling, as a training
        takes them."""
        assert self.target is not None
        cells = strings(self.frame[self.target])
        return respelled(cells, alike(cells)) if self.answer == AnswerKind.CLASS else cells

    @cached_property
    def keys(self) -> Rows:
        """A number for each row, equal where all inputs are, counted from 0 in order of first appearance."""
        columns = [self._key(name) for name in self.inputs]
        return group_ids(pl.DataFrame(columns)) if columns else np.arange(len(self))

    def _key(self, name: str) -> pl.Series:
        cells = self.frame[name]
        # Before a training the files are not read twice: there, a file is told from another by its path.
        if self.kinds[name] in FILE_KINDS and self.budget is None and holds_files(self.table, name):
            return contents((self.table, self.table), name)[0]
        if cells.dtype == pl.Object:
            return strings(cells)
        return cells

    def examples(
        self, positions: Iterable[int], columns: Iterable[str] | None = None, notes: Iterable[str] = ()
    ) -> tuple[dict[str, Any], ...]:
        """Return up to three rows as JSON values. columns: that are shown; None shows the inputs and the target."""
        if columns is None:
            columns = [*self.inputs[:EXAMPLE_COLUMNS], *([self.target] if self.target is not None else [])]
        return examples_of(self.table, positions, columns, notes)

    def cells(self, position: int) -> dict[str, str]:
        """Return the first inputs of a row as texts."""
        return {name: shown(self.frame[name][position]) for name in self.inputs[:EXAMPLE_COLUMNS]}


def examples_of(
    table: Table, positions: Iterable[int], columns: Iterable[str], notes: Iterable[str] = ()
) -> tuple[dict[str, Any], ...]:
    """Return up to three rows of a table as JSON values."""
    names, texts = list(columns), list(notes)
    found: list[dict[str, Any]] = []
    for number, position in enumerate(list(positions)[:MAX_EXAMPLES]):
        cells = {name: shown(table.frame[name][int(position)]) for name in names}
        found.append({"row": int(table.row_numbers[int(position)]), "cells": cells})
        if number < len(texts) and texts[number]:
            found[-1]["note"] = texts[number]
    return tuple(found)


def shown(cell: object) -> str:
    """Return a cell as text on one line, cut where it is long; bytes by their number."""
    if cell is None:
        return ""
    if isinstance(cell, bytes):
        return f"{len(cell):,} bytes"
    if isinstance(cell, pl.Series):
        cell = cell.to_list()
    text = " ".join(str(cell).split())
    return text if len(text) <= EXAMPLE_CHARACTERS else f"{text[:EXAMPLE_CHARACTERS]}…"


def counted(rows: int, noun: str = "row") -> str:
    """Return `1 row` or `1,234 rows`."""
    return f"{rows:,} {noun}{'s' * (rows != 1)}"


def percent(rows: float, total: int) -> str:
    """Return a share of rows with two significant digits, `0.032 %`."""
    share = 100 * rows / max(total, 1)
    return f"{share:.0f} %" if share >= 10 else f"{share:.2g} %"


def later(groups: npt.NDArray[Any]) -> Rows:
    """Return the positions that repeat an earlier group number."""
    _, first = np.unique(groups, return_index=True)
    is_first = np.zeros(len(groups), np.bool_)
    is_first[first] = True
    return np.flatnonzero(~is_first)
