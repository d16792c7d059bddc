"""The curve of a range test as characters and as SVG."""

from __future__ import annotations

import io
import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from rich.console import Console

from luban.report.rate_plot import SVG_HEIGHT, SVG_WIDTH, chart, show, svg
from luban.training.preflight.lr_finder import RateCurve, smooth

SVG = "{http://www.w3.org/2000/svg}"


def curve(proposed: float | None = 1e-3, steps: int = 100) -> RateCurve:
    rates = np.geomspace(1e-7, 10.0, steps)
    losses = (1.0 - 0.7 * rates / (rates + 1e-3) + np.where(rates > 1, 50 * rates, 0)).tolist()
    return RateCurve(rates.tolist(), losses, smooth(losses), proposed, "the loss falls fastest at 1e-3 & <soon>")


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_chart_is_twelve_lines_that_fit(width: int, ascii_only: bool) -> None:
    lines = chart(curve(), width, ascii_only=ascii_only)
    assert len(lines) == 12
    assert max(len(line) for line in lines) <= width
    assert "1e-7" in lines[-1]
    assert all(line.isascii() for line in lines) or not ascii_only


def test_the_chart_shows_the_fall_and_the_proposal_but_not_the_explosion() -> None:
    lines = chart(curve(), 80, ascii_only=True)
    top, bottom = lines[0].split("|")[0], lines[9].split("|")[0]
    assert float(top) < 2.0
    assert float(bottom) < 0.5
    marked = {line.index(":") for line in lines[:10] if ":" in line}
    assert len(marked) == 1
    assert marked.pop() == pytest.approx(len(top) + 1 + 0.5 * (79 - len(top)), abs=1.5)  # 1e-3 is halfway


def test_a_curve_without_a_proposal_or_without_steps_can_be_shown() -> None:
    assert not any(":" in line for line in chart(curve(None), 80, ascii_only=True))
    empty = RateCurve([], [], [], None, "the loss was not finite after 0 steps, before anything could be learned")
    assert chart(empty) == ["no steps to show"]
    assert "no learning rate proposed" in svg(empty)


def test_a_flat_curve_has_an_axis() -> None:
    rates = np.geomspace(1e-7, 10.0, 100).tolist()
    flat = RateCurve(rates, [0.0] * 100, [0.0] * 100, None, "the loss never fell")
    assert len(chart(flat)) == 12
    ET.fromstring(svg(flat))


def test_show_prints_the_proposal_the_reason_and_the_chart() -> None:
    console = Console(file=io.StringIO(), width=80)
    show(console, curve())
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "proposed learning rate 0.001: the loss falls fastest at 1e-3 & <soon>"
    assert len(lines) == 13


def test_the_svg_is_whole_within_its_frame_and_follows_dark_mode() -> None:
    content = svg(curve())
    root = ET.fromstring(content)
    assert "prefers-color-scheme: dark" in content
    (line,) = root.iter(f"{SVG}polyline")
    points = [tuple(float(part) for part in point.split(",")) for point in line.attrib["points"].split()]
    assert len(points) == 100
    assert all(0 <= x <= SVG_WIDTH and 0 <= y <= SVG_HEIGHT for x, y in points)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"1e-7", "1e0", "learning rate", "loss", "0.001"} <= set(texts)
    assert math.isclose(points[0][0], 64.0)
