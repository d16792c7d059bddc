"""What all settings of a run have in common: no unknown names, a bound on every number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_ROWS = 10**12
LARGEST = 1e9  # of numbers that nothing else bounds
WIDEST, MOST_LAYERS = 1_000_000, 1_000  # of a network


def as_written(value: Any) -> Any:
    """Return a number as the text that it was written as, for a setting that is a text."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy and scikit-learn take, too
Width = Annotated[int, Field(ge=1, le=WIDEST)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(gt=0, le=LARGEST)]
Word = Annotated[str, BeforeValidator(as_written)]  # a name of a column, a label, a run: `2024` is one


class Settings(BaseModel):
    """Settings of one stage; each has its own beside its code."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models among the types that a setting may have."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in models_in(inner)]


def truth_values(model: type[BaseModel], values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where true or false stands and a number is meant, for which pydantic takes 1 and 0."""
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        field = model.model_fields.get(name) if isinstance(name, str) else None
        if field is None:
            continue
        for inner in models_in(field.annotation):
            yield from truth_values(inner, value, (*path, name))
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else (value,)
        is_number = _takes(field.annotation, int) or _takes(field.annotation, float)
        if is_number and not _takes(field.annotation, bool) and any(isinstance(part, bool) for part in parts):
            yield (*path, name)


def _takes(annotation: Any, kind: type) -> bool:
    """Return whether a type is among those that a setting may have, not counting what is inside other settings."""
    return annotation is kind or any(_takes(inner, kind) for inner in get_args(annotation))
