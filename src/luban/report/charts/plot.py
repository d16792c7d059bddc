"""Axes and marks of an SVG chart. Places are in the units of the drawing, about one pixel each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 264
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 14, 44  # margins
NUM_TICKS = 6
TABLE_ROWS = 24  # of the data beside a chart

Point = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """A drawing with its name, and the data that it shows as a table."""

    svg: Markup
    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()


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
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
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
    parts: list[str] = field(default_factory=list)

    def px(self, value: float) -> float:
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return self.left + min(max(share, 0.0), 1.0) * (self.width - RIGHT - self.left)

    def py(self, value: float) -> float:
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return self.height - self.bottom - min(max(share, 0.0), 1.0) * (self.height - self.bottom - TOP)

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
            self.label(x, floor + 17, tick_text(tick), anchor="middle")
        self.parts.append(f'<line class="axis" x1="{self.left}" x2="{self.width - RIGHT}" y1="{floor}" y2="{floor}"/>')
        self.label((self.left + self.width - RIGHT) / 2, self.height - 8, self.x_label, anchor="middle", css="name")
        if self.y_label:
            middle = (TOP + floor) / 2
            self.parts.append(
                f'<text class="name" x="12" y="{middle:.0f}" text-anchor="middle" '
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
        """Name the lines by (css, text) at the top right of the drawing."""
        for index, (css, text) in enumerate(entries):
            y = TOP + 6 + 16 * index
            self.parts.append(
                f'<line class="line {css}" x1="{self.width - RIGHT - 24}" x2="{self.width - RIGHT - 4}" '
                f'y1="{y}" y2="{y}"/>'
            )
            self.label(self.width - RIGHT - 30, y + 4, text, anchor="end")

    def chart(self, columns: Sequence[str] = (), rows: Iterable[Sequence[object]] = ()) -> Chart:
        svg = (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(self.title)}">'
            f"{''.join(self.parts)}</svg>"
        )
        return Chart(Markup(svg), self.title, tuple(columns), tuple(tuple(row) for row in rows))


def thinned(points: Sequence[Point], limit: int = 300) -> list[Point]:
    """Replace neighbours by their mean, so that at most `limit` points are left; those that are not finite drop out."""
    finite = [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
    count = min(limit, len(finite))
    edges = [round(index * len(finite) / count) for index in range(count + 1)] if count else []
    groups = [finite[start:end] for start, end in pairwise(edges)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def some_of(points: Sequence[Point], limit: int = TABLE_ROWS) -> list[Point]:
    """Return an even draw of points, the first and the last among them."""
    if len(points) <= limit:
        return list(points)
    return [points[round(index * (len(points) - 1) / (limit - 1))] for index in range(limit)]
