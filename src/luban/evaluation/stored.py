"""The scores of a run as it stores them (metrics.json): what each part must be. Older runs lack some parts."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.strict import Count, Open, checked
from luban.tasks.base import Direction, Task

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
    actual: str | None
    predicted: str | None
    rows: Count
    share: Number = None


class Corruption(Open):
    corruption: str
    column: str
    score: Score
    difference: Number = None


class Forecast(Open):
    windows: Count
    lookback: Count
    horizon: Count
    frequency: str
    steps: list[dict[str, float]] = Field(default_factory=list)
    variables: dict[str, Scores] = Field(default_factory=dict)


class Metrics(Open):
    """Of metrics.json."""

    rows: Count
    task: str
    decider: str
    directions: dict[str, Direction] = Field(default_factory=dict)
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
    forecast: Forecast | None = None
    targets: dict[str, Metrics] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.decider not in self.scores:
            raise ValueError("decider: none of the metrics in scores")
        size = len(self.labels)
        if self.confusion is not None and {size} != {len(self.confusion), *map(len, self.confusion)}:
            raise ValueError("confusion: not one line and column a label")
        return self


def read_scores(run: RunDirectory, task: Task) -> dict[str, Any]:
    """Return the scores of a run as JSON values. Raises ArtifactError where a part of them is not what it must be, or
    another metric decides than one of the task's."""
    content = run.read_json(artifact.METRICS)
    try:
        stored = checked(Metrics, content)
        if stored.decider not in {metric.name for metric in task.metrics}:
            raise ValueError(f"decider: '{stored.decider[:40]}', which is no metric of the task {task.name}")
    except ValueError as error:
        raise artifact.damaged(run / artifact.METRICS, "the scores of a run", error) from error
    return content
