"""The kinds of charts: curves, reliability, scatter, intervals, matrices, bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from luban.report.charts.plot import LEFT, RIGHT, Chart, Plot, Point, nice_ticks, some_of, span, thinned, tick_text
from luban.report.figures import Figure, Interval

MAX_NUMBERED_CLASSES = 12  # of a matrix whose counts are written into it
MAX_NAME = 22  # characters of a name beside a chart
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
) -> Chart:
    """Draw named lines over one axis. mark: a place on the x axis, and its name."""
    thin = [(name, thinned(points)) for name, points in lines]
    points = [point for _, found in thin for point in found]
    xs = [x for x, _ in points]
    low, high = (min(xs), max(xs)) if xs else (0.0, 1.0)
    plot = Plot(title, (low, high if high > low else low + 1), span(y for _, y in points), x_label)
    plot.y_label = "" if y_label == title else y_label
    is_counted = all(x == int(x) for x in xs)
    plot.axes(x_ticks=[tick for tick in nice_ticks(*plot.x) if not is_counted or tick == int(tick)])
    if mark is not None and low <= mark[0] <= high:
        plot.line([(mark[0], plot.y[0]), (mark[0], plot.y[1])], "mark")
        is_right = mark[0] > (low + high) / 2
        plot.label(plot.px(mark[0]) + (-5 if is_right else 5), 26, mark[1], anchor="end" if is_right else "start")
    for index, (name, found) in enumerate(thin):
        css = SERIES[index % len(SERIES)]
        plot.line(found, css)
        if dots:
            for x, y in found:
                plot.dot(x, y, css, f"{name}: {tick_text(x)}, {tick_text(y)}")
    if len(thin) > 1:
        plot.legend([(SERIES[index % len(SERIES)], cut(name)) for index, (name, _) in enumerate(thin)])
    rows = [(name, tick_text(x), tick_text(y)) for name, found in thin for x, y in some_of(found)]
    if len(thin) == 1:
        return plot.chart((x_label, y_label), [row[1:] for row in rows])
    return plot.chart(("", x_label, y_label), rows)


def reliability(
    title: str, bins: Sequence[tuple[Figure, Figure, Figure]], x_label: str, y_label: str, rows_label: str
) -> Chart:
    """bins: confidence, accuracy and rows of each; the dots grow with the rows."""
    plot = Plot(title, (0.0, 1.0), (0.0, 1.0), x_label, y_label)
    plot.axes()
    plot.line([(0.0, 0.0), (1.0, 1.0)], "mark")
    known = [(c.value, a.value, r.value or 0) for c, a, r in bins if c.value is not None and a.value is not None]
    plot.line([(confidence, accuracy) for confidence, accuracy, _ in known], "one")
    most = max((rows for *_, rows in known), default=1) or 1
    for confidence, accuracy, rows in known:
        hint = f"{x_label} {confidence:.3f}, {y_label} {accuracy:.3f}, {rows_label} {rows:,}"
        plot.dot(confidence, accuracy, "one", hint, 2.5 + 5 * math.sqrt(rows / most))
    return plot.chart((x_label, y_label, rows_label), bins)


def scatter(title: str, points: Sequence[Point], x_label: str, y_label: str, *, diagonal: bool) -> Chart:
    """Draw a cloud, over the line of equal values or over zero."""
    xs = span(x for x, _ in points)
    ys = xs if diagonal else span([*(y for _, y in points), 0.0])
    plot = Plot(title, xs, ys, x_label, y_label)
    plot.axes()
    plot.line([(xs[0], xs[0]), (xs[1], xs[1])] if diagonal else [(xs[0], 0.0), (xs[1], 0.0)], "mark")
    for x, y in points:
        plot.dot(x, y, "cloud", f"{tick_text(x)}, {tick_text(y)}", 2)
    return plot.chart((x_label, y_label), [(tick_text(x), tick_text(y)) for x, y in some_of(list(points))])


def intervals(title: str, rows: Sequence[tuple[str, Interval]], x_label: str, columns: Sequence[str]) -> Chart:
    """Draw one score with its interval a line, the first of them the model's."""
    known = [(name, score) for name, score in rows if score.value.value is not None]
    numbers = [figure.value for _, s in known for figure in (s.value, s.low, s.high) if figure.value is not None]
    height = 62 + 28 * len(known)
    plot = Plot(title, span(numbers, room=0.1), (len(known) - 0.4, -0.6), x_label, height=height, left=132)
    plot.axes(y_ticks=())
    for index, (name, score) in enumerate(known):
        css = "one" if index == 0 else "quiet"
        plot.label(124, plot.py(index) + 4, cut(name, 18), anchor="end", css="name")
        assert score.value.value is not None
        if score.low.value is not None and score.high.value is not None:
            plot.whisker(score.low.value, score.high.value, index, css)
        plot.dot(score.value.value, index, css, f"{name}: {score}", 4.5)
    return plot.chart(columns, known)


