"""The kinds of charts: curves, reliability, scatter, intervals, matrices, bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from luban.report.charts.plot import (
    LEFT,
    LEGEND,
    RIGHT,
    WIDTH,
    Chart,
    Plot,
    Point,
    finite,
    legend_places,
    nice_ticks,
    some_of,
    span,
    text_width,
    thinned,
    tick_text,
)
from luban.report.figures import Figure, Interval

MAX_NUMBERED_CLASSES = 12  # of a matrix whose counts are written into it
MAX_CELLS = 200  # of a larger one, in the table beside it
MAX_NAME = 22  # characters of a name beside a chart
MAX_LEFT = 190  # margin for names
STRIP = 200  # width of a score's drawing in a table
SERIES = ("one", "two", "three", "four", "five", "six")


def cut(text: str, limit: int = MAX_NAME) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def curves(
    title: str,
    lines: Sequence[tuple[str, Sequence[Point]]],
    x_label: str,
    y_label: str,
    *,
    dots: bool = False,
    mark: tuple[float, str] | None = None,
    source: str = "",
    derived: str = "",
) -> Chart:
    """Draw named lines over one axis. mark: a place on the x axis, and its name. source, derived: as of a Chart."""
    thin = [(name, thinned(points)) for name, points in lines]
    points = [point for _, found in thin for point in found]
    xs = [x for x, _ in points]
    low, high = (min(xs), max(xs)) if xs else (0.0, 1.0)
    names = [cut(name) for name, _ in thin] if len(thin) > 1 else []
    plot = Plot(title, (low, high if high > low else low + 1), span(y for _, y in points), x_label)
    plot.source, plot.derived = source, derived
    plot.top += LEGEND * (1 + legend_places(names)[-1][1]) if names else 0
    plot.y_label = "" if y_label == title else y_label
    is_counted = all(x == int(x) for x in xs)
    plot.axes(x_ticks=[tick for tick in nice_ticks(*plot.x) if not is_counted or tick == int(tick)])
    if mark is not None and low <= mark[0] <= high:
        plot.line([(mark[0], plot.y[0]), (mark[0], plot.y[1])], "mark")
        is_right = mark[0] > (low + high) / 2
        plot.label(
            plot.px(mark[0]) + (-5 if is_right else 5), plot.top + 12, mark[1], anchor="end" if is_right else "start"
        )
    for index, (name, found) in enumerate(thin):
        css = SERIES[index % len(SERIES)]
        plot.line(found, css)
        if dots:
            for x, y in found:
                plot.dot(x, y, css, f"{name}: {tick_text(x)}, {tick_text(y)}")
    if names:
        plot.legend([(SERIES[index % len(SERIES)], name) for index, name in enumerate(names)])
    rows = [(name, tick_text(x), tick_text(y)) for name, found in lines for x, y in some_of(finite(found))]
    if len(thin) == 1:
        return plot.chart((x_label, y_label), [row[1:] for row in rows])
    return plot.chart(("", x_label, y_label), rows)


def reliability(
    title: str, bins: Sequence[tuple[Figure, Figure, Figure]], x_label: str, y_label: str, rows_label: str, source: str
) -> Chart:
    """bins: confidence, accuracy and rows of each; the dots grow with the rows."""
    plot = Plot(title, (0.0, 1.0), (0.0, 1.0), x_label, y_label, source=source)
    plot.axes()
    plot.line([(0.0, 0.0), (1.0, 1.0)], "mark")
    known = [(c.value, a.value, r.value or 0) for c, a, r in bins if c.value is not None and a.value is not None]
    plot.line([(confidence, accuracy) for confidence, accuracy, _ in known], "one")
    most = max((rows for *_, rows in known), default=1) or 1
    for confidence, accuracy, rows in known:
        hint = f"{x_label} {confidence:.3f}, {y_label} {accuracy:.3f}, {rows_label} {rows:,}"
        plot.dot(confidence, accuracy, "one", hint, 2.5 + 5 * math.sqrt(rows / most))
    return plot.chart((x_label, y_label, rows_label), bins)


def scatter(
    title: str,
    points: Sequence[Point],
    x_label: str,
    y_label: str,
    *,
    diagonal: bool,
    source: str = "",
    derived: str = "",
) -> Chart:
    """Draw a cloud, over the line of equal values or over zero. source, derived: as of a Chart."""
    xs = span(x for x, _ in points)
    ys = xs if diagonal else span([*(y for _, y in points), 0.0])
    plot = Plot(title, xs, ys, x_label, y_label, source=source, derived=derived)
    plot.axes()
    plot.line([(xs[0], xs[0]), (xs[1], xs[1])] if diagonal else [(xs[0], 0.0), (xs[1], 0.0)], "mark")
    for x, y in points:
        plot.dot(x, y, "cloud", f"{tick_text(x)}, {tick_text(y)}", 2)
    return plot.chart((x_label, y_label), [(tick_text(x), tick_text(y)) for x, y in some_of(list(points))])


def intervals(title: str, rows: Sequence[tuple[str, Interval]], x_label: str, columns: Sequence[str]) -> Chart:
    """Draw one score with its interval a line, the first of them the model's."""
    known = [(name, score) for name, score in rows if score.value.value is not None]
    low, high = span(numbers_of(known), room=0.1)
    left = name_margin(known)
    plot = Plot(title, (low, high), (len(known) - 0.4, -0.6), x_label, height=62 + 28 * len(known), left=left)
    plot.source = sources_of(known)
    plot.axes(y_ticks=())
    for index, (name, score) in enumerate(known):
        css = "one" if index == 0 else "quiet"
        plot.label(left - 8, plot.py(index) + 4, cut(name, 26), anchor="end", css="name")
        assert score.value.value is not None
        if score.low.value is not None and score.high.value is not None:
            plot.whisker(score.low.value, score.high.value, index, css)
        plot.dot(score.value.value, index, css, f"{name}: {score}", 4.5)
    return plot.chart(columns, known)


