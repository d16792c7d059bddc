"""The curve of a learning-rate range test, as a chart of characters and as an SVG file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from rich.console import Console
from rich.text import Text

from luban.report.wrapping import safe
from luban.training.preflight.lr_finder import RateCurve

CHART_LINES, MAX_WIDTH = 12, 100  # of the chart, the axis included
SVG_WIDTH, SVG_HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 64, 48  # margins of the SVG, pixels
SVG_TICKS, CHART_TICKS = 5, 3  # of the losses

STYLE = """
  .paper { fill: #ffffff } .ink { fill: #1f2430 } .axis { stroke: #8b93a1 } .grid { stroke: #e3e6ea }
  .raw { fill: #b4bcc8 } .curve { stroke: #0b6bcb } .mark { stroke: #c2410c } .proposal { fill: #c2410c }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #14171c } .ink { fill: #e3e6ea } .axis { stroke: #6b7280 } .grid { stroke: #2a2f38 }
    .raw { fill: #4b5563 } .curve { stroke: #6cb2f7 } .mark { stroke: #fb923c } .proposal { fill: #fb923c }
  }
"""


@dataclass(frozen=True)
class Scale:
    """Maps a range of values to a range of places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def loss_range(curve: RateCurve) -> tuple[float, float]:
    """Return the losses to show: a divergence at the end may leave the picture, the fall before it may not."""
    low, first = min(curve.smoothed), curve.smoothed[0]
    high = min(max(curve.smoothed), first + 0.5 * (first - low)) if first > low else max(curve.smoothed)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room, high + room


def decades(curve: RateCurve) -> list[int]:
    """Return the exponents of ten within the rates."""
    return list(range(math.ceil(math.log10(curve.rates[0]) - 1e-9), math.floor(math.log10(curve.rates[-1]) + 1e-9) + 1))


def title(curve: RateCurve) -> str:
    return "no learning rate proposed" if curve.proposed is None else f"proposed learning rate {curve.proposed:.2g}"


def show(console: Console, curve: RateCurve) -> None:
    """Print the curve and what follows from it."""
    console.print(safe(f"{title(curve)}: {curve.reason}"), soft_wrap=False)
    for line in chart(curve, min(console.width, MAX_WIDTH), ascii_only=console.options.ascii_only):
        console.print(Text(line), soft_wrap=True)


def chart(curve: RateCurve, width: int = 80, *, ascii_only: bool = False) -> list[str]:
    """Return the smoothed loss over the rate as twelve lines of at most `width` characters, the axis included."""
    if len(curve.rates) < 2:
        return ["no steps to show"]
    dot, rule, edge, axis, corner = "*:|-+" if ascii_only else "•┊│─└"
    low, high = loss_range(curve)
    ticks = [high - (high - low) * index / (CHART_TICKS - 1) for index in range(CHART_TICKS)]
    labels = [f"{tick:.4g}" for tick in ticks]
    margin = max(len(label) for label in labels) + 1
    columns, lines = max(width - margin - 1, 10), CHART_LINES - 2
    place_x = Scale(math.log10(curve.rates[0]), math.log10(curve.rates[-1]), 0, columns - 1)
    place_y = Scale(low, high, lines - 1, 0)
    cells = [[" "] * columns for _ in range(lines)]
    if curve.proposed is not None:
        for row in cells:
            row[round(place_x(math.log10(curve.proposed)))] = rule
    for rate, loss in zip(curve.rates, curve.smoothed, strict=True):
        if loss <= high:
            cells[round(place_y(loss))][round(place_x(math.log10(rate)))] = dot
    texts = {round(place_y(tick)): label for tick, label in zip(ticks, labels, strict=True)}
    drawn = [f"{texts.get(row, ''):>{margin}}{edge}{''.join(line)}".rstrip() for row, line in enumerate(cells)]
    names = [" "] * (columns + margin + 1)
    end = 0
    for exponent in decades(curve):
        label = f"1e{exponent}"
        at = min(margin + 1 + round(place_x(exponent)), len(names) - len(label))
        if at >= end:  # a label that would run into the one before it is left out
            names[at : at + len(label)] = label
            end = at + len(label) + 1
    return [*drawn, " " * margin + corner + axis * columns, "".join(names).rstrip()]


def svg(curve: RateCurve) -> str:
    """Return the curve as a self-contained SVG that follows the reader's light or dark colours."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SVG_WIDTH} {SVG_HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13"><title>{escape(title(curve))}</title>'
        f'<style>{STYLE}</style><rect class="paper" width="100%" height="100%"/>'
        f'<text class="ink" x="{LEFT}" y="22" font-size="15">{escape(title(curve))}</text>'
        f'<text class="ink" x="{LEFT}" y="41" font-size="12">{escape(curve.reason)}</text>'
    )
    if len(curve.rates) < 2:
        return head + "</svg>\n"
    low, high = loss_range(curve)
    place_x = Scale(math.log10(curve.rates[0]), math.log10(curve.rates[-1]), LEFT, SVG_WIDTH - RIGHT)
    place_y = Scale(low, high, SVG_HEIGHT - BOTTOM, TOP)
    parts = [head]
    for index in range(SVG_TICKS):
        value = low + (high - low) * index / (SVG_TICKS - 1)
        y = place_y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{SVG_WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="ink" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    bottom = SVG_HEIGHT - BOTTOM
    for exponent in decades(curve):
        x = place_x(exponent)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(f'<text class="ink" x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">1e{exponent}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{SVG_WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    centre = (LEFT + SVG_WIDTH - RIGHT) / 2
    parts.append(f'<text class="ink" x="{centre:.0f}" y="{SVG_HEIGHT - 10}" text-anchor="middle">learning rate</text>')
    parts.append(f'<text class="ink" x="8" y="{TOP - 16}">loss</text>')
    for rate, loss in zip(curve.rates, curve.losses, strict=True):
        if low <= loss <= high:
            parts.append(f'<circle class="raw" cx="{place_x(math.log10(rate)):.1f}" cy="{place_y(loss):.1f}" r="2"/>')
    points = " ".join(
        f"{place_x(math.log10(rate)):.1f},{place_y(loss):.1f}"
        for rate, loss in zip(curve.rates, curve.smoothed, strict=True)
    )
    parts.append(f'<polyline class="curve" points="{points}" fill="none" stroke-width="2"/>')
    if curve.proposed is not None:
        x = place_x(math.log10(curve.proposed))
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke-dasharray="5 4"/>'
            f'<text class="proposal" x="{x - 6:.1f}" y="{TOP + 14}" text-anchor="end">{curve.proposed:.2g}</text>'
        )
    return "\n".join(parts) + "\n</svg>\n"
