"""Whether other rows hold what a model was trained on: where most cells of a column say nothing to it, no answer is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from luban.core.errors import DataError, listed
from luban.data.table import Table
from luban.features.base import Feature
from luban.features.category import CategoryFeature
from luban.features.cells import commonest, quoted, strings
from luban.features.parsing.spellings import likely_cause

MOST = 0.5  # of the cells: past it, an answer rests on the column's absence and not on the column
FEW_ROWS = 20  # fewer may all be new, and a service sends one at a time
SHOWN_VALUES = 3


def require_recognised(features: Sequence[Feature], table: Table, bad: Mapping[int, tuple[str, str]]) -> None:
    """Raise DataError where most cells of a column cannot be read, or are categories that training did not have.

    bad: position -> (column, reason). New values alone are no error where training itself met rare ones.
    """
    unreadable = Counter(column for column, _ in bad.values())
    for feature in features:
        name = feature.columns[0]
        present = len(table) - table.frame[name].null_count()
        if present < FEW_ROWS:
            continue
        if unreadable[name] > MOST * present:
            _refuse_unreadable(name, table, bad, unreadable[name])
        if isinstance(feature, CategoryFeature):
            _require_known(feature, table)


def difference(new: Sequence[str], known: Sequence[str]) -> str:
    """Say in which way values differ from those of the training, if that is all that they differ in."""
    cause = likely_cause(new, known)
    return (
        "" if cause is None else f"; they differ in {cause[0]}: {quoted(cause[1])} here, {quoted(cause[2])} in training"
    )


def _refuse_unreadable(name: str, table: Table, bad: Mapping[int, tuple[str, str]], count: int) -> None:
    position, reason = next((position, reason) for position, (column, reason) in bad.items() if column == name)
    raise DataError(
        f"{table.name}, column '{name}'",
        expected="cells that can be read as those of the training were",
        found=f"{count} of {len(table)} that cannot (the first: row {table.row_numbers[position]}, "
        f"{reason.partition('. ')[0]})",
        action="Write them as in the training rows, or leave the cells empty to predict without them",
    )


def _require_known(feature: CategoryFeature, table: Table) -> None:
    cells = strings(table.frame[feature.columns[0]])
    known = set(feature.values)
    counts = cells.drop_nulls().alias("cell").value_counts(name="count")
    new = counts.filter(~counts["cell"].is_in(list(known)))
    rows, present = int(new["count"].sum()), len(cells) - cells.null_count()
    if rows <= MOST * present:
        return
    others = commonest(cells.filter(~cells.is_in(list(known)))).to_list()
    why = difference(others, feature.values)
    if not why and feature.num_distinct > len(feature.values):
        return
    raise DataError(
        f"{table.name}, column '{feature.columns[0]}'",
        expected=f"values that the training had, such as {listed(feature.values[:SHOWN_VALUES])}",
        found=f"others in {rows} of {present} rows, such as {listed(others[:SHOWN_VALUES])}{why}",
        action="Write them as in the training rows, or leave the cells empty to predict without them",
    )
