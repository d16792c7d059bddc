"""The parts of a run's files that a page, a card or a list of runs is made of, and what each of them must be.

What is not named here is not relied on. Older runs lack some parts.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, Self, get_type_hints

from pydantic import Field, create_model, model_validator

from luban.core import artifact, events
from luban.core.artifact import RunDirectory
from luban.core.events import Event
from luban.core.strict import Count, Open, checked

Number = int | float | None
Numbers = dict[str, Number]
Texts = dict[str, str | None]


class Score(Open):
    value: Number
    low: Number = None
    high: Number = None


Scores = dict[str, Score]


class Comparison(Open):
    baseline: str
    metric: str
    difference: Score
    beats: bool = False


class Verdict(Open):
    text: str = ""
    beats_baselines: bool = False


class Bin(Open):
    low: float
    high: float
    rows: Count
    confidence: Number = None
    accuracy: Number = None


class Calibration(Open):
    metric: str = ""
    ece: Score = Score(value=None)
    ece_uncalibrated: Score = Score(value=None)
    temperature: Number = None
    fitted_rows: Count = 0
    bins: list[Bin] = Field(default_factory=list)


class Threshold(Open):
    label: str | None = None
    goal: str = ""
    met: bool = False
    threshold: Number = None
    labels: Numbers | None = None
    used: bool = False
    sentence: str = ""
    default: Number = None
    scores: Scores = Field(default_factory=dict)
    default_scores: Scores = Field(default_factory=dict)
    curve: list[Numbers] = Field(default_factory=list)


class Conformal(Open):
    level: Number = None
    method: str = ""
    coverage: Score = Score(value=None)
    sizes: dict[str, Count] | None = None
    mean_size: Number = None
    half_width: Number = None
    fitted_rows: Count = 0
    holds: bool = False
    sentence: str = ""


class SlicePart(Open):
    column: str
    value: str


class Slice(Open):
    column: str
    value: str
    parts: list[SlicePart] = Field(default_factory=list)
    rows: Count
    score: Score
    difference: Number = None
    p_adjusted: Number = None
    worse: bool = False


class Slices(Open):
    metric: str
    overall: Number = None
    looked_at: Count = 0
    found: list[Slice] = Field(default_factory=list)
    by_column: list[Slice] = Field(default_factory=list)


class Group(Open):
    value: str
    rows: Count
    rates: Scores


class Gap(Open):
    rate: str
    gap: Score
    between: list[str]


class Fairness(Open):
    column: str
    groups: list[Group] = Field(default_factory=list)
    gaps: list[Gap] = Field(default_factory=list)


class LearningPoint(Open):
    rows: Count
    score: Number = None


class LearningCurve(Open):
    model: str = ""
    metric: str
    points: list[LearningPoint]
    verdict: str = ""


class Series(Open):
    length: Count
    width: Count
    steps: list[Count]
    numbers: list[Count]
    values: list[list[Number]]
    spans: list[tuple[Count, Count]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.values) != len(self.numbers) or any(len(line) != len(self.steps) for line in self.values):
            raise ValueError("values: not one a step and number")
        return self


class Mistake(Open):
    row: Count
    actual: str | None = None
    predicted: str | None = None
    confidence: Number = None
    cells: Texts = Field(default_factory=dict)
    media: Texts | None = None
    series: dict[str, Series | None] | None = None


class Confusion(Open):
    actual: str
    predicted: str
    rows: Count
    share: Number = None


class Corruption(Open):
    corruption: str
    column: str
    score: Score
    difference: Number = None


class Metrics(Open):
    """Of metrics.json."""

    rows: Count
    task: str
    decider: str
    scores: Scores
    baselines: dict[str, Scores] = Field(default_factory=dict)
    comparisons: list[Comparison] = Field(default_factory=list)
    verdict: Verdict | None = None
    labels: list[str] = Field(default_factory=list)
    confusion: list[list[Count]] | None = None
    calibration: Calibration | None = None
    threshold: Threshold | None = None
    conformal: Conformal | None = None
    slices: Slices | None = None
    fairness: Fairness | None = None
    learning_curve: LearningCurve | None = None
    mistakes: list[Mistake] = Field(default_factory=list)
    confusions: list[Confusion] = Field(default_factory=list)
    robustness: list[Corruption] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.decider not in self.scores:
            raise ValueError("decider: none of the metrics in scores")
        size = len(self.labels)
        if self.confusion is not None and {size} != {len(self.confusion), *map(len, self.confusion)}:
            raise ValueError("confusion: not one line and column a label")
        return self


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
