"""Follows every figure of a report's page to the entry of the run's files that it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import yaml

from luban.report.language.words import LANGUAGES, texts_of

VOID = {"meta", "link", "img", "br", "line", "circle", "rect", "path", "polyline"}
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII)
DURATION = re.compile(r"(?:(\d+):)?(\d+):(\d\d)")
SCALES = {"tick", "axis-name"}  # of the axes: they measure, and show no data
COMMANDS = {"pre", "style", "title"}


@dataclass(frozen=True)
class Tag:
    name: str
    attributes: dict[str, str]

    @property
    def css(self) -> set[str]:
        return set(self.attributes.get("class", "").split())


@dataclass
class Page(HTMLParser):
    """texts: (what stands there, the tags around it) of all that a reader sees, hints of charts among it."""

    texts: list[tuple[str, tuple[Tag, ...]]] = field(default_factory=list)
    stack: list[Tag] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID or tag in ("circle", "rect"):  # which may hold a hint
            self.stack.append(Tag(tag, {name: value or "" for name, value in attrs}))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop().name != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((data.strip(), tuple(self.stack)))


@dataclass
class Files:
    """The files of a run, or of the runs in a folder, each read once."""

    run: Path
    read: dict[str, Any] = field(default_factory=dict)

    def content(self, name: str) -> Any:
        if name not in self.read:
            path = self.run / unquote(name)
            if name.endswith(".jsonl"):
                self.read[name] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            elif name.endswith(".yaml"):
                self.read[name] = yaml.safe_load(path.read_text("utf-8"))
            elif name.endswith(".parquet"):
                self.read[name] = pl.read_parquet(path).to_dict(as_series=False)
            elif name.endswith(".json"):
                self.read[name] = json.loads(path.read_text("utf-8"))
            else:
                self.read[name] = path.stat().st_size
        return self.read[name]

    def entries(self, source: str) -> list[Any]:
        """Return what a source names. Raises KeyError or IndexError where nothing is there."""
        if source not in self.read:
            self.read[source] = self.found(source)
        return list(self.read[source])

    def found(self, source: str) -> list[Any]:
        name, _, path = source.partition("#")
        found = [self.content(name)]
        for part in (unquote(item) for item in path.split("/")[1:]):
            key = part.replace("~1", "/").replace("~0", "~")
            found = [below for item in found for below in self.below(item, key, is_raw="%" in path)]
        return found

    @staticmethod
    def below(item: Any, key: str, *, is_raw: bool) -> list[Any]:
        if isinstance(item, dict):
            return list(item.values()) if key == "*" and key not in item else [item[key]]
        if key == "*":
            return list(item)
        if not key.isdecimal():  # the events of a name
            return [event for event in item if event["event"] == key]
        return [item[int(key)]]

    def names(self) -> set[str]:
        """Return the names that data and settings have: of columns, of the run."""
        if not (self.run / "history.jsonl").is_file():
            return set().union(*(Files(run).names() for run in self.run.iterdir()))
        schema = [event for event in self.content("history.jsonl") if event["event"] == "SchemaInferred"]
        return {self.run.name, *(column[0] for event in schema for column in event["columns"])} | set(
            keys_of([self.content(path.name) for path in self.run.glob("*.json")])
        )


def keys_of(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        yield from found
        yield from keys_of(list(found.values()))
    elif isinstance(found, list):
        for item in found:
            yield from keys_of(item)
            if isinstance(item, str):
                yield item


def leaves(found: Any) -> Iterator[Any]:
    if isinstance(found, dict):
        yield from found
        for item in found.values():
            yield from leaves(item)
    elif isinstance(found, list):
        for item in found:
            yield from leaves(item)
    else:
        yield found


def is_number(entry: Any) -> bool:
    return isinstance(entry, (int, float)) and not isinstance(entry, bool)


def agrees(token: str, number: float) -> bool:
    """Tell whether a number is what a token rounds it to."""
    shown = Decimal(token.replace(",", ""))
    room = Decimal(10) ** int(shown.as_tuple().exponent) * Decimal("0.501")
    return abs(shown - Decimal(number)) <= room


def derivations(entries: list[list[Any]], how: str) -> list[float]:
    """Return the numbers that follow from the entries of several sources."""
    entries = [found[0] if len(found) == 1 and isinstance(found[0], list) else found for found in entries]
    if how == "ratio":
        *_, rows, seconds = entries
        return [a / b for a, b in zip(rows, seconds, strict=True) if b]
    if how == "difference":
        return [float(a) - float(b) for a, b in zip(*entries, strict=True) if a is not None and b is not None]
    if how == "runs":
        return [len(entries)]
    if how == "sum":
        return [round(sum(entries[0]), 3)]
    return []


def unsourced(page: str, run: Path) -> list[str]:
    """Return every figure of a page that is not where it says, or says nothing. run: or a folder of the page's runs."""
    files, parser = Files(run), Page()
    parser.feed(page)
    fixed = {
        part.strip()
        for language in LANGUAGES
        for text in texts_of(language).values()
        for part in re.split(r"{\w+}|<[^>]*>", text)
    }
    ours = sorted((part for part in fixed | files.names() if re.search(r"\d", part)), key=len, reverse=True)
    wrong = []
    for text, tags in parser.texts:
        if not re.search(r"\d", text) or {tag.name for tag in tags} & COMMANDS - {"title"}:
            continue
        if any(tag.css & (SCALES | {"eyebrow"}) for tag in tags) or (
            tags[-1].name == "title" and tags[-2].name == "head"
        ):
            continue
        told = next((tag for tag in reversed(tags) if "data-source" in tag.attributes), None)
        derived = next((tag for tag in reversed(tags) if "data-derived" in tag.attributes), None)
        if told is not None and follows(text, told, derived, files):
            continue
        left = text
        for part in ours:
            left = left.replace(part, "")
        if re.search(r"\d", left) and (told is None or not follows(left, told, derived, files)):
            source = "no source" if told is None else f"not in {told.attributes['data-source'][:200]}"
            wrong.append(f"{source}: {text!r}")
    return wrong


