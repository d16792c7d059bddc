"""Sentences for people that know what they are made of, so that a page can say them in another language, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

from luban.core.errors import listed

PARTS = "_parts"  # what follows the name of a text in JSON, where it is told what the text is made of
SINGULAR = {"have": "has", "are": "is", "were": "was"}
SHOWN = 8  # names that a sentence lists


class Sentence(str):
    """English text that knows its parts.

    id: by which another language finds its own form. values: by name, as JSON has them; another sentence, or several
    clauses in a list, are their parts.
    """

    id: str = ""
    values: Mapping[str, Any] = {}

    @property
    def parts(self) -> dict[str, Any]:
        """What the sentence is made of, as JSON values."""
        return {"id": self.id, "values": {name: _as_json(value) for name, value in self.values.items()}}


class English(Formatter):
    """Formats `{rows:count row} {rows:do repeat}` as `1 row repeats` or `1,234 rows repeat`, and `several` names as
    `'a', 'b' and 4 more`."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec.startswith("count "):
            return f"{value:,} {format_spec.removeprefix('count ')}{'s' * (value != 1)}"
        if format_spec.startswith("do "):
            verb = format_spec.removeprefix("do ")
            return SINGULAR.get(verb, f"{verb}s") if value == 1 else verb
        if isinstance(value, list):
            return ", ".join(value)
        if isinstance(value, Mapping):
            return listed(value["names"], len(value["names"])) + (f" and {value['more']} more" if value["more"] else "")
        return str(super().format_field(value, format_spec))


def sentence(id_: str, english: str, /, **values: Any) -> Sentence:
    """Make a sentence out of its English form, in which the names of its values stand in braces.

    Both are literals where this is called: a test finds the calls, and asks for the other languages' form of each.
    """
    text = Sentence(English().vformat(english, (), values))
    text.id, text.values = id_, values
    return text


def several(names: Iterable[object], limit: int = SHOWN) -> dict[str, Any]:
    """Return names as a value of a sentence: those that it lists, and how many more there are."""
    texts = [str(name) for name in names]
    return {"names": texts[:limit], "more": max(0, len(texts) - limit)}


def restored(english: str, parts: Any) -> str:
    """Return a text that was stored beside its parts as the sentence that it was; as it is where it has none."""
    if not isinstance(parts, Mapping):
        return english
    text = Sentence(english)
    text.id, text.values = str(parts["id"]), parts["values"]
    return text


def said(error: Exception) -> str:
    """Return what an error says, as the sentence that it was raised with where it was one."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, Sentence) else str(error)


def _as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return {"text": str(value), **value.parts} if isinstance(value, Sentence) else value


def with_parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON values, and beside each sentence in them, or list of some, as `NAME_parts`, what it is made of."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found[name] = _below(value)
        if (parts := _parts_of(value)) is not None:
            found[f"{name}{PARTS}"] = parts
    return found


def _parts_of(value: Any) -> Any:
    """Return the parts of a sentence, or of those in a list, each in its place; None where there are none."""
    if isinstance(value, Sentence):
        return value.parts if value.id else None
    if not isinstance(value, (list, tuple)):
        return None
    found = [_parts_of(item) for item in value]
    return found if any(parts is not None for parts in found) else None


def _below(value: Any) -> Any:
    if isinstance(value, Mapping):
        return with_parts(value)
    return [_below(item) for item in value] if isinstance(value, (list, tuple)) else value
