"""A forecast: the next steps of time series, from the steps before them.

Legend: B origins, each the last step that a forecast knows · L look-back · H horizon · V variables · C covariates
Q quantiles
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError
from luban.core.sentence import Sentence
from luban.core.settings import Settings
from luban.core.strict import Finite, Positive
from luban.core.tensors import Batch, Columns, EncodedColumn, InputSpec, OutputKind, OutputSpec, TensorKind
from luban.data.series.order import FILLED, Layout, in_order, require_series
from luban.data.series.steps import Frequency
from luban.data.table import Table
from luban.features.base import ColumnProfile
from luban.features.dataset import Dataset
from luban.tasks.base import Array, Floats, LossOfNumbers, Metric, Task
from luban.tasks.config import TaskConfig
from luban.tasks.forecast import arrange
from luban.tasks.forecast.config import ForecastConfig
from luban.tasks.forecast.layout import known_rows, layout_of, numbers_of, series_of
from luban.tasks.forecast.metrics import metrics_of, part, truth_of
from luban.tasks.forecast.scales import Scale, scale_of
from luban.tasks.forecast.tables import as_lists, by_step, listed_steps
from luban.tasks.forecast.windows import Future, Levels, Past, ends, matrix_of, origins, runs, stretches
from luban.tasks.regression import DEFAULT_LOSS, LOSSES
from luban.tasks.targets import no_targets, numbers_or_why

PAST, FUTURE, LEVEL, SCALE, STEPS = "past", "future", "level", "scale", "steps"
SPREAD = 4.0  # by which distances of quantiles learn faster: those of a regular series are far below its own spread
MOST_ANSWERS = 20_000_000  # numbers that are kept of rows that are scored: a forecast for each origin is many


class Forecast(Task):
    """The mean and quantiles of V variables over H steps, each standardised by the training rows of its series; a
    network sees a window without its level, which the task puts on again.

    columns: the variables. config: with everything decided. scales: of each series and variable. covariates: inputs
    that stand beside the variables, with the kind and size of each; known: those of them that are known in advance.
    """

    name: ClassVar[str] = "forecast"
    answer: ClassVar[AnswerKind] = AnswerKind.FORECAST
    config_type: ClassVar[type[Settings]] = LossOfNumbers
    settings: LossOfNumbers = LossOfNumbers()
    is_joint: ClassVar[bool] = True
    is_ordered: ClassVar[bool] = True
    has_logits: ClassVar[bool] = False
    architecture: ClassVar[str] = "dlinear"
    metrics: tuple[Metric, ...] = metrics_of(ForecastConfig().quantiles)

    def __init__(
        self,
        columns: Annotated[list[str], Field(min_length=1)],
        config: ForecastConfig,
        scales: dict[str, list[tuple[Finite, Positive, Positive]]],
        covariates: dict[str, tuple[TensorKind, Annotated[int, Field(ge=1)]]] | None = None,
        known: list[str] | None = None,
    ) -> None:
        self.columns, self.config, self.scales = columns, config, scales
        self.covariates, self.known = covariates or {}, known or []
        self.target, self.horizon = columns[0], config.horizon
        self.metrics = metrics_of(config.quantiles)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def lookback(self) -> int:
        assert self.config.lookback is not None
        return self.config.lookback

    @property
    def season(self) -> int:
        return self.config.season or 1

    @cached_property
    def layout(self) -> Layout:
        """How a table holds the series."""
        return layout_of(self.config)

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """A forecast is asked for: a column of numbers may be a target of each row as well."""
        return 0.0

    @classmethod
    def fit(cls, target: pl.Series) -> Self:
        """Learn the scale of one series, a value a step in the order of the rows."""
        frame = pl.DataFrame({"step": np.arange(len(target)), target.name: target})
        config = ForecastConfig(time="step", frequency="1")
        return cls.fitted(frame, [target.name], TaskConfig(forecast=config))

    @classmethod
    def usual_targets(cls, table: Table, settings: TaskConfig, kinds: Mapping[str, str]) -> tuple[str, ...]:
        return arrange.targets_of(table, arrange.decided(table, settings.forecast or ForecastConfig()), kinds)

    @classmethod
    def planned(cls, table: Table, settings: TaskConfig) -> tuple[TaskConfig, dict[str, str]]:
        found = arrange.decided(table, settings.forecast or ForecastConfig())
        return settings.model_copy(update={"forecast": found}), arrange.asked(found)

    @classmethod
    def arranged(
        cls, tables: dict[str, Table], targets: Sequence[str], settings: TaskConfig
    ) -> tuple[dict[str, Table], TaskConfig, list[Sentence]]:
        assert settings.forecast is not None
        found, config, notes = arrange.arranged(tables, targets, settings.forecast)
        return found, settings.model_copy(update={"forecast": config}), notes

    def resolved(self, settings: TaskConfig) -> TaskConfig:
        return settings.model_copy(update={"forecast": self.config})

    @classmethod
    def fitted(cls, frame: pl.DataFrame, columns: Sequence[str], config: TaskConfig) -> Self:
        """Learn the scale of each variable of each series from training rows in order, and what is left to decide.

        Raises DataError where a variable has no number, or no series is long enough.
        """
        settings = config.forecast or ForecastConfig()
        assert settings.time is not None
        assert settings.frequency is not None
        frequency = Frequency.of(settings.frequency)
        assert frequency is not None
        season = settings.season or frequency.season
        table = Table(frame, "training rows", None, np.arange(1, frame.height + 1))
        values = numbers_of(frame, columns)
        layout = layout_of(settings)
        length = runs(layout.follows(table), known_rows(values))
        room = int(length.max(initial=0)) - settings.horizon
        wanted = settings.lookback or min(max(3 * settings.horizon, 2 * season), max(1, room // 2))
        for name, column in zip(columns, values.T, strict=True):
            if not np.isfinite(column).any():
                raise no_targets(frame[name], "a number in some row")
        require_series(
            table,
            room >= wanted,
            f"{wanted + settings.horizon} rows (look-back {wanted}, horizon {settings.horizon})",
            int(length.max(initial=0)),
        )
        scales = {}
        for key, rows in series_of(frame, settings.key):
            scales[key] = [scale_of(column[rows], season, length[rows]) for column in values.T]
        decided = settings.model_copy(update={"lookback": wanted, "season": season})
        return cls(list(columns), decided, scales)

    def taking(self, specs: Sequence[InputSpec]) -> Self:
        """Return the task with the covariates that features give. Raises ConfigError for one that is no number, date or
        category."""
        covariates, known = arrange.covariates_of(specs, self.config)
        return type(self)(self.columns, self.config, self.scales, covariates, known)

    def inputs(self, specs: list[InputSpec]) -> list[InputSpec]:
        """The past of one variable, or of all, with the covariates beside it; and what is known of the future."""
        width = (len(self.columns) if self.config.together else 1) + sum(size for _, size in self.covariates.values())
        found = [InputSpec(PAST, TensorKind.FRAMES, width, max_length=self.lookback, length=self.lookback)]
        if self.known:
            ahead = sum(self.covariates[name][1] for name in self.known)
            found.append(InputSpec(FUTURE, TensorKind.DENSE, self.horizon * ahead))
        return found

    def input_kinds(self, kinds: set[TensorKind]) -> set[TensorKind]:
        return {TensorKind.FRAMES} | ({TensorKind.DENSE} if self.config.known else set())

    def heads(self) -> tuple[OutputSpec, ...]:
        variables = len(self.columns) if self.config.together else 1
        return (OutputSpec(self.name, OutputKind.ROW, variables * self.horizon * (1 + len(self.config.quantiles))),)

    def check_inputs(self, frame: pl.DataFrame, numbers: Sequence[str], where: str) -> None:
        arrange.check_leaks(frame, self.columns, [*numbers, *self.columns], self.horizon, where)

    def encode(self, target: pl.Series) -> tuple[Array, dict[int, str]]:
        """Return (rows,) float64, NaN where there is no number, and why."""
        return numbers_or_why(target)

    def encode_targets(self, frame: pl.DataFrame) -> tuple[dict[str, EncodedColumn], dict[int, tuple[str, str]]]:
        """Return all steps, (rows, V) float64, and the scales of their series, (rows, V, 3)."""
        bad, columns = dict[int, tuple[str, str]](), list[Array]()
        for name in self.columns:
            values, why = self.encode(frame[name])
            columns.append(values)
            bad |= {position: (name, reason) for position, reason in why.items()}
        steps = np.stack(columns, axis=1).astype(np.float64)
        scale = self.scale_of_rows(frame, steps)
        return {STEPS: EncodedColumn(TensorKind.DENSE, steps), SCALE: EncodedColumn(TensorKind.DENSE, scale)}, bad

    def scale_of_rows(
        self, frame: pl.DataFrame, steps: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the scale of the series of each row, (rows, V, 3). steps: (rows, V), which tell that of a series
        that was not trained on; 1 if None."""
        scale = np.ones((frame.height, len(self.columns), 3))
        for key, rows in series_of(frame, self.config.key):
            if key in self.scales:
                scale[rows] = self.scales[key]
            elif steps is not None:
                scale[rows] = [self._own_scale(column[rows]) for column in steps.T]
        return scale

    def _own_scale(self, values: npt.NDArray[np.float64]) -> Scale:
        """The scale of a series that was not trained on, by its first look-back."""
        return scale_of(values[np.isfinite(values)][: max(self.lookback, 2)], self.season)

    def examples(self, data: Dataset, table: Table, role: str) -> Dataset:
        """Return the origins of a part of the rows. role: `predict` for those behind which a series ends; of training
        rows all, of others as many as can be kept, evenly drawn."""
        steps, scale = np.asarray(data.targets[STEPS].values), np.asarray(data.targets[SCALE].values)
        follows, usable = self.layout.follows(table), known_rows(steps)
        if role == "predict":
            found = ends(follows, usable, self.lookback, self.horizon)
        else:
            in_role = np.zeros(len(table), np.bool_)
            in_role[data.rows] = True
            found = origins(follows, usable, in_role, self.lookback, self.horizon, whole=role == "train")
            if self.config.fill == "interpolate":  # inside a gap the line leans on what comes after it
                found = found[~table.frame[FILLED].to_numpy()[found]]
            needed = f"{self.lookback + self.horizon} rows (look-back {self.lookback}, horizon {self.horizon})"
            longest = int(runs(follows, usable & in_role).max(initial=0))
            require_series(table, len(found) > 0 or not len(table), f"{needed} among the {role} rows", longest)
            most = max(1, MOST_ANSWERS // (len(self.columns) * self.horizon * (1 + len(self.config.quantiles))))
            if role != "train" and len(found) > most:
                found = found[np.unique(np.linspace(0, len(found) - 1, most).astype(np.int64))]
        return self._windows(data, steps, scale, follows, found)

    def _windows(
        self,
        data: Dataset,
        steps: npt.NDArray[np.float64],
        scale: npt.NDArray[np.float64],
        follows: npt.NDArray[np.bool_],
        found: npt.NDArray[np.int64],
    ) -> Dataset:
        values = np.nan_to_num((steps - scale[..., 0]) / scale[..., 1]).astype(np.float32)
        lookback, normalise, together = self.lookback, self.config.normalise, self.config.together
        columns = [(data.inputs[name], size) for name, (_, size) in self.covariates.items()]
        ahead = [(data.inputs[name], self.covariates[name][1]) for name in self.known]
        level = Levels(TensorKind.DENSE, values, lookback=lookback, normalise=normalise)
        scales = EncodedColumn(TensorKind.DENSE, scale)
        inputs: dict[str, EncodedColumn] = {
            PAST: Past(
                TensorKind.FRAMES,
                values,
                beside=matrix_of(columns),
                lookback=lookback,
                normalise=normalise,
                together=together,
            ),
            LEVEL: level,
            SCALE: scales,
        }
        if ahead:
            known = matrix_of(ahead)
            assert known is not None
            times = 1 if together else len(self.columns)
            inputs[FUTURE] = Future(TensorKind.DENSE, known, horizon=self.horizon, times=times)
        targets = {STEPS: Future(TensorKind.DENSE, steps, horizon=self.horizon), LEVEL: level, SCALE: scales}
        units = stretches(follows, found, self.horizon)
        return replace(data, inputs=inputs, targets=targets, rows=found, index=found, prepare={}, units=units)

    def _shaped(self, outputs: Columns, level: Tensor) -> Tensor:
        """Return the mean and the quantiles, which do not cross, (B, V, H, 1 + Q), standardised. level: (B, V, 2)."""
        found = outputs[self.name]
        assert isinstance(found, Tensor)
        raw = found.float().reshape(len(level), len(self.columns), self.horizon, 1 + len(self.config.quantiles))
        parts = [raw[..., :1]]
        if self.config.quantiles:
            middle = 1 + len(self.config.quantiles) // 2
            centre = raw[..., middle : middle + 1]
            above = centre + F.softplus(SPREAD * raw[..., middle + 1 :]).cumsum(dim=-1)
            below = centre - F.softplus(SPREAD * raw[..., 1:middle]).flip(-1).cumsum(dim=-1).flip(-1)
            parts += [below, centre, above]
        return torch.cat(parts, dim=-1) * level[..., None, 1:] + level[..., None, :1]

    def check_loss(self, frame: pl.DataFrame) -> None:
        """Raise nothing: single rows have no loss."""

    def loss(self, outputs: Columns, batch: Batch) -> Tensor:
        """Sum over the variables of each origin: the loss of the mean, and twice that of the quantiles, averaged over
        the horizon."""
        level, scale, steps = (tensor_of(batch.targets, name) for name in (LEVEL, SCALE, STEPS))
        said = self._shaped(outputs, level)
        truth = ((steps.transpose(1, 2) - scale[..., :1]) / scale[..., 1:2]).to(said.dtype)
        losses = LOSSES[self.settings.loss or DEFAULT_LOSS](said[..., 0], truth, reduction="none").mean(dim=-1)
        if self.config.quantiles:
            levels = torch.tensor(self.config.quantiles, device=said.device)
            off = truth[..., None] - said[..., 1:]
            losses = losses + 2 * torch.maximum(levels * off, (levels - 1) * off).mean(dim=(-2, -1))
        return losses.sum(dim=1)

    def num_units(self, batch: Batch) -> Tensor:
        return torch.full((len(batch),), float(len(self.columns)))

    def constant(self, logits: Tensor, batch: Batch) -> Columns:
        return {self.name: logits.expand(len(batch) * (1 if self.config.together else len(self.columns)), -1)}

    def truth(self, data: Dataset) -> Array:
        """Return (rows,) with the fields `values` (V, H), `scale` (V,) and `naive` (V,), as metrics take them."""
        steps = data.targets[STEPS].take(data.index)
        assert isinstance(steps, Tensor)
        return truth_of(steps.transpose(1, 2).numpy(), np.asarray(data.targets[SCALE].values)[data.index])

    def keep(self, outputs: Columns, batch: Batch) -> Columns:
        """Return the forecasts in the targets' units, (B, V, H, 1 + Q) float64."""
        level, scale = (tensor_of(batch.inputs, name) for name in (LEVEL, SCALE))
        said = self._shaped(outputs, level).double()
        return {self.name: said * scale[..., None, 1:2] + scale[..., None, :1]}

    def answers(self, kept: Columns) -> Floats:
        found: Floats = tensor_of(kept, self.name).numpy()
        return found

    def decode(self, outputs: Floats, frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """Return of each variable `predicted_NAME`, a list of the horizon's steps a row, and `predicted_NAME_qLEVEL` of
        each quantile; before them the series and the last moment known of the rows."""
        found = as_lists(outputs, self.columns, self.config.quantiles)
        return found if frame is None else frame.select(self.config.columns).hstack(found)

    def actual(self, truth: Array, frame: pl.DataFrame) -> dict[str, pl.Series]:
        """Return of each variable the steps that were forecast, a list a row."""
        values = part(truth, "values")
        return {f"actual_{name}": listed_steps(values[:, place]) for place, name in enumerate(self.columns)}

    def laid_out(self, frame: pl.DataFrame, horizon: int | None = None) -> pl.DataFrame:
        """Return forecasts with a row a step: series, moment, predictions."""
        assert self.layout.frequency is not None
        return by_step(frame, str(self.config.time), self.layout.frequency, horizon or self.horizon)

    def check_horizon(self, horizon: int | None) -> None:
        is_whole = isinstance(horizon, int) and not isinstance(horizon, bool)
        if horizon is not None and not (is_whole and 1 <= horizon <= self.horizon):
            raise ConfigError(
                "horizon",
                expected=f"1 to {self.horizon} steps, which the run was trained for",
                found=str(horizon),
                action=f"Train with task.forecast.horizon={horizon}" if is_whole and horizon > 0 else "Correct it",
            )

    def rearranged(self, table: Table, role: str) -> tuple[Table, list[Sentence]]:
        """Return other rows in the order of series and time, with rows for the steps to forecast behind each series
        where role is `predict`. Raises SchemaError where a column is not there, DataError where no series is long
        enough, or the steps to forecast lack what is known in advance."""
        for name in self.columns:
            table.require(name, "target")
        table = arrange.typed(table, self.config, self.columns)
        arrange.require_frequency(table, self.layout)
        table, _, notes = in_order(table, self.layout, self.columns)
        if role != "predict":
            return table, notes
        found, told = arrange.to_predict(table, self.columns, self.config, self.known, self.scales)
        return found, [*notes, *told]

    def state(self) -> dict[str, Any]:
        return {
            "columns": self.columns,
            "config": self.config.model_dump(mode="json"),
            "scales": self.scales,
            "covariates": self.covariates,
            "known": self.known,
        }

    def check_state(self) -> None:
        """Raise ValueError where the parts of the state contradict each other."""
        if self.config.lookback is None or self.config.time is None or self.config.frequency is None:
            raise ValueError("config: not everything is decided")
        if any(len(scale) != len(self.columns) for scale in self.scales.values()):
            raise ValueError("scales: not one a column")
        if not set(self.known) <= set(self.covariates):
            raise ValueError("known: none of the covariates")


def tensor_of(columns: Mapping[str, Any], name: str) -> Tensor:
    found = columns[name]
    assert isinstance(found, Tensor)
    return found
