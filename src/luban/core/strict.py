"""What a file of a run says, taken at its word only where every part is of the type and within the bounds it must have.

The bounds stand in the annotations: `size: Annotated[int, Field(ge=1, le=2048)]` of a fitted feature is what its code
relies on, and what its stored state is held against.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json, to_json

Part = TypeVar("Part", bound=BaseModel)
SHOWN = 60  # characters of a value in a message

Count = Annotated[int, Field(ge=0, lt=2**63)]
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Strict(BaseModel):
    """A part of a file: no other names, no other types, finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Open(BaseModel):
    """A part of a file of which only some names are relied on: the others may be anything."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


def parsed(content: bytes) -> Any:
    """Return JSON values; raises ValueError for what is none, for numbers that are not finite, and where it is nested
    hundreds deep."""
    return from_json(content, allow_inf_nan=False)


def checked(model: type[Part], content: Any) -> Part:
    """Return JSON values as a model. Raises ValueError that names the first wrong place."""
    try:
        return model.model_validate_json(content if isinstance(content, bytes) else to_json(content), strict=True)
    except ValidationError as error:
        raise ValueError(first_of(error)) from None


def arguments(function: Callable[..., Any], content: Any, given: Collection[str] = ()) -> dict[str, Any]:
    """Return JSON values as the arguments of a function, by the types that it declares.

    given: arguments that come from elsewhere. Raises ValueError that names the first wrong one.
    """
    model = _signature(function, frozenset(given))
    found = checked(model, content)
    return {name: getattr(found, name) for name in model.model_fields}


def first_of(error: ValidationError) -> str:
    """Return what is wrong, in a few words: of several things the first."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    shown = "" if first["type"] in ("json_invalid", "missing", "value_error") else f" ({_short(first['input'])})"
    return f"{place + ': ' if place else ''}{message[:1].lower()}{message[1:]}{shown}"


def same_length(**parts: Collection[Any]) -> None:
    """Raise ValueError where parts that belong together are not of one length."""
    if len({len(part) for part in parts.values()}) > 1:
        raise ValueError(", ".join(f"{len(part)} {name}" for name, part in parts.items()))


@cache
def _signature(function: Callable[..., Any], given: frozenset[str]) -> type[Strict]:
    initial = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    hints = get_type_hints(initial, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(initial).parameters.items():
        if name != "self" and name not in given:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (hints[name], default)
    return create_model(getattr(function, "__name__", "State"), __base__=Strict, **fields)


def _short(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple | set):
        return f"{len(value)} parts"
    text = str(value) if not isinstance(value, int) or value.bit_length() < 1000 else "a huge number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
