"""Sequences of numbers of single rows: a small chart, a line for each of a step's numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from luban.report.charts.draw import SERIES
from luban.report.charts.plot import (
    LEGEND,
    Chart,
    Plot,
    Point,
    legend_places,
    nice_ticks,
    some_of,
    span,
    text_width,
    tick_text,
)
from luban.report.figures import Figures
from luban.report.language.words import Words
from luban.report.pictures.base import Cell, Piece

WIDTH, HEIGHT, BOTTOM = 280, 156, 42
NUM_TICKS = 4
MAX_DOTS = 48  # points that are marked one by one
OPACITY = 0.4  # of the part that weighs most


@dataclass(frozen=True)
class Spans:
    """What the spans of a sequence weigh: label, weight, and share from -1 to 1 of the largest. source: of the weights,
    among the run's files."""

    weights: Sequence[tuple[str, float, float]] = ()
    source: str = ""


NO_SPANS = Spans()


def lines(cell: Cell) -> Piece | None:
    """Return the chart of a sequence; None where there is none."""
    if cell.series is None or not cell.series.entry("steps"):
        return None
    return Piece("chart", chart=series_chart(cell.series, cell.column, cell.row, cell.words))


def series_chart(at: Figures, column: str, row: object, words: Words, spans: Spans = NO_SPANS) -> Chart:
    """Draw a sequence. at: its entries, those of a `features.sequence.Series`. spans: what its parts weigh."""
    steps: list[int] = at.entry("steps")
    values: list[list[float | None]] = at.entry("values")
    names = [words.plain("series.number", number=number) for number in at.entry("numbers")] if len(values) > 1 else [""]
    points: list[list[Point]] = [
        [(step, math.nan if value is None else value) for step, value in zip(steps, line, strict=True)]
        for line in values
    ]
    y_range = span(y for line in points for _, y in line)
    y_ticks = nice_ticks(*y_range, NUM_TICKS)
    plot = Plot(
        words.plain("sequence_of", column=column, row=row),
        (steps[0], max(steps[-1], steps[0] + 1)),
        y_range,
        words.plain("series.step"),
        width=WIDTH,
        height=HEIGHT,
        left=14 + max([text_width(tick_text(tick)) for tick in y_ticks], default=0),
        bottom=BOTTOM,
        source=f"{at.source()} {spans.source}".strip(),
    )
    if len(names) > 1:
        extra = LEGEND * (1 + legend_places(names, plot.left, WIDTH)[-1][1])
        plot.top, plot.height = plot.top + extra, plot.height + extra
    for (first, last), (name, weight, share) in zip(at.entry("spans") or (), spans.weights, strict=False):
        css = "band for" if share > 0 else "band against"
        style = f' style="fill-opacity:{OPACITY * abs(share):.2f}"'
        plot.box((first - 0.5, last + 0.5), plot.y, css, f"{name}: {weight:+.3f}", style)
    plot.axes(x_ticks=[tick for tick in nice_ticks(*plot.x, NUM_TICKS + 1) if tick == int(tick)], y_ticks=y_ticks)
    for index, (name, line) in enumerate(zip(names, points, strict=True)):
        css = SERIES[index % len(SERIES)]
        plot.line(line, css)
        if len(steps) * len(values) <= MAX_DOTS:
            for step, y in line:
                if math.isfinite(y):
                    hint = f"{words.plain('series.step')} {step:g}: {tick_text(y)}"
                    plot.dot(step, y, css, f"{name}, {hint}" if name else hint, 2)
    if len(names) > 1:
        plot.legend([(SERIES[index % len(SERIES)], name) for index, name in enumerate(names)])
    rows = [
        (
            f"{steps[int(place)]:,}",
            *("–" if math.isnan(line[int(place)][1]) else tick_text(line[int(place)][1]) for line in points),
        )
        for place, _ in some_of([(place, 0.0) for place in range(len(steps))])
    ]
    head = (words.plain("series.step"), *(names if len(names) > 1 else (words.plain("series.value"),)))
    return replace(plot.chart(head, rows), title=title_of(at, column, words))


def title_of(at: Figures, column: str, words: Words) -> Markup:
    """Return the column, and how much of the sequence is drawn where that is not all."""
    told: list[str] = [column]
    if len(at.entry("steps")) < at.entry("length"):
        told.append(words("series.steps", drawn=at.count("steps"), length=at("length")))
    if len(at.entry("numbers")) < at.entry("width"):
        told.append(words("series.numbers", drawn=at.count("numbers"), width=at("width")))
    return words("series.joint").join(told)