def strips(scores: Sequence[Interval], overall: Figure) -> list[Markup]:
    """Draw each score with its interval as a strip for its own line of a table, over a mark of the overall score."""
    known = [("", score) for score in scores if score.value.value is not None]
    low, high = span([*numbers_of(known), *([] if overall.value is None else [overall.value])], room=0.06)
    found = []
    for score in scores:
        plot = Plot("", (low, high), (0.5, -0.5), width=STRIP, height=22, left=RIGHT, bottom=2, top=2)
        if overall.value is not None:
            plot.line([(overall.value, -0.5), (overall.value, 0.5)], "mark")
        if score.low.value is not None and score.high.value is not None:
            plot.whisker(score.low.value, score.high.value, 0, "one")
        if score.value.value is not None:
            plot.dot(score.value.value, 0, "one")
        found.append(plot.strip(f"{sources_of([('', score)])} {overall.source}"))
    return found


def numbers_of(rows: Sequence[tuple[str, Interval]]) -> list[float]:
    """Return the scores and the ends of their intervals."""
    return [f.value for _, score in rows for f in (score.value, score.low, score.high) if f.value is not None]


def sources_of(rows: Sequence[tuple[str, Interval]]) -> str:
    """Return where scores and the ends of their intervals come from."""
    return " ".join(f.source for _, score in rows for f in (score.value, score.low, score.high))


def name_margin(rows: Sequence[tuple[str, Interval]]) -> int:
    """Return the left margin that the names ask for."""
    return min(MAX_LEFT, max([110, *(16 + text_width(cut(name, 26)) for name, _ in rows)]))


