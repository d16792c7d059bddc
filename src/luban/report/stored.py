"""The parts of a run's files that a page, a card or a list of runs is made of, and what each of them must be.

What is not named here is not relied on. Older runs lack some parts.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, get_type_hints

from pydantic import Field, create_model

from luban.core import artifact, events
from luban.core.artifact import RunDirectory
from luban.core.events import Event
from luban.core.strict import Count, Open, checked
from luban.evaluation.stored import Metrics, Number, Score, Series, Texts


class Example(Open):
    row: Count | None = None
    cells: Texts = Field(default_factory=dict)


class Finding(Open):
    severity: Literal["error", "warning", "note"]
    check: str
    column: str | None = None
    message: str
    rows: Count = 0
    examples: list[Example] = Field(default_factory=list)
    action: str
    setting: str | None = None


class Suspect(Open):
    row: Count
    label: str
    suggested: str
    probability: Number = None
    cells: Texts = Field(default_factory=dict)


class Audit(Open):
    """Of audit.json."""

    name: str = ""
    rows: Count = 0
    seconds: Number = None
    findings: list[Finding] = Field(default_factory=list)
    checks: list[str] = Field(default_factory=list)
    skipped: list[str] = Field(default_factory=list)
    suspects: list[Suspect] = Field(default_factory=list)


class Weighted(Open):
    weight: Number


class Attention(Open):
    note: str = ""
    parts: list[Weighted] = Field(default_factory=list)


class Input(Open):
    column: str
    kind: str
    parts: list[Weighted] = Field(default_factory=list)
    image: Texts | None = None
    attention: Attention | None = None
    series: Series | None = None


class Check(Open):
    deletion: Number = None
    random: Number = None
    stability: Number = None
    passes: bool = False
    sentence: str = ""


class Change(Open):
    column: str
    before: str
    after: str


class Edit(Open):
    changes: list[Change] = Field(default_factory=list)
    predicted: str = ""


class Neighbour(Open):
    row: Count
    similarity: Number = None
    cells: Texts


class Explained(Open):
    row: Count
    predicted: str
    actual: str | None = None
    probability: Number = None
    method: str = ""
    unit: str = ""
    sentence: str = ""
    inputs: list[Input] = Field(default_factory=list)
    sampling: dict[str, Count] | None = None
    check: Check = Check()
    edit: Edit | None = None
    nearest: list[Neighbour] = Field(default_factory=list)


class Importance(Open):
    column: str
    drop: Score


class Explanations(Open):
    """Of explanations.json."""

    importance: list[Importance] = Field(default_factory=list)
    metric: str = ""
    rows: list[Explained] = Field(default_factory=list)
    targets: dict[str, Explanations] = Field(default_factory=dict)


FILES: dict[str, type[Open]] = {
    artifact.METRICS: Metrics,
    artifact.AUDIT: Audit,
    artifact.EXPLANATIONS: Explanations,
}
EVENTS: dict[str, type[Event]] = {
    event.__name__: event
    for event in vars(events).values()
    if isinstance(event, type) and issubclass(event, Event) and event is not Event
}


def read_stored(run: RunDirectory, name: str) -> dict[str, Any]:
    """Return a file of a run as JSON values. Raises ArtifactError where a part of it is not what it must be."""
    content = run.read_json(name)
    try:
        checked(FILES[name], content)
    except ValueError as error:
        raise artifact.damaged(run / name, "what a training stored", error) from error
    return content


def is_event(record: Any) -> bool:
    """Tell whether a line of the history is an event whose parts are of its types: those that are not finite are null,
    older runs lack some, and an event of another version is taken as it is."""
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        return False
    try:
        checked(_event(record["event"]), record)
    except ValueError:
        return False
    return True


@cache
def _event(name: str) -> type[Open]:
    hints = get_type_hints(EVENTS[name]) if name in EVENTS else {}
    fields: dict[str, Any] = {field: (hint | None, None) for field, hint in hints.items()}
    return create_model(name, __base__=Open, **fields)
