"""The network of a traced step as SVG: units and weighted edges of a small one, boxes of layers of a large one."""

from __future__ import annotations

import re
from html import escape

from luban.explain.trace import Trace
from luban.explain.trace_formulas import number

ACROSS, DOWN, RADIUS = 190, 76, 24
BOX_WIDTH, BOX_HEIGHT, GAP = 520, 38, 16
MAX_BOXES = 24
BLOCK = re.compile(r"(.*?layers\.\d+)\.")


def diagram(trace: Trace, title: str) -> str:
    """Return an SVG element with a title; nothing in it is a script."""
    body, width, height = _units(trace) if trace.units else _boxes(trace)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _units(trace: Trace) -> tuple[str, int, int]:
    columns = [list(trace.input), *([unit.activation.value for unit in layer.units] for layer in trace.units)]
    tallest = max(map(len, columns))
    places = [
        [(60 + ACROSS * i, 50 + DOWN * (j + (tallest - len(column)) / 2)) for j in range(len(column))]
        for i, column in enumerate(columns)
    ]
    largest = max(abs(w) for layer in trace.units for row in layer.weights for w in row) or 1.0
    edges, labels = [], []
    for i, layer in enumerate(trace.units):
        for j, row in enumerate(layer.weights):
            for k, weight in enumerate(row):
                (x1, y1), (x2, y2) = places[i][k], places[i + 1][j]
                sign = "minus" if weight < 0 else "plus"
                thick = 0.8 + 3 * abs(weight) / largest
                edges.append(
                    f'<line class="{sign}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke-width="{thick:.1f}"/>'
                )
                if len(row) * len(layer.weights) <= 12:
                    at = 0.3 if k % 2 else 0.42
                    labels.append(_text(x2 - (x2 - x1) * at, y2 - (y2 - y1) * at - 4, f"{weight:.3g}", "small halo"))
    circles = []
    for i, column in enumerate(columns):
        for j, value in enumerate(column):
            x, y = places[i][j]
            circles.append(f'<circle cx="{x}" cy="{y}" r="{RADIUS}"/>' + _text(x, y + 4, f"{value:.3g}", ""))
        caption = "x" if i == 0 else trace.units[i - 1].activation
        circles.append(_text(places[i][0][0], 50 + DOWN * tallest - 12, caption, "small"))
    return "".join(edges + labels + circles), 120 + ACROSS * (len(columns) - 1), 70 + DOWN * tallest


def _boxes(trace: Trace) -> tuple[str, int, int]:
    rows: list[tuple[str, str]] = []
    layers = [layer for layer in trace.layers if layer.kind != "Dropout"]
    for layer in layers:
        match = BLOCK.match(layer.name) if len(layers) > MAX_BOXES else None
        name = match[1] if match else f"{layer.name} · {layer.kind}"
        shape = " × ".join(map(str, layer.output.shape))
        if rows and rows[-1][0] == name:
            rows.pop()
        rows.append((name, shape))
    parts = []
    for i, (name, shape) in enumerate(rows):
        y = 10 + i * (BOX_HEIGHT + GAP)
        if i:
            parts.append(f'<line class="plus" x1="270" y1="{y - GAP}" x2="270" y2="{y}" stroke-width="1.5"/>')
        parts.append(f'<rect x="10" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>')
        parts.append(_text(270, y + 16, name, "") + _text(270, y + 31, shape, "small"))
    return "".join(parts), BOX_WIDTH + 20, 20 + len(rows) * (BOX_HEIGHT + GAP)


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(text.replace("-", "−"))}</text>'


def histogram(counts: tuple[int, ...]) -> str:
    """Return a small bar chart."""
    top = max(counts, default=0) or 1
    bars = "".join(
        f'<rect x="{i * 6}" y="{24 - 24 * count / top:.1f}" width="5" height="{24 * count / top:.1f}"/>'
        for i, count in enumerate(counts)
    )
    label = ", ".join(map(str, counts))
    return f'<svg class="bars" viewBox="0 0 96 24" width="96" height="24" role="img" aria-label="{label}">{bars}</svg>'


def shown(values: tuple[float, ...] | None) -> str:
    """Write the numbers of a small tensor."""
    return "" if values is None else "  ".join(number(value) for value in values)
