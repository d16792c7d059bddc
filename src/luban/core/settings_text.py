"""Settings as people write them: YAML 1.2 of a bounded size, in which words are texts and keys stay as written.

Source: YAML 1.2.2, core schema, section 10.3.2. In YAML 1.1 `yes`, `no`, `on` and `off` are truth values, `1:20` is a
number of seconds and `2024-01-31` a date; here they are texts. A key that stands twice is a mistake.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from luban.core.errors import ConfigError, LubanError
from luban.core.regular import read_regular
from luban.core.shown import brief, is_safe

MOST_BYTES = 1_000_000  # of a file
MOST_CHARACTERS = 2_000_000  # of what is written, each alias counted as often as it stands for something
MOST_LEVELS = 30
MOST_DIGITS = 100  # of a number
WORDS = {
    "tag:yaml.org,2002:null": (re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    "tag:yaml.org,2002:int": (re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+0123456789."),
    ),
}


class Whole(int):
    """A whole number that knows how it was written."""

    text: str

    def __str__(self) -> str:
        return self.text


class Decimal(float):
    """A number that knows how it was written."""

    text: str

    def __str__(self) -> str:
        return self.text


class Loader(yaml.SafeLoader):
    """Reads the core schema of YAML 1.2 into dictionaries with texts as keys, lists, texts, numbers, booleans, None."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.level = 0
        self.sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Read a node, whose size is that of all it stands for. Raises YAMLError for one too deep or too large."""
        self.level += 1
        if self.level > MOST_LEVELS:
            raise self.mistake(f"more than {MOST_LEVELS} levels", None)
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self.level -= 1
        if node is not None and is_alias:
            self.size(node)
        elif node is not None:
            self.sizes[id(node)] = size = 1 + sum(self.size(part) for part in parts_of(node))
            if size > MOST_CHARACTERS:
                raise self.mistake("more settings than anybody can mean, by aliases", node.start_mark)
        return node

    def size(self, part: yaml.Node | str) -> int:
        """Return how much a part stands for. Raises YAMLError for what is part of itself."""
        if isinstance(part, str):
            return len(part)
        if id(part) not in self.sizes:
            raise self.mistake("something that is part of itself", part.start_mark)
        return self.sizes[id(part)]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a dictionary whose keys are the texts that stand there."""
        found: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.mistake("a key that is no text", key.start_mark)
            if key.value in found:
                raise self.mistake(f"the key {brief(key.value)} twice", key.start_mark)
            found[key.value] = self.construct_object(value, deep=deep)
        return found

    def number(self, node: yaml.ScalarNode) -> Whole | Decimal:
        text = str(self.construct_scalar(node))
        if len(text) > MOST_DIGITS:
            raise self.mistake(f"a number of more than {MOST_DIGITS} digits", node.start_mark)
        found: Whole | Decimal
        if node.tag.endswith(":int"):
            base = {"0o": 8, "0x": 16}.get(text[:2], 10)
            found = Whole(text, base) if base != 10 else Whole(text)
        else:
            found = Decimal(re.sub(r"^([-+]?)\.(?=[iInN])", r"\1", text))
        found.text = text
        return found

    @staticmethod
    def mistake(problem: str, mark: yaml.Mark | None) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class Dumper(yaml.SafeDumper):
    """Writes what both YAML 1.1 and 1.2 read as it is."""

    def text(self, text: str) -> yaml.Node:
        """Write a text, escaped where it would be a line of its own or steer the terminal that shows the file."""
        style = None if is_safe(text) else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


for tag, (pattern, firsts) in WORDS.items():
    Dumper.add_implicit_resolver(tag, pattern, firsts)
Dumper.add_representer(str, Dumper.text)
Dumper.add_representer(Whole, lambda dumper, number: dumper.represent_int(int(number)))
Dumper.add_representer(Decimal, lambda dumper, number: dumper.represent_float(float(number)))
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, (pattern, firsts) in WORDS.items() if first in firsts]
    for first in {first for _, firsts in WORDS.values() for first in firsts}
}
Loader.yaml_constructors = {
    kind: make
    for kind, make in yaml.SafeLoader.yaml_constructors.items()
    if kind is None or kind.rpartition(":")[2] in ("null", "bool", "str", "seq", "map")
}
Loader.add_constructor("tag:yaml.org,2002:int", Loader.number)
Loader.add_constructor("tag:yaml.org,2002:float", Loader.number)


def parts_of(node: yaml.Node) -> list[yaml.Node | str]:
    """Return what a node is made of."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return [node.value] if isinstance(node, yaml.ScalarNode) else list(node.value)


def read(text: str, where: str, *, action: str, kind: type[LubanError] = ConfigError, is_file: bool = False) -> Any:
    """Return what a text in YAML says.

    where, action: of the message. is_file: whether it names the line. Raises `kind` where it is no YAML, or too large.
    """
    try:
        loader = Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark and is_file else ""
        found = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise kind(f"{where}{line}", expected="YAML", found=f"a mistake ({found})", action=action) from error
    except (ValueError, KeyError, RecursionError) as error:  # of a tag that a value does not fit, as `!!int a`
        raise kind(where, expected="YAML", found=f"a value that is none ({error})", action=action) from error


def read_file(path: Path, kind: type[LubanError] = ConfigError) -> Any:
    """Return what a file in YAML says. Raises `kind` where it cannot be read, is no YAML, or too large."""
    content = read_regular(path, kind, MOST_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind(str(path), expected="text in UTF-8", found=f"'{error}'", action="Save it as UTF-8") from error
    return read(text, str(path), action="Mend the file", kind=kind, is_file=True)


def written(settings: object) -> str:
    """Return settings as YAML."""
    return yaml.dump(settings, Dumper=Dumper, sort_keys=False, allow_unicode=True)
