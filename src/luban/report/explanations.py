"""Explanations as they show in a terminal, 80 columns wide; signs and bars read without colour, too."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from luban.core.shown import shown
from luban.explain.result import ATTENTION_NOTE, ColumnExplanation, Explanations, RowExplanation, Weighted
from luban.report.wrapping import safe

WIDTH = 80
BAR = 20  # characters of the longest bar
MOST_PARTS = 12  # that are listed of all the cells, places or words of a row
LABEL = 34


def show_explanations(console: Console, found: Explanations) -> None:
    """Print what matters in general, and then why of each row."""
    width = min(console.width, WIDTH)
    if found.importance:
        console.print(
            Text(f"how much worse {found.metric.replace('_', ' ')} becomes without a column", "bold"), width=width
        )
        table = _table()
        largest = max(abs(item.drop.value) for item in found.importance) or 1.0
        for item in found.importance:
            interval = f"{item.drop.value:+.3f} [{item.drop.low:+.3f}, {item.drop.high:+.3f}]"
            table.add_row("", safe(_cut(item.column)), interval, _bar(item.drop.value, largest))
        console.print(table, width=width)
    for row in found.rows:
        console.print()
        _show_row(console, row, width)


def _show_row(console: Console, row: RowExplanation, width: int) -> None:
    sure = "" if row.probability is None else f", probability {row.probability:.3f}"
    console.print(safe(f"row {row.row}: {row.predicted}{sure}  ({row.method})", "bold"), width=width)
    others = []
    for column in row.columns:
        if column.kind == "text" and column.parts:
            _show_words(console, column, width)
        else:
            others += [(f"{column.column}: {part.part.label}", part.weight) for part in column.parts]
    if others:
        table = _table()
        largest = max(abs(weight) for _, weight in others) or 1.0
        for label, weight in sorted(others, key=lambda item: -abs(item[1]))[:MOST_PARTS]:
            table.add_row("", safe(_cut(label)), f"{weight:+.3f}", _bar(weight, largest))
        console.print(table, width=width)
        if len(others) > MOST_PARTS:
            console.print(f"  and {len(others) - MOST_PARTS} more, of less weight", width=width)
    console.print(safe(f"  weights: {row.unit}", "dim"), width=width)
    if row.edit is not None:
        changes = ", ".join(
            f"{change.column} {change.before} -> {change.after}" if change.after else f"without '{change.before}'"
            for change in row.edit.changes
        )
        console.print(
            Padding(
                safe(
                    f"it would say {row.edit.predicted} {'' if row.edit.changes[0].after == '' else 'with '}{changes}"
                ),
                (0, 0, 0, 2),
            ),
            width=width,
        )
    for neighbour in row.nearest:
        cells = ", ".join(f"{name} {cell}" for name, cell in neighbour.cells.items())
        like = safe(f"like row {neighbour.row} of training ({neighbour.similarity:.2f}): {cells}")
        console.print(Padding(like, (0, 0, 0, 2)), width=width)
    style = "green" if row.check.passes else "yellow"
    console.print(Padding(safe(row.sentence, style), (0, 0, 0, 2)), width=width)


def _show_words(console: Console, column: ColumnExplanation, width: int) -> None:
    """Print the words in their order, each with its weight where that is not small."""
    console.print(safe(f"  {column.column}", "cyan"), width=width)
    largest = max((abs(part.weight) for part in column.parts), default=0.0) or 1.0
    strong = sorted((abs(part.weight) for part in column.parts), reverse=True)[:MOST_PARTS][-1]
    words = Text()
    for part in column.parts:
        weight, share = part.weight, abs(part.weight) / largest
        colour = "green" if weight > 0 else "red"
        style = f"bold {colour}" if share > 0.5 else colour if share > 0.1 else "dim"
        is_shown = abs(weight) >= strong and share > 0.1
        label = shown(part.part.label)
        words.append(f"{weight:+.2f} {label}" if is_shown else label, style)
        words.append("  " if is_shown else " ")
    console.print(Padding(words, (0, 0, 0, 4)), width=width)
    if column.attention:
        looked = ", ".join(f"{part.part.label} {part.weight:.0%}" for part in _largest(column.attention, 5))
        console.print(Padding(safe(f"attention ({ATTENTION_NOTE}): {looked}", "dim"), (0, 0, 0, 4)), width=width)


def _largest(parts: Iterable[Weighted], count: int) -> list[Weighted]:
    return sorted(parts, key=lambda part: -abs(part.weight))[:count]


def _table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(width=2)
    table.add_column(max_width=LABEL, overflow="ellipsis", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    return table


def _bar(weight: float, largest: float) -> Text:
    length = round(BAR * min(abs(weight) / largest, 1.0))
    return Text(("+" if weight >= 0 else "-") * max(length, 1), "green" if weight >= 0 else "red")


def _cut(label: str) -> str:
    label = shown(label)
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
