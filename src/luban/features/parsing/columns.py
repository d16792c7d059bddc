"""The columns of a table in one writing: numbers like 1234.5, and each value in one spelling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from luban.core.sentence import sentence, several
from luban.data.decimals import Decimal
from luban.data.table import Table
from luban.features.cells import plain_numbers, quoted, strings
from luban.features.parsing import numbers, spellings
from luban.features.parsing.number_marks import unit_key
from luban.features.parsing.numbers import Writing

DECIMALS = r"\.([0-9]{1,2}|[0-9]{4,})$"  # three may be thousands
TOLD_VALUES, TOLD_COLUMNS = 3, 8
BOOLEANS = {"true": "1", "false": "0"}  # in a column of numbers, which the training had as 0 and 1


@dataclass(frozen=True)
class Rewritten:
    """table: with the cells rewritten. numbers: how each column of numbers is written. notes: what was read otherwise
    than it stands, a sentence each."""

    table: Table
    numbers: dict[str, Writing]
    notes: tuple[str, ...] = ()


def in_one_writing(
    table: Table, number_columns: Collection[str], value_columns: Collection[str], missing_values: Collection[str] = ()
) -> Rewritten:
    """Rewrite the columns of the rows that a model is trained on, as they mean them themselves."""
    written = [name for name in number_columns if table.frame[name].dtype == pl.String]
    odd = _odd(table, written)
    hints = _hints(table, written, None) if odd else {}
    found: dict[str, Writing] = {}
    changed: dict[str, pl.Series] = {}
    examples = [
        _seconds(table.frame[name]) for name in number_columns if isinstance(table.frame[name].dtype, pl.Duration)
    ]
    for name in written:
        if name not in odd and hints.get(name) != "comma":  # most columns
            found[name] = Writing("comma" if table.decimal == "comma" else "point")
            continue
        read, column = _numbers(table.frame[name], hints[name], "", missing_values)
        found[name] = replace(read.writing, decimal="comma") if table.decimal == "comma" else read.writing
        if not read.writing.is_plain:
            changed[name] = column
            examples.append(_example(name, read, table.frame[name]))
    notes: list[str] = []
    if examples:
        notes.append(
            sentence(
                "written.numbers",
                "{name}: numbers are read as they are written: {examples}",
                name=table.name,
                examples=", ".join(examples[:TOLD_COLUMNS]),
            )
        )
    for name in spellings.suspect(table.frame, value_columns):
        cells = table.frame[name]
        if meant := spellings.alike(stripped := strings(cells)):
            changed[name] = spellings.respelled(stripped, meant)
            notes.append(_respelled(name, meant))
    had_commas = any(found[name].decimal == "comma" for name in changed if name in found)
    return Rewritten(_with(table, changed, had_commas), found, tuple(notes))


def as_trained(
    table: Table,
    writings: Mapping[str, Writing],
    values: Mapping[str, Sequence[str]],
    missing_values: Collection[str] = (),
) -> Rewritten:
    """Rewrite the columns of other rows as those of the training are.

    writings: of the training's numbers, by column. values: of its categories and labels.
    """
    present = [name for name in writings if name in table.names and table.frame[name].dtype == pl.String]
    had_commas = any(writing.decimal == "comma" for writing in writings.values())
    odd = _odd(table, present)
    usual: Decimal | None = "comma" if had_commas and table.decimal != "comma" else None
    hints = _hints(table, present, usual) if odd else {}
    changed: dict[str, pl.Series] = {}
    with_commas = False
    notes: list[str] = []
    examples: list[str] = []
    for name in present:
        if name not in odd and hints.get(name) != "comma":
            continue
        cells = _booleans_as_numbers(table.frame[name])
        read, column = _numbers(cells, hints[name], writings[name].unit, missing_values)
        changed[name] = column
        with_commas |= read.writing.decimal == "comma"
        if read.writing.unit and not writings[name].unit:
            notes.append(
                sentence(
                    "written.new_unit",
                    "column '{column}': the numbers are in '{unit}' here, and had no unit in training: they are taken "
                    "to be in the same",
                    column=name,
                    unit=read.writing.unit,
                )
            )
        other = [unit for unit in read.units if unit_key(unit) != unit_key(read.writing.unit)]
        if other:
            notes.append(
                sentence(
                    "written.other_unit",
                    "column '{column}': cells in {units} cannot be read, since training had '{unit}'",
                    column=name,
                    units=several(other),
                    unit=read.writing.unit,
                )
            )
        if not read.writing.is_plain and writings[name].is_plain:
            examples.append(_example(name, read, cells))
    if present and table.decimal == "comma" and not had_commas:
        notes.append(
            sentence("written.commas", "{name}: read with decimal commas, which the training had not", name=table.name)
        )
    if examples:
        notes.append(
            sentence(
                "written.otherwise",
                "{name}: numbers are written otherwise than in training, and read as: {examples}",
                name=table.name,
                examples=", ".join(examples[:TOLD_COLUMNS]),
            )
        )
    for name, own in values.items():
        if name not in table.names or table.frame[name].dtype.is_nested() or table.frame[name].dtype == pl.Binary:
            continue
        cells = strings(table.frame[name])
        if meant := spellings.known(cells, own):
            changed[name] = spellings.respelled(cells, meant)
            notes.append(_respelled(name, meant))
    return Rewritten(_with(table, changed, with_commas), dict(writings), tuple(notes))


def _odd(table: Table, columns: Collection[str]) -> set[str]:
    """Return the columns of strings that hold anything but numbers as a computer writes them."""
    cells = pl.col(list(columns)).str.strip_chars()
    unread = (cells != "") & cells.cast(pl.Float64, strict=False).is_null()
    found = table.frame.select(unread.any()) if columns else pl.DataFrame()
    return {name for name in found.columns if found[name][0]}


def _numbers(
    column: pl.Series, hint: Decimal | None, unit: str, missing_values: Collection[str]
) -> tuple[numbers.Read, pl.Series]:
    """Return what the cells are as numbers, and the cells written like 1234.5; those that mean 'missing' stay."""
    plain = plain_numbers(column)
    if plain is not None and hint != "comma":
        return numbers.Read(plain.to_numpy(), np.zeros(len(column), np.bool_), Writing()), column
    cells = strings(column)
    marked = cells.is_in(list(missing_values)).fill_null(False)
    unmarked = cells.set(marked, None)
    read = numbers.read(unmarked, hint, unit, is_known=True)
    return read, numbers.plainly(unmarked, read).zip_with(~marked, cells).alias(column.name)


def _seconds(column: pl.Series) -> str:
    """Return what the first duration is as a number."""
    first = column.drop_nulls().head(1)
    number = (first.dt.total_microseconds() / 1e6).to_list()
    return f"{column.name} {quoted(strings(first)[0])} = {number[0]:.10g} s" if number else column.name


def _example(name: str, read: numbers.Read, column: pl.Series) -> str:
    place = strings(column).index_of(read.writing.example)
    assert place is not None, "the example is one of the cells"
    return f"{name} {quoted(read.writing.example)} = {read.values[place]:.10g}"


def _hints(table: Table, columns: Iterable[str], usual: Decimal | None) -> dict[str, Decimal | None]:
    """Return, for each column of numbers, what stands before decimals in the others, or usually."""
    names = list(columns)
    plain, others = list[str](), list[str]()
    for name in names:
        (others if plain_numbers(table.frame[name]) is None else plain).append(name)
    told = {decimal for name in others if (decimal := _tells(table.frame[name])) is not None}
    if "point" not in told and any(table.frame[name].str.contains(DECIMALS).any() for name in plain):
        told.add("point")  # of numbers as a computer writes them, one column tells for all
    together: Decimal | None = next(iter(told)) if len(told) == 1 else None
    # Where nothing tells, '1.234' is what it is to a computer.
    return {
        name: together or (usual if usual and table.frame[name].str.contains(",", literal=True).any() else None)
        for name in names
    }


def _tells(column: pl.Series) -> Decimal | None:
    cells = strings(column)
    plain = cells.cast(pl.Float64, strict=False)
    if int(plain.null_count()) == int(cells.null_count()):  # most columns: points, if anything
        return "point" if bool(cells.str.contains(DECIMALS).any()) else None
    return numbers.tells_decimal(cells, is_known=True)


def _booleans_as_numbers(column: pl.Series) -> pl.Series:
    words = strings(column).str.to_lowercase()
    if not bool(words.drop_nulls().is_in(list(BOOLEANS)).all()):
        return column
    return words.replace(list(BOOLEANS), list(BOOLEANS.values()))


def _respelled(column: str, meant: Mapping[str, str]) -> str:
    pairs = several((f"{other}' = '{same}" for other, same in meant.items()), TOLD_VALUES)
    return sentence(
        "written.spellings",
        "column '{column}': values in several spellings are taken for one ({pairs})",
        column=column,
        pairs=pairs,
    )


def _with(table: Table, changed: Mapping[str, pl.Series], had_commas: bool) -> Table:
    """Replace columns; the table itself where none differs. had_commas: before decimals, which are points by now and
    are not looked for again."""
    if not changed:
        return table
    decimal: Decimal | None = "comma" if had_commas else table.decimal
    return replace(table, frame=table.frame.with_columns(changed.values()), decimal=decimal)
