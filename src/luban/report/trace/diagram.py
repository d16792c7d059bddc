"""The network of a traced step as SVG: units and weighted edges of a small one, a graph of inputs and layers of a large
one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from rich.cells import cell_len, set_cell_size

from luban.explain.trace.formulas import number
from luban.explain.trace.row import InputTrace, RowTrace

ACROSS, DOWN, RADIUS = 125, 76, 24
# At 375 pixels the drawing is shown at its own size, so that its letters stay readable.
TOTAL_WIDTH, MARGIN, BOX_HEIGHT, GAP = 330, 6, 40, 14
STEP = BOX_HEIGHT + GAP
CHARACTER_WIDTH = 7.6
MAX_LANES, SHOWN_COLUMNS = 2, 4
MAX_BOXES = 24
BLOCK = re.compile(r"(.*?layers\.\d+)\.")


def diagram(found: RowTrace, title: str, kinds: Sequence[str]) -> str:
    """Return an SVG element with a title; nothing in it is a script. kinds: what those of the inputs are called."""
    trace = found.trace
    body, width, height = _units(found) if trace.units else _graph(found, kinds)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _units(found: RowTrace) -> tuple[str, int, int]:
    trace = found.trace
    columns_in = [column for item in found.inputs for column in item.columns]
    names = columns_in if len(columns_in) == len(trace.input) else []
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
            if i == 0 and names:
                parts = _text(x, y - RADIUS - 5, _cut(names[j], ACROSS / 2), "small")
                circles.append(f"<g><title>{escape(names[j])}</title>{parts}</g>")
        caption = "x" if i == 0 else trace.units[i - 1].activation
        circles.append(_text(places[i][0][0], 50 + DOWN * tallest - 12, caption, "small"))
    return "".join(edges + labels + circles), 120 + ACROSS * (len(columns) - 1), 70 + DOWN * tallest


def _graph(found: RowTrace, kinds: Sequence[str]) -> tuple[str, int, int]:
    """Draw inputs -> their encoders -> fusion and head: a lane for each input, named by its columns, one or two side by
    side; more of them below each other, joined by a line at their right. The layers that all reach come last."""
    lanes = {item.encoder: [_input_box(item, kind)] for item, kind in zip(found.inputs, kinds, strict=True)}
    shared: list[tuple[str, str]] = []
    layers = [layer for layer in found.trace.layers if layer.kind != "Dropout"]
    for layer in layers:
        owner = next((prefix for prefix in lanes if f"{layer.name}.".startswith(prefix)), None)
        boxes = shared if owner is None else lanes[owner]
        block = BLOCK.match(layer.name) if len(layers) > MAX_BOXES else None
        name = block[1] if block else f"{layer.name} · {layer.kind}"
        if boxes and boxes[-1][0] == name:
            boxes.pop()
        boxes.append((name, " × ".join(map(str, layer.output.shape))))
    is_stacked = len(lanes) > MAX_LANES
    width = TOTAL_WIDTH - 2 * GAP if is_stacked else (TOTAL_WIDTH - GAP * (len(lanes) - 1)) / max(len(lanes), 1)
    parts: list[str] = []
    ends: list[float] = []
    top, bottom, right = MARGIN, MARGIN, MARGIN + TOTAL_WIDTH - 2.0
    for place, boxes in enumerate(lanes.values()):
        x = MARGIN if is_stacked else MARGIN + place * (width + GAP)
        parts += _column(boxes, x, top, width)
        end = top + len(boxes) * STEP - GAP
        ends.append(end)
        bottom = max(bottom, end)
        if is_stacked:
            parts.append(_edge(x + width, end - BOX_HEIGHT / 2, right, end - BOX_HEIGHT / 2))
            top = end + 2 * GAP
    below = bottom + 2 * GAP
    if shared and is_stacked:
        parts.append(_edge(right, ends[0] - BOX_HEIGHT / 2, right, below))
    elif shared:
        centers = [MARGIN + place * (width + GAP) + width / 2 for place in range(len(lanes))]
        parts += [_edge(x, end, x, below) for x, end in zip(centers, ends, strict=True)]
    parts += _column(shared, MARGIN, below, TOTAL_WIDTH)
    return "".join(parts), TOTAL_WIDTH + 2 * MARGIN, below + len(shared) * STEP


def _input_box(item: InputTrace, kind: str) -> tuple[str, str]:
    columns = ", ".join(item.columns[:SHOWN_COLUMNS])
    more = f" + {len(item.columns) - SHOWN_COLUMNS}" if len(item.columns) > SHOWN_COLUMNS else ""
    return f"{columns}{more}", f"{kind} {' × '.join(map(str, item.values.shape))}"


def _column(boxes: list[tuple[str, str]], x: float, top: float, width: float) -> list[str]:
    parts = []
    for i, (name, shape) in enumerate(boxes):
        y = top + i * STEP
        if i:
            parts.append(_edge(x + width / 2, y - GAP, x + width / 2, y))
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="6"/>')
        label = _text(x + width / 2, y + 17, _cut(name, width), "")
        parts.append(f"<g><title>{escape(name)}</title>{label}</g>")
        parts.append(_text(x + width / 2, y + 33, shape, "small"))
    return parts


def _cut(name: str, width: float) -> str:
    """Shorten a name to what a width has room for; Chinese characters take twice as much."""
    limit = int(width / CHARACTER_WIDTH)
    if cell_len(name) <= limit:
        return name
    return f"{set_cell_size(name, limit - 1).rstrip()}…"


def _edge(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="plus" x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}" stroke-width="1.5"/>'


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
