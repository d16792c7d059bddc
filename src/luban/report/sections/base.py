"""What a section of the report is made from, and what it hands to its template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from luban.report.content import Content
from luban.report.language.words import Words

Build = Callable[[Content, Words], dict[str, Any] | None]


@dataclass(frozen=True)
class Section:
    """name: of its title (`section.NAME`) and template (`NAME.html`). build: returns what the template shows, or None
    where the run has nothing of it. source: the file that whatever does not say where it comes from is in. of_target:
    whether it is about the answers, so that each of several targets has one of its own."""

    name: str
    build: Build
    source: str = ""
    of_target: bool = False


@dataclass(frozen=True)
class Shown:
    """A section with what it shows. anchor: its place on the page. title: as it is headed."""

    section: Section
    anchor: str
    title: Markup
    view: dict[str, Any]
