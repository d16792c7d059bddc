"""The report: one self-contained HTML page out of a run directory's files."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.shown import as_page
from luban.report.content import Content, read_content
from luban.report.language.words import Words, words
from luban.report.sections import SECTIONS, verdict
from luban.report.sections.base import Shown


def write_report(
    directory: RunDirectory, lang: str = "en", output: Path | None = None, manifest: dict[str, Any] | None = None
) -> Path:
    """Write the page and return its path, `report.html` in the run if None is given.

    manifest: of a run that is not sealed yet. Raises ConfigError for an unknown language, ArtifactError for files that
    cannot be read or written.
    """
    page = render(read_content(directory, manifest), words(lang))
    path = output or directory / artifact.REPORT
    artifact.write_bytes(path, as_page(page))
    return path


def language_of(directory: RunDirectory) -> str:
    """Return the language that a run was asked to report in."""
    return str(read_content(directory).config.get("lang") or "en")


def render(content: Content, language: Words) -> str:
    """Return the page of a run."""
    return (
        environment()
        .get_template("page.html")
        .render(
            name=content.name,
            words=language,
            verdict=verdict.build(content, language),
            sections=shown(content, language),
            style=style(),
        )
    )


def shown(content: Content, language: Words) -> list[Shown]:
    """Return the sections that have something to show; of several targets one after the other has all of its own."""
    found = []
    for of_target, group in groupby(SECTIONS, lambda section: section.of_target):
        sections = list(group)
        for number, part in enumerate(content.parts if of_target and content.parts else (content,), 1):
            for section in sections:
                anchor, title = section.name, language(f"section.{section.name}")
                if part is not content:
                    anchor, title = f"{anchor}-{number}", language("of_target", title=title, target=part.target)
                if (view := section.build(part, language)) is not None:
                    found.append(Shown(section, anchor, title, view))
    return found


@cache
def environment() -> Environment:
    """Return the templates; all that is put into one is escaped, and what a file of the run lacks shows as nothing."""
    return Environment(
        loader=PackageLoader("luban.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def style() -> Markup:
    """Return the style sheet, which is ours and so needs no escaping."""
    loader = environment().loader
    assert loader is not None
    return Markup(loader.get_source(environment(), "style.css")[0])
