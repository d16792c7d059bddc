"""Settings of forecasts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from luban.core.settings import Settings, Word
from luban.data.series.order import Fill
from luban.data.series.steps import Frequency

MOST_STEPS = 10_000  # of a window
Normalise = Literal["instance", "last", "none"]
Level = Annotated[float, Field(gt=0, lt=1)]


class ForecastConfig(Settings):
    """time: the column of dates, or of whole numbers; the only column of dates if None. key: the column that tells
    series apart, where there are several.

    horizon: steps that are forecast. lookback: steps that a forecast is made from; three horizons if None, or two
    seasons where they are more, as far as the series are long enough. season: steps after which a series repeats
    itself, as its frequency usually has it if None. frequency: of the rows: `15m`, `1h`, `1d`, `1bd` (working days),
    `1w`, `1mo`, `1y`, or a number of steps where time is counted; told by the rows if None. fill: what stands for
    missing rows and values: the `forward` value, a line between the neighbours (`interpolate`), `zero`, or nothing.

    known: columns that are known in advance, the time itself among them for its date parts; the others are known up to
    the forecast alone. quantiles: that are forecast beside the mean, in ascending order.
    normalise: of each window: `instance` takes its mean and standard deviation off (RevIN, Kim et al. 2022), `last` its
    last value (NLinear, Zeng et al. 2023). together: forecast several targets from each other; apart, each is forecast
    from its own past by shared weights.
    """

    time: Word | None = None
    key: Word | None = None
    horizon: int = Field(24, ge=1, le=MOST_STEPS)
    lookback: int | None = Field(None, ge=1, le=MOST_STEPS)
    season: int | None = Field(None, ge=1, le=MOST_STEPS)
    frequency: Word | None = None
    fill: Fill = "none"
    known: tuple[Word, ...] = Field((), max_length=1_000)
    quantiles: tuple[Level, ...] = Field((0.1, 0.5, 0.9), max_length=99)
    normalise: Normalise = "instance"
    together: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns of the series and of the time."""
        return [name for name in (self.key, self.time) if name is not None]

    @field_validator("quantiles")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if sorted(set(value)) != list(value):
            raise ValueError("levels in ascending order, each once")
        return value

    @field_validator("frequency")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and Frequency.of(value) is None:
            raise ValueError("a frequency like 15m, 1h, 1d, 1bd, 1w, 1mo, 1y, or a number of steps")
        return value