def follows(text: str, told: Tag, derived: Tag | None, files: Files) -> bool:
    """Tell whether a text is in the entries that a tag names, or follows from them."""
    how = derived.attributes["data-derived"] if derived else ""
    try:
        entries = [files.entries(source) for source in told.attributes["data-source"].split(" ") if source]
    except (KeyError, IndexError, TypeError, OSError):
        return False
    if told.name == "data":
        value = float(told.attributes["value"])
        if how in ("count", "rest", "failed"):
            known = entries[0] if len(entries[0]) != 1 else entries[0][0]
            count = known.count(False) if how == "failed" and isinstance(known, list) else len(known)
            return value <= count if how == "rest" else value == count
        numbers = derivations(entries, how) or [float(e) for found in entries for e in found if e is not None]
        return value in numbers and (bool(derived) or is_shown(text, value))
    found = [leaf for entry in entries for leaf in leaves(entry)]
    numbers = [leaf for leaf in found if is_number(leaf)] + derivations(entries, how)
    strings = [leaf.replace("T", " ") for leaf in found if isinstance(leaf, str)] + [str(leaf) for leaf in found]
    if any(text.rstrip("…") in leaf for leaf in strings):
        return True
    for match in DURATION.finditer(text):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        if not any(abs(number - (3600 * hours + 60 * minutes + seconds)) <= 0.5 for number in numbers):
            return False
    return all(
        any(token in leaf for leaf in strings) or any(agrees(t, n) for t in {token, token.lstrip("-")} for n in numbers)
        for token in NUMBER.findall(DURATION.sub("", text))
    )


def is_shown(text: str, value: float) -> bool:
    """Tell whether a text shows a value: rounded, in percent, as a time or a size."""
    scales = {"%": 0.01, "kB": 1e3, "MB": 1e6, "GB": 1e9, "kWh": 1000.0}
    number, _, unit = text.removeprefix("< ").partition(" ")
    if text.startswith("< "):
        return value < float(number)
    if ":" in number:
        return True
    return agrees(number, value / scales.get(unit, 1.0))
