"""A number on the page that knows which number of the run's files it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Figure:
    """A number of metrics.json or explanations.json. source: file and path, as in `metrics.scores.accuracy.value`.
    value: None where undefined."""

    source: str
    value: float | None

    def __str__(self) -> str:
        return "–" if self.value is None else shown(self.value)

    def __format__(self, spec: str) -> str:
        return str(self)

    def __html__(self) -> Markup:
        if self.value is None:
            return Markup('<span class="undefined">–</span>')
        return Markup('<data value="{}" data-source="{}">{}</data>').format(
            repr(self.value), self.source, shown(self.value)
        )


def shown(number: float) -> str:
    """Return a number as people read it: three decimals, or other digits where its size asks for them."""
    if isinstance(number, int) or abs(number) >= 1000:
        return f"{number:,.0f}"
    if abs(number) >= 10:
        return f"{number:.4g}"
    return f"{number:.3f}" if number == 0 or abs(number) >= 0.01 else f"{number:.2g}"


class Figures:
    """Finds figures in a JSON file of the run by their path, so that no other number can be shown as a score."""

    def __init__(self, metrics: Mapping[str, Any], name: str = "metrics") -> None:
        self.metrics, self.name = metrics, name

    def __call__(self, *path: str | int) -> Figure:
        """Return the figure at a path; one without a value where nothing is there."""
        found: Any = self.metrics
        for part in path:
            if isinstance(found, Mapping):
                found = found.get(str(part))
            elif isinstance(found, list) and isinstance(part, int) and part < len(found):
                found = found[part]
            else:
                found = None
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool) and math.isfinite(found)
        return Figure(".".join([self.name, *map(str, path)]), found if is_number else None)

    def interval(self, *path: str | int) -> Interval:
        """Return the value, low and high of a score at a path."""
        return Interval(self(*path, "value"), self(*path, "low"), self(*path, "high"))


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % interval."""

    value: Figure
    low: Figure
    high: Figure

    @property
    def is_known(self) -> bool:
        return self.value.value is not None

    @property
    def has_bounds(self) -> bool:
        return self.low.value is not None and self.high.value is not None

    def __str__(self) -> str:
        return f"{self.value} [{self.low}, {self.high}]" if self.has_bounds else str(self.value)

    def __format__(self, spec: str) -> str:
        return str(self)

    def __html__(self) -> Markup:
        if not self.has_bounds:
            return escape(self.value)
        return Markup('{} <span class="interval">[{}, {}]</span>').format(self.value, self.low, self.high)