def matrix(
    title: str,
    labels: Sequence[str],
    counts: Sequence[Sequence[int]],
    actual: str,
    predicted: str,
    rows_label: str,
    source: str,
) -> Chart:
    """Draw a confusion matrix, each cell as dark as its share of the actual class."""
    size, numbered = len(labels), len(labels) <= MAX_NUMBERED_CLASSES
    longest = max(text_width(cut(label, 14)) for label in labels) if numbered else 0
    left = 26 + longest
    is_level = longest * 1.05 < (WIDTH - RIGHT - left) / size  # the labels below need no turning
    bottom = 40 if is_level or not numbered else int(36 + 0.62 * longest)
    plot = Plot(title, (0.0, size), (0.0, size), "", actual, left=left, height=400, bottom=bottom, source=source)
    depth = 0.46 if numbered else 0.85  # of the colour: numbers have to stand out from it
    for row, line in enumerate(counts):
        total = sum(line) or 1
        for column, count in enumerate(line):
            if count == 0 and not numbered:
                continue
            hint = f"{actual} {labels[row]}, {predicted} {labels[column]}: {count:,}"
            css = "cell right" if row == column else "cell wrong"
            style = f' style="fill-opacity:{0.04 + depth * count / total:.2f}"'
            y = size - row
            plot.box((column, column + 1), (y, y - 1), css, hint if numbered or count else "", style)
            if numbered:
                place = plot.px(column + 0.5), plot.py(y - 0.5) + 4
                plot.label(*place, f"{count:,}", anchor="middle", css="count")
    floor = plot.height - plot.bottom
    if numbered:
        for index, label in enumerate(labels):
            plot.label(plot.left - 6, plot.py(size - index - 0.5) + 4, cut(label, 14), anchor="end", css="name")
            x = plot.px(index + 0.5)
            if is_level:
                plot.label(x, floor + 16, cut(label, 14), anchor="middle", css="name")
                continue
            plot.parts.append(
                Markup(
                    '<text class="name" text-anchor="end" transform="translate({} {}) rotate(-35)">{}</text>'
                ).format(f"{x + 4:.1f}", floor + 14, cut(label, 14))
            )
    plot.label(
        (plot.left + plot.width - RIGHT) / 2, plot.height - 6, f"{predicted} →", anchor="middle", css="axis-name"
    )
    plot.label(4, 9, f"{actual} ↓", css="axis-name")
    if numbered:
        lines = [(labels[index], *line) for index, line in enumerate(counts)]
        return plot.chart((f"{actual} \\ {predicted}", *labels), lines)
    return plot.chart((actual, predicted, rows_label), commonest(labels, counts))


def commonest(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> list[tuple[str, str, int]]:
    """Return at most 200 cells of a confusion matrix, the commonest confusions first, and last what was right."""
    cells = [(row, column, count) for row, line in enumerate(counts) for column, count in enumerate(line) if count]
    ranked = sorted(cells, key=lambda cell: (cell[0] == cell[1], -cell[2]))
    return [(labels[row], labels[column], count) for row, column, count in ranked[:MAX_CELLS]]


def bars(title: str, rows: Sequence[tuple[str, Interval]], x_label: str, columns: Sequence[str]) -> Chart:
    """Draw one bar a line from zero, with its interval."""
    known = [(name, score) for name, score in rows if score.value.value is not None]
    low, high = span([*numbers_of(known), 0.0])
    left = name_margin(known)
    plot = Plot(title, (low, high), (len(known) - 0.4, -0.6), x_label, height=62 + 24 * len(known), left=left)
    plot.source = sources_of(known)
    plot.axes(y_ticks=())
    for index, (name, score) in enumerate(known):
        plot.label(left - 8, plot.py(index) + 4, cut(name, 26), anchor="end", css="name")
        assert score.value.value is not None
        plot.box((0.0, score.value.value), (index - 0.32, index + 0.32), "bar", f"{name}: {score}")
        if score.low.value is not None and score.high.value is not None:
            plot.whisker(score.low.value, score.high.value, index, "ink")
    return plot.chart(columns, known)


def amounts(title: str, rows: Sequence[tuple[str, Figure]], x_label: str, columns: Sequence[str]) -> Chart:
    """Draw one amount a line, written beside it."""
    known = [(name, figure, figure.value) for name, figure in rows if figure.value is not None]
    most = max((amount for *_, amount in known), default=1.0) or 1.0
    left = LEFT + 72
    plot = Plot(title, (0.0, most * 1.18), (len(known) - 0.4, -0.6), x_label, height=58 + 24 * len(known), left=left)
    plot.source = " ".join(dict.fromkeys(figure.source for _, figure, _ in known))
    plot.derived = next((figure.derived for _, figure, _ in known if figure.derived), "")
    plot.axes(y_ticks=())
    for index, (name, figure, amount) in enumerate(known):
        plot.label(left - 8, plot.py(index) + 4, cut(name, 20), anchor="end", css="name")
        plot.box((0.0, amount), (index - 0.32, index + 0.32), "bar", f"{name}: {figure}")
        plot.label(plot.px(amount) + 5, plot.py(index) + 4, str(figure), css="count")
    return plot.chart(columns, [(name, figure) for name, figure, _ in known])