def matrix(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]], actual: str, predicted: str) -> Chart:
    """Draw a confusion matrix, each cell as dark as its share of the actual class."""
    size, numbered = len(labels), len(labels) <= MAX_NUMBERED_CLASSES
    longest = max(len(cut(label, 12)) for label in labels) if numbered else 0
    left = 32 + 6.4 * max(len(cut(label, 16)) for label in labels) if numbered else 30
    plot = Plot(title, (0.0, size), (0.0, size), "", actual, left=int(left), height=400, bottom=int(34 + 4.2 * longest))
    for row, line in enumerate(counts):
        total = sum(line) or 1
        for column, count in enumerate(line):
            if count == 0 and not numbered:
                continue
            share = count / total
            hint = f"{actual} {labels[row]}, {predicted} {labels[column]}: {count:,}"
            css = "cell right" if row == column else "cell wrong"
            style = f' style="fill-opacity:{0.05 + 0.85 * share:.2f}"'
            y = size - row
            plot.box((column, column + 1), (y, y - 1), css, hint if numbered or count else "", style)
            if numbered:
                plot.label(
                    plot.px(column + 0.5),
                    plot.py(y - 0.5) + 4,
                    f"{count:,}",
                    anchor="middle",
                    css="count strong" if share > 0.55 else "count",
                )
    floor = plot.height - plot.bottom
    if numbered:
        for index, label in enumerate(labels):
            plot.label(plot.left - 6, plot.py(size - index - 0.5) + 4, cut(label, 16), anchor="end")
            x = plot.px(index + 0.5)
            plot.parts.append(
                Markup(
                    '<text class="tick" text-anchor="end" transform="translate({} {}) rotate(-35)">{}</text>'
                ).format(f"{x + 4:.1f}", floor + 14, cut(label, 12))
            )
    plot.label((plot.left + plot.width - RIGHT) / 2, plot.height - 6, predicted, anchor="middle", css="name")
    plot.label(4, 9, f"{actual} ↓", css="name")
    rows = [(labels[index], *line) for index, line in enumerate(counts)] if numbered else []
    return plot.chart((f"{actual} \\ {predicted}", *labels) if rows else (), rows)


def bars(title: str, rows: Sequence[tuple[str, Interval]], x_label: str, columns: Sequence[str]) -> Chart:
    """Draw one bar a line from zero, with its interval."""
    known = [(name, score) for name, score in rows if score.value.value is not None]
    numbers = [f.value for _, s in known for f in (s.value, s.low, s.high) if f.value is not None]
    low, high = span([*numbers, 0.0])
    plot = Plot(title, (low, high), (len(known) - 0.4, -0.6), x_label, height=62 + 24 * len(known), left=150)
    plot.axes(y_ticks=())
    for index, (name, score) in enumerate(known):
        plot.label(142, plot.py(index) + 4, cut(name, 20), anchor="end", css="name")
        assert score.value.value is not None
        plot.box((0.0, score.value.value), (index - 0.32, index + 0.32), "bar", f"{name}: {score}")
        if score.low.value is not None and score.high.value is not None:
            plot.whisker(score.low.value, score.high.value, index, "ink")
    return plot.chart(columns, known)


def amounts(title: str, rows: Sequence[tuple[str, float, str]], x_label: str, columns: Sequence[str]) -> Chart:
    """Draw one amount a line. rows: name, amount, and the amount as it is written."""
    most = max((amount for _, amount, _ in rows), default=1.0) or 1.0
    plot = Plot(title, (0.0, most * 1.18), (len(rows) - 0.4, -0.6), x_label, height=58 + 24 * len(rows), left=LEFT + 72)
    plot.axes(y_ticks=())
    for index, (name, amount, text) in enumerate(rows):
        plot.label(plot.left - 8, plot.py(index) + 4, cut(name, 17), anchor="end", css="name")
        plot.box((0.0, amount), (index - 0.32, index + 0.32), "bar", f"{name}: {text}")
        plot.label(plot.px(amount) + 5, plot.py(index) + 4, text)
    return plot.chart(columns, [(name, text) for name, _, text in rows])
