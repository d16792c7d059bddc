"""Networks as older versions stored them, in today's form."""

from __future__ import annotations

from typing import Any, TypeVar

from luban.core.tensors import OutputSpec

HEAD, FIRST = "head.", "heads.0.linear."  # of networks that had one output, and no name for it
Stored = TypeVar("Stored")


def settings(found: dict[str, Any], outputs: tuple[OutputSpec, ...]) -> dict[str, Any]:
    """Return what a run stores of its network. outputs: of its task, which names the one output of an older run."""
    if "output_dim" not in found or "outputs" in found or len(outputs) != 1:
        return found
    kept = {name: value for name, value in found.items() if name != "output_dim"}
    size = found["output_dim"]
    return kept | {"outputs": [{"name": outputs[0].name, "kind": str(outputs[0].kind), "size": size, "of": ""}]}


def as_today(weights: dict[str, Stored]) -> dict[str, Stored]:
    """Return weights, or what is known of them, by the names that they have today."""
    return {
        FIRST + name.removeprefix(HEAD) if name.startswith(HEAD) else name: value for name, value in weights.items()
    }
