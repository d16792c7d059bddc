"""The sentences of the run's files in the language of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any

import yaml

from luban.report.figures import Quote
from luban.report.language.words import LANGUAGES, Words, filled, flat

ENGLISH = "en"  # that the files are written in
PROSE = re.compile(r"[A-Za-z]{2}.* .*[A-Za-z]{2}")  # and no mere number, with or without its unit


@dataclass(frozen=True)
class Forms(Formatter):
    """The sentences of a language by id. `{metric:metric}` in one stands for what the metric is called.

    names: what roles, kinds, units... are called, by `KIND.NAME`. lists: how names are listed.
    """

    words: Words
    sentences: Mapping[str, str]
    names: Mapping[str, str]
    lists: Mapping[str, str]

    def of(self, parts: Any) -> str | None:
        """Return a sentence out of its parts; None where the language has no form that fits them."""
        form = self.sentences.get(str(parts.get("id"))) if isinstance(parts, Mapping) else None
        if form is None:
            return None
        try:
            values = parts.get("values") or {}
            return filled(form, lambda name, spec: str(self.format_field(values[name], spec)))
        except (KeyError, ValueError, TypeError):
            return None  # written by another version

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Mapping) and "id" in value:
            return self.of(value) or str(value["text"])
        if isinstance(value, list):
            return self.lists["clause"].join(self.of(item) or str(item["text"]) for item in value)
        if isinstance(value, Mapping):
            shown = self.lists["joint"].join(self.lists["item"].format(item) for item in value["names"])
            count = len(value["names"]) + value["more"]
            return self.lists["cut"].format(shown, count) if value["more"] else shown
        if format_spec.isalpha() and len(format_spec) > 1:
            return self.names.get(f"{format_spec}.{value}") or self.words.name(format_spec, str(value))
        return str(super().format_field(value, format_spec))


@cache
def forms(words: Words) -> Forms:
    """Return the sentences of a language that is not English."""
    tables = tables_of(words.language)
    return Forms(words, *(dict(flat(tables[name])) for name in ("sentences", "names", "lists")))


def tables_of(language: str) -> dict[str, Any]:
    """Return the file of a language's sentences, names and lists."""
    content = (resources.files("luban.report") / "texts" / f"sentences.{language}.yaml").read_text("utf-8")
    return dict(yaml.safe_load(content))


def told(english: Quote, words: Words) -> Quote:
    """Return a sentence of the files in the language of the page, or as it is, marked as English, where the file does
    not tell its parts or the language has no form of it."""
    if words.language == ENGLISH or not english.text:
        return english
    form = forms(words).of(english.parts)
    if form is None:
        return replace(english, lang=LANGUAGES[ENGLISH]) if PROSE.search(english.text) else english
    return replace(english, source=f"{english.source} {english.parts_source}", text=form)


def named(kind: str, english: Quote, words: Words) -> Quote:
    """Return what the language of the page calls a role, a kind..., or the name as it is where it has none."""
    if words.language == ENGLISH:
        return english
    return replace(english, text=forms(words).names.get(f"{kind}.{english.text}", english.text))
