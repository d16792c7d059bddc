"""The words of the report in one language."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any

import yaml
from markupsafe import Markup, escape

from luban.core.errors import ConfigError, listed, nearest

CHINESE, LATIN = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[A-Za-z0-9²]")
TAG = re.compile(r"<[^>]*>")
LANGUAGES = {"en": "en", "zh": "zh-Hans"}  # and the tag of the page


class Words:
    """Texts by key: `words("verdict.rows", rows=3)`. Only the texts are trusted; what is put into them is escaped."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language, self.tag, self.texts = language, LANGUAGES[language], texts

    def __call__(self, key: str, **values: object) -> Markup:
        return Markup(filled(self.texts[key], lambda name, _: escape(values[name])))

    def plain(self, key: str, **values: object) -> str:
        """Return the text without escaping, for Markdown and terminals, which escape in their own way."""
        return filled(self.texts[key], lambda name, _: str(values[name]))

    def name(self, kind: str, name: str) -> str:
        """Return what a metric, stage, baseline... is called, or its own name where this language has none; behind a
        slash stands a name of the data."""
        own, slash, column = name.partition("/")
        return str(self.texts.get(f"{kind}.{own}", own.replace("_", " "))) + (f" ({column})" if slash else "")

    def has(self, key: str) -> bool:
        return key in self.texts


def filled(form: str, value: Callable[[str, str], str]) -> str:
    """Put values into a form; between its Chinese and a Latin letter or a digit is a space, between Chinese none.

    value: by name and format specification, as the form has them.
    """
    found = ""
    for literal, name, spec, _ in Formatter().parse(form):
        text = literal.strip(" ")
        start, _, end = literal.partition(text) if text else (literal, "", "")
        if found and CHINESE.match(text[:1]):
            start = _gap(TAG.sub("", found)[-1:], start)
        found += start + text
        if name is not None:
            own = str(value(name, spec or ""))  # Markup would escape the form
            found += (_gap(TAG.sub("", own)[:1], end) if CHINESE.match(text[-1:]) else end) + own
        else:
            found += end
    return found


def _gap(other: str, given: str) -> str:
    """Return what stands between Chinese and another character."""
    return "" if CHINESE.match(other) else " " if LATIN.match(other) else given


@cache
def words(language: str) -> Words:
    """Return the words of a language. Raises ConfigError for one that there is not."""
    if language not in LANGUAGES:
        raise ConfigError(
            "--lang",
            expected=f"one of {listed(LANGUAGES)}",
            found=f"'{language}'",
            action=f"{nearest(language, LANGUAGES)}Choose one of them",
        )
    return Words(language, texts_of(language))


def texts_of(language: str) -> dict[str, str]:
    """Return the texts of a language by key, the levels of the file joined by dots."""
    content = (resources.files("luban.report") / "texts" / f"{language}.yaml").read_text("utf-8")
    return dict(flat(yaml.safe_load(content)))


def flat(content: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return the texts of a file by key, its levels joined by dots."""
    found: list[tuple[str, str]] = []
    for key, value in content.items():
        path = f"{prefix}{key}"
        found += flat(value, f"{path}.") if isinstance(value, dict) else [(path, str(value))]
    return found
