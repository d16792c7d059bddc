"""What has to be known of a family of checkpoints to load one, and the table of families."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from luban.models.transformer import TransformerConfig


@dataclass(frozen=True)
class Destination:
    """A parameter of `TransformerEncoder`, or one of the equal parts that its first dimension is made of."""

    name: str
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Family:
    """How one family of checkpoints is named and configured.

    config: translates the contents of config.json; a missing key raises KeyError, a value that the transformer has no
    counterpart for ValueError. prefix: what may stand before every name. names: pattern of a checkpoint's name ->
    parameter, in which groups may be used. parts: the same, for the tensors that are parts of one parameter. heads:
    tensors of the task it was trained for. unused: those that are left out without a word.
    """

    config: Callable[[Mapping[str, Any]], TransformerConfig]
    prefix: str
    names: Mapping[str, str]
    parts: Mapping[str, tuple[str, int, int]]
    heads: str
    unused: str

    def destination(self, name: str) -> Destination | None:
        """Return where a tensor goes, or None where the family does not know it."""
        name = name.removeprefix(self.prefix)
        for pattern, target in self.names.items():
            if match := re.fullmatch(pattern, name):
                return Destination(match.expand(target))
        for pattern, (target, part, parts) in self.parts.items():
            if match := re.fullmatch(pattern, name):
                return Destination(match.expand(target), part, parts)
        return None

    def is_head(self, name: str) -> bool:
        return re.fullmatch(self.heads, name.removeprefix(self.prefix)) is not None

    def is_unused(self, name: str) -> bool:
        return re.fullmatch(self.unused, name.removeprefix(self.prefix)) is not None
