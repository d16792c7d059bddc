"""Sequences as people look at them: what is kept of one, and its chart."""

from __future__ import annotations

import math
import re

import pytest

from luban.features.sequence import SHOWN_NUMBERS, SHOWN_STEPS, Series
from luban.report.figures import Figures
from luban.report.language.words import words
from luban.report.pictures.sequence import Spans, series_chart


def chart(series: Series, column: str = "wave", language: str = "en", **more: object):
    at = Figures({"a": series.to_json()}).below("a")
    return series_chart(at, column, 7, words(language), **more)


def series_of(cell: object, **more: object) -> Series:
    found = Series.of(cell, **more)
    assert found is not None
    return found


def test_a_short_sequence_is_kept_whole() -> None:
    found = series_of([1.5, -2.0, math.nan, 1 / 3]).to_json()
    assert found == {
        "length": 4,
        "width": 1,
        "steps": [1, 2, 3, 4],
        "numbers": [1],
        "values": [[1.5, -2.0, None, 0.333333]],
    }


def test_a_long_and_wide_sequence_is_drawn_evenly() -> None:
    found = series_of([[float(step), *[0.0] * 8] for step in range(500)])
    assert (found.length, found.width) == (500, 9)
    assert len(found.steps) == SHOWN_STEPS
    assert (found.steps[0], found.steps[-1]) == (1, 500)
    assert found.values[0] == tuple(float(step - 1) for step in found.steps)
    assert len(found.values) == SHOWN_NUMBERS
    assert "96 of 500 steps drawn; <data" in chart(found).title.replace("</data>", "").replace(
        '<data value="96" data-source="metrics.json#/a/steps" data-derived="count">', ""
    ).replace('<data value="500" data-source="metrics.json#/a/length">', "")
    assert "绘出" in chart(found, language="zh").title


@pytest.mark.parametrize("cell", [None, [], "text", [[1.0], [1.0, 2.0]], 3])
def test_what_is_no_sequence_is_not_drawn(cell: object) -> None:
    assert Series.of(cell) is None


def test_values_can_be_read() -> None:
    found = chart(series_of([[1.25, 4.0], [2.5, math.nan], [0.0, 6.0]]))
    assert "<title>number 1, step 2: 2.5</title>" in found.svg
    assert found.columns == ("step", "number 1", "number 2")
    assert found.rows == (("1", "1.25", "4"), ("2", "2.5", "–"), ("3", "0", "6"))
    assert found.svg.count("<polyline") == 1  # the second line has a gap, and is two dots
    assert 'aria-label="Sequence in column wave, row 7"' in found.svg


@pytest.mark.parametrize("cell", [[5.0], [2.0, 2.0, 2.0], [1e30, -1e30], [math.nan, math.nan], list(range(40))])
def test_any_sequence_stays_within_the_drawing(cell: list[float]) -> None:
    found = chart(series_of(cell))
    _, _, width, height = map(float, re.findall(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', found.svg)[0])
    xs = [float(x) for x in re.findall(r'\b(?:c?x|x1|x2)="(-?[\d.]+)"', found.svg)]
    ys = [float(y) for y in re.findall(r'\b(?:c?y|y1|y2)="(-?[\d.]+)"', found.svg)]
    assert min(xs) >= 0
    assert max(xs) <= width
    assert min(ys) >= 0
    assert max(ys) <= height
    assert "nan" not in found.svg


def test_names_out_of_the_data_are_escaped() -> None:
    found = chart(series_of([1.0, 2.0]), "<script>")
    assert "<script>" not in found.svg
    assert "<script>" not in words("en")("series.joint").join([found.title])


def test_what_a_span_weighs_is_its_shade() -> None:
    found = chart(
        series_of([0.0, 1.0, 0.0, 1.0], spans=((1, 2), (3, 4))),
        spans=Spans([("steps 1-2", 0.5, 1.0), ("steps 3-4", -0.25, -0.5)], "explanations.json#/rows/0"),
    )
    assert re.findall(r'class="(band \w+)"[^>]*fill-opacity:([\d.]+)"><title>([^<]+)', found.svg) == [
        ("band for", "0.40", "steps 1-2: +0.500"),
        ("band against", "0.20", "steps 3-4: -0.250"),
    ]
    assert found.source == "metrics.json#/a explanations.json#/rows/0"
