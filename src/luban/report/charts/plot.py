"""Axes and marks of an SVG chart. Places are in the units of the drawing, about one pixel each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 264
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 14, 44  # margins
LEGEND = 17  # height of a row of the legend
NUM_TICKS = 6
TABLE_ROWS = 24  # of the data beside a chart

Point = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """A drawing with its name, and the data that it shows as a table. source: the entries of the run's files that are
    drawn, joined by blanks. derived: how they were calculated with, as in a Figure."""

    svg: Markup
    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()
    source: str = ""
    derived: str = ""


def tick_text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def nice_ticks(low: float, high: float, count: int = NUM_TICKS) -> list[float]:
    """Return about `count` round numbers within a range."""
    raw = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def span(values: Iterable[float], *, room: float = 0.05) -> tuple[float, float]:
    """Return a range that holds all finite values with some room; (0, 1) where there is none."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    margin = room * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


@dataclass
class Plot:
    """A chart under way. title: what it is, also for those who cannot see it. x, y: the ranges shown."""

    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str = ""
    y_label: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = BOTTOM
    top: int = TOP
    source: str = ""
    derived: str = ""
    parts: list[str] = field(default_factory=list)

    def px(self, value: float) -> float:
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return self.left + min(max(share, 0.0), 1.0) * (self.width - RIGHT - self.left)

    def py(self, value: float) -> float:
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return self.height - self.bottom - min(max(share, 0.0), 1.0) * (self.height - self.bottom - self.top)

    def axes(self, *, x_ticks: Sequence[float] | None = None, y_ticks: Sequence[float] | None = None) -> None:
        """Draw grid, ticks and labels; an empty sequence leaves the ticks of an axis out."""
        floor = self.height - self.bottom
        for tick in nice_ticks(*self.y) if y_ticks is None else y_ticks:
            y = self.py(tick)
            self.parts.append(
                f'<line class="grid" x1="{self.left}" x2="{self.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            self.label(self.left - 7, y + 4, tick_text(tick), anchor="end")
        for tick in nice_ticks(*self.x) if x_ticks is None else x_ticks:
            x = self.px(tick)
            self.parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}"/>')
            text = tick_text(tick)
            is_over = x + text_width(text) / 2 > self.width  # the drawing would cut it
            self.label(self.width if is_over else x, floor + 17, text, anchor="end" if is_over else "middle")
        self.parts.append(f'<line class="axis" x1="{self.left}" x2="{self.width - RIGHT}" y1="{floor}" y2="{floor}"/>')
        self.label(
            (self.left + self.width - RIGHT) / 2, self.height - 8, self.x_label, anchor="middle", css="axis-name"
        )
        if self.y_label:
            middle = (self.top + floor) / 2
            self.parts.append(
                f'<text class="axis-name" x="12" y="{middle:.0f}" text-anchor="middle" '
                f'transform="rotate(-90 12 {middle:.0f})">{escape(self.y_label)}</text>'
            )

    def label(self, x: float, y: float, text: str, *, anchor: str = "start", css: str = "tick") -> None:
        self.parts.append(f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, points: Sequence[Point], css: str) -> None:
        """Join points; the line breaks where one is not finite."""
        runs: list[list[Point]] = [[]]
        for point in points:
            if math.isfinite(point[0]) and math.isfinite(point[1]):
                runs[-1].append(point)
            elif runs[-1]:
                runs.append([])
        for run in runs:
            places = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in run)
            if len(run) > 1:
                self.parts.append(f'<polyline class="line {css}" points="{places}"/>')
            elif run:
                self.dot(*run[0], css)

    def dot(self, x: float, y: float, css: str, hint: str = "", radius: float = 3.5) -> None:
        title = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(
            f'<circle class="dot {css}" cx="{self.px(x):.1f}" cy="{self.py(y):.1f}" r="{radius:g}">{title}</circle>'
        )

    def box(self, x: Point, y: Point, css: str, hint: str = "", style: str = "") -> None:
        """Fill a rectangle between two x and two y."""
        left, right = sorted((self.px(x[0]), self.px(x[1])))
        top, floor = sorted((self.py(y[0]), self.py(y[1])))
        title = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(
            f'<rect class="{css}" x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 0.5):.1f}" '
            f'height="{max(floor - top, 0.5):.1f}"{style}>{title}</rect>'
        )

    def whisker(self, low: float, high: float, y: float, css: str) -> None:
        """Draw a horizontal interval with ends."""
        left, right, middle = self.px(low), self.px(high), self.py(y)
        self.parts.append(
            f'<path class="line {css}" d="M{left:.1f} {middle - 4:.1f}v8M{left:.1f} {middle:.1f}H{right:.1f}'
            f'M{right:.1f} {middle - 4:.1f}v8"/>'
        )

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Name the lines by (css, text), in rows over the axes, which have to leave LEGEND a row."""
        places = legend_places([text for _, text in entries], self.left, self.width)
        for (css, text), (x, row) in zip(entries, places, strict=True):
            y = 6 + LEGEND * row
            self.parts.append(f'<line class="line {css}" x1="{x:.0f}" x2="{x + 20:.0f}" y1="{y}" y2="{y}"/>')
            self.label(x + 26, y + 4, text)

    def strip(self, source: str) -> Markup:
        """Return a drawing for a line of a table, where the numbers stand beside it."""
        return Markup('<svg class="strip" viewBox="0 0 {} {}" aria-hidden="true" data-source="{}">{}</svg>').format(
            self.width, self.height, source, Markup("".join(self.parts))
        )

    def chart(self, columns: Sequence[str] = (), rows: Iterable[Sequence[object]] = ()) -> Chart:
        svg = (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(self.title)}" '
            f'data-source="{escape(self.source)}">'
            f"{''.join(self.parts)}</svg>"
        )
        table = tuple(tuple(row) for row in rows)
        return Chart(Markup(svg), self.title, tuple(columns), table, self.source, self.derived)


def finite(points: Sequence[Point]) -> list[Point]:
    """Return the points of which both numbers are finite."""
    return [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]


def legend_places(texts: Sequence[str], left: int = LEFT, width: int = WIDTH) -> list[tuple[int, int]]:
    """Return where each text of a legend begins: x, and its row from 0."""
    places, x, row = [], left, 0
    for text in texts:
        taken = 26 + text_width(text) + 14
        if x + taken > width and x > left:
            x, row = left, row + 1
        places.append((x, row))
        x += taken
    return places


def text_width(text: str) -> int:
    """Return about how wide a text of the drawing is; Chinese takes twice as much."""
    return round(sum(12.0 if ord(letter) > 0x2E80 else 6.6 for letter in text))


def thinned(points: Sequence[Point], limit: int = 300) -> list[Point]:
    """Replace neighbours by their mean, so that at most `limit` points are left; those that are not finite drop out."""
    known = finite(points)
    count = min(limit, len(known))
    edges = [round(index * len(known) / count) for index in range(count + 1)] if count else []
    groups = [known[start:end] for start, end in pairwise(edges)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def some_of(points: Sequence[Point], limit: int = TABLE_ROWS) -> list[Point]:
    """Return an even draw of points, the first and the last among them."""
    if len(points) <= limit:
        return list(points)
    return [points[round(index * (len(points) - 1) / (limit - 1))] for index in range(limit)]
