"""Whether a gradient reaches every trained parameter, and of what size."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from torch import nn

from luban.core.sentence import Sentence, sentence, several
from luban.training.preflight.trial import Check, Status

GRADIENTS = sentence("preflight.gradients.name", "a gradient reaches every part")
# Of |gradient| |weights| / loss, which no scaling of data or weights changes; sound networks lie between 1e-4 and 10.
EXPLODED, VANISHED = 1e5, 1e-9
SHOWN = 4  # names of parameters in a message


class Gradients:
    """What backward passes have shown of each trained parameter. scale: of a loss, below which one is not small."""

    def __init__(self, network: nn.Module, scale: float) -> None:
        self.scale = scale
        self.parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self.missing = set(self.parameters)  # those that no gradient but zero has reached
        self.connected: set[str] = set()  # those that any gradient has reached
        self.broken: list[str] = []
        self.exploded: list[str] = []
        self.vanished: list[str] = []

    def look(self, loss: float) -> None:
        """Take the gradients of one backward pass into account, where they tell something new."""
        for name in sorted(self.missing):
            parameter = self.parameters[name]
            if parameter.grad is None:
                continue
            self.connected.add(name)
            norm = float(parameter.grad.norm())
            if norm == 0:
                continue
            self.missing.discard(name)
            relative = norm * float(parameter.detach().norm()) / max(loss, self.scale)
            if not math.isfinite(norm):
                self.broken.append(name)
            elif relative > EXPLODED:
                self.exploded.append(name)
            elif parameter.ndim > 1 and 0 < relative < VANISHED:
                self.vanished.append(name)

    def check(self, idle: Collection[str]) -> Check:
        """Judge all passes. idle: prefixes of parts whose input is the same in all rows, which explains a zero."""
        found = sentence(
            "preflight.gradients.passed", "one in all {tensors} trained tensors", tensors=len(self.parameters)
        )
        action = sentence("preflight.gradients.action", "Choose another seed, activation or wider hidden layers")
        extremes = sentence("preflight.gradients.extremes", "Look for extreme numbers in the data")
        status: Status = "failed"
        unexplained = {name for name in self.missing if not name.startswith(tuple(idle))}
        alive = {_part(name) for name in self.parameters if name not in self.missing}
        unused = unexplained - self.connected
        dead = {name for name in unexplained if _part(name) not in alive}
        if self.broken:
            found, action = _not_finite(self.broken), extremes
        elif self.exploded:
            found = sentence("preflight.gradients.huge", "a huge one in {names}", names=_names(self.exploded))
            action = extremes
        elif unused:
            found = sentence("preflight.gradients.none", "none in {names}", names=_names(unused))
            action = sentence("preflight.gradients.remove", "Remove what the prediction does not use from the model")
        elif dead:
            found = _zeros(dead)
        elif self.missing:
            status, found = "warning", _zeros(self.missing)
        elif self.vanished:
            status = "warning"
            found = sentence("preflight.gradients.little", "next to nothing in {names}", names=_names(self.vanished))
        else:
            status = "passed"
        goal = "one that is finite and not zero in every trained parameter"
        return Check(GRADIENTS, status, goal, found, "" if status == "passed" else action)


def _names(names: Collection[str]) -> dict[str, Any]:
    return several(sorted(names), SHOWN)


def _not_finite(names: Collection[str]) -> Sentence:
    return sentence("preflight.gradients.not_finite", "one that is not finite in {names}", names=_names(names))


def _zeros(names: Collection[str]) -> Sentence:
    return sentence("preflight.gradients.zeros", "only zeros in {names}", names=_names(names))


def _part(name: str) -> str:
    """The encoder of an input, or another direct child of the network."""
    return ".".join(name.split(".")[: 2 if name.startswith("encoders.") else 1])
