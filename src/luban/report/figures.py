"""Numbers and texts on the page that know which entry of the run's files they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from luban.core.sentence import PARTS


class Each(str):
    """A part of a path that stands for every entry; a column may be called `*`, too."""


EACH = Each("*")


@dataclass(frozen=True)
class Figure:
    """A number of the run's files. source: file and JSON pointer (RFC 6901), as in `metrics.json#/scores/mse/value`.

    value: None where undefined. text: how it is written, where that is not left to its size. derived: how the value
    follows from the entries that the source names, where it is none of them: `sum`, `ratio`, `difference`...
    """

    source: str
    value: float | None
    text: str = ""
    derived: str = ""

    def __str__(self) -> str:
        return "–" if self.value is None else self.text or shown(self.value)

    def __format__(self, spec: str) -> str:
        return str(self)

    def __html__(self) -> Markup:
        if self.value is None:
            return Markup('<span class="undefined">–</span>')
        how = Markup(' data-derived="{}"').format(self.derived) if self.derived else Markup()
        return Markup('<data value="{}" data-source="{}"{}>{}</data>').format(
            repr(self.value), self.source, how, str(self)
        )

    @property
    def percent(self) -> Figure:
        """The same number, written in percent."""
        return self if self.value is None else replace(self, text=f"{100 * self.value:.3g} %")


@dataclass(frozen=True)
class Quote:
    """A text of the run's files. source: as of a Figure. parts: what it is made of, where the file tells that. lang:
    the tag of its language, where that is another than the page's."""

    source: str
    text: str
    parts: Any = None
    parts_source: str = ""
    lang: str = ""

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return self.text

    def cut(self, limit: int) -> Quote:
        """The same text, of at most so many characters."""
        return self if len(self.text) <= limit else replace(self, text=self.text[: limit - 1] + "…")

    def __html__(self) -> Markup:
        lang = Markup(' lang="{}"').format(self.lang) if self.lang else Markup()
        return Markup('<span data-source="{}"{}>{}</span>').format(self.source, lang, self.text)


def shown(number: float) -> str:
    """Return a number as people read it: four digits, three decimals of a small one, or as many as show it."""
    if isinstance(number, int) or abs(number) >= 1000:
        return f"{number:,.0f}"
    if abs(number) >= 10:
        return f"{number:#.4g}".rstrip(".")
    return f"{number:.3f}" if number == 0 or abs(number) >= 0.01 else f"{number:.2g}"


def pointer(file: str, *path: str | int) -> str:
    """Return the place of an entry, `FILE#/a/b`, each part escaped; EACH stands for every entry of a list."""
    parts = (
        part if isinstance(part, Each) else quote(str(part).replace("~", "~0").replace("/", "~1"), safe="~")
        for part in path
    )
    return f"{file}#" + "".join(f"/{part}" for part in parts)


class Figures:
    """Finds entries in a JSON file of the run by their path, so that no other number can be shown as a score."""

    def __init__(self, content: Any, file: str = "metrics.json", base: tuple[str | int, ...] = ()) -> None:
        self.content, self.file, self.base = content, file if "." in file else f"{file}.json", base

    def entry(self, *path: str | int) -> Any:
        """Return what is at a path, None where nothing is."""
        found: Any = self.content
        for part in path:
            if isinstance(found, Mapping):
                found = found.get(str(part))
            elif isinstance(found, (list, tuple)) and isinstance(part, int) and part < len(found):
                found = found[part]
            else:
                return None
        return found

    def below(self, *path: str | int) -> Figures:
        """Return the entries under a path."""
        return Figures(self.entry(*path), self.file, (*self.base, *path))

    def source(self, *path: str | int) -> str:
        return pointer(self.file, *self.base, *path)

    def __call__(self, *path: str | int) -> Figure:
        """Return the figure at a path, also where it is written as text; one without a value where there is none."""
        return Figure(self.source(*path), number_of(self.entry(*path)))

    def text(self, *path: str | int) -> Quote:
        """Return the text at a path, empty where nothing is there."""
        found = self.entry(*path)
        place = max((place for place, name in enumerate(path) if isinstance(name, str)), default=None)
        if place is None:
            return Quote(self.source(*path), "" if found is None else str(found))
        beside = (*path[:place], f"{path[place]}{PARTS}", *path[place + 1 :])
        return Quote(self.source(*path), "" if found is None else str(found), self.entry(*beside), self.source(*beside))

    def count(self, *path: str | int) -> Figure:
        """Return how many entries a list has."""
        return Figure(self.source(*path), len(self.entry(*path) or ()), derived="count")

    def interval(self, *path: str | int) -> Interval:
        """Return the value, low and high of a score at a path."""
        return Interval(self(*path, "value"), self(*path, "low"), self(*path, "high"))


def number_of(entry: object) -> float | None:
    """Return a number, or one that is written as text; None for anything else and what is not finite."""
    if isinstance(entry, str):
        try:
            entry = int(entry) if entry.removeprefix("-").isdecimal() else float(entry)
        except ValueError:
            return None
    if isinstance(entry, bool) or not isinstance(entry, (int, float)) or not math.isfinite(entry):
        return None
    return entry


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

    @property
    def percent(self) -> Interval:
        """The same score, written in percent."""
        return Interval(self.value.percent, self.low.percent, self.high.percent)

    def __str__(self) -> str:
        return f"{self.value} [{self.low}, {self.high}]" if self.has_bounds else str(self.value)

    def __format__(self, spec: str) -> str:
        return str(self)

    def __html__(self) -> Markup:
        if not self.has_bounds:
            return escape(self.value)
        return Markup('{} <span class="interval">[{}, {}]</span>').format(self.value, self.low, self.high)
