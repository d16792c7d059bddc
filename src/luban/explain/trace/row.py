"""The training step of one row of a finished run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from pydantic import ValidationError
from torch import nn

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError, DataError
from luban.core.sentence import sentence, with_parts
from luban.core.strict import first_of
from luban.core.tensors import Ragged, only
from luban.data import samples, sources
from luban.data.config import DataConfig, data_settings
from luban.data.table import Table
from luban.explain.trace.layers import Statistics, statistics
from luban.explain.trace.losses import loss_of
from luban.explain.trace.optimizers import check_optimizer
from luban.explain.trace.trace import MAX_STEPS, Trace, as_json, trace_network
from luban.features import cache
from luban.features.base import Feature
from luban.features.dataset import Dataset
from luban.features.text.feature import TextFeature
from luban.predictor import Predictor
from luban.training.optim.optimizers import decayed_names, momentum_of
from luban.training.optim.parameter_groups import layer_factors, parameter_groups
from luban.training.recipe import TrainConfig

MAX_CELL = 500  # characters
MAX_TOKENS = 256
MAX_ANSWERS = 12


@dataclass(frozen=True)
class InputTrace:
    """An input of the network. encoder: what the names of its layers begin with. tokens: the pieces of a text, as the
    tokenizer cut it; empty for other inputs."""

    name: str
    kind: str
    columns: tuple[str, ...]
    encoder: str
    values: Statistics
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class RowTrace:
    """cells: column -> what stands there. before, after: the prediction, by column of a prediction file."""

    run: str
    source: str
    row: int
    task: str
    target: str
    cells: dict[str, str]
    inputs: tuple[InputTrace, ...]
    before: dict[str, str]
    after: dict[str, str]
    notes: tuple[str, ...]
    trace: Trace

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = as_json(with_parts({**asdict(self), "trace": self.trace.to_json()}))
        return found


def trace_row(
    run: str | Path,
    row: int,
    data: str | Path | None = None,
    *,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    steps: int = 1,
) -> RowTrace:
    """Do training steps on one row with a copy of a trained model, on the CPU.

    row: its number in the run's training source or in `data`, from 1. What is None is the run's own; its weight decay
    holds for its own optimizer alone. Raises ArtifactError, ConfigError, DataError and SchemaError.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise ConfigError("--steps", expected=f"1 to {MAX_STEPS}", found=str(steps), action="Choose another number")
    if learning_rate is not None and not 0 < learning_rate < float("inf"):
        raise ConfigError(
            "--learning-rate", expected="a positive number", found=str(learning_rate), action="Choose another number"
        )
    if optimizer is not None:
        check_optimizer(optimizer, "--optimizer")
    directory = RunDirectory.open(run)
    config, reading = _train_settings(directory), data_settings(directory)
    own = str(config.optim.optimizer)
    if optimizer is None:
        check_optimizer(own, f"{run}, its optimizer", "Add --optimizer adamw, or another of these")
    name = optimizer or own
    whole = Predictor.load(run, "cpu")
    predictor = whole.part(None)
    if not predictor.task.has_logits:
        raise ConfigError(
            str(run),
            expected="a model of one answer a row, whose loss is computed by hand, too",
            found=f"the task {predictor.task.name}",
            action="Trace a model of another task",
        )
    table, notes = _one_row(predictor, str(run), reading, data, row)
    task = predictor.task
    if predictor is not whole:
        notes.append(
            sentence(
                "trace.first_target", "of several targets the first is traced alone: '{target}'", target=task.target
            )
        )
    table.require(task.target, "target")
    targets, bad = task.encode_targets(table.frame)
    if bad:
        raise DataError(
            f"{table.name}, row {row}", expected="a target to learn from", found=bad[0][1], action="Choose another row"
        )
    notes += predictor.schema.check(table)
    inputs, unreadable = cache.encode(predictor.schema, table, None, None)
    notes += [
        sentence("trace.unread", "column '{column}': {reason}; it counts as missing", column=column, reason=reason)
        for column, reason in unreadable.values()
    ]
    batch = Dataset.of(predictor.schema, inputs, targets).batch(np.arange(1))
    optim = config.optim
    decay = (optim.weight_decay or 0.0) if name == own else 0.0
    rate = learning_rate or optim.learning_rate
    assert rate is not None, "a finished run has settled its learning rate"
    prefixes = [predictor.network.encoder_prefix(each) for each in predictor.spec.backbones]

    def groups(network: nn.Module) -> list[dict[str, Any]]:
        factors = layer_factors(network, optim.layer_decay) if optim.layer_decay and learning_rate is None else None
        backbone = optim.backbone_learning_rate if learning_rate is None else None
        decayed = decayed_names(network)
        return parameter_groups(network.named_parameters(), decayed, rate, backbone, decay, prefixes, factors)

    trace = trace_network(
        predictor.network,
        batch.inputs,
        only(batch.targets),
        loss_of(task, config.loss),
        optimizer=name,
        momentum=momentum_of(name, optim.momentum if name == own else None) or 0.0,
        clip_norm=optim.clip_norm,
        l1=optim.l1,
        steps=steps,
        groups=groups,
    )
    return RowTrace(
        run=str(run),
        source=table.name,
        row=row,
        task=task.name,
        target=task.target,
        cells={column: _cell(table.frame[column][0]) for column in table.columns},
        inputs=tuple(
            _input(feature, predictor.network.encoder_prefix(feature.name), batch.inputs[feature.name])
            for feature in predictor.schema.features
        ),
        before=_answer(predictor, trace.logits),
        after=_answer(predictor, trace.logits_after),
        notes=tuple(notes),
        trace=trace,
    )


def _train_settings(run: RunDirectory) -> TrainConfig:
    try:
        return TrainConfig.model_validate(run.read_settings().get("train"))
    except ValidationError as error:
        where = run / artifact.CONFIG
        raise artifact.damaged(where, "the settings of a training", ValueError(first_of(error))) from error


def _one_row(
    predictor: Predictor, run: str, reading: DataConfig, data: str | Path | None, row: int
) -> tuple[Table, list[str]]:
    source = str(data) if data is not None else reading.train
    if source is None:
        raise DataError(
            run, expected="a path of its training data", found="a table in memory", action="Give the rows: --data FILE"
        )
    source = str(samples.resolve(source) or source)
    if data is None and not Path(source).exists():
        raise DataError(
            f"{run}, its training data {source}",
            expected="the file that it was trained on",
            found="nothing there any more",
            action="Put it back, or give other rows with --data FILE",
        )
    table = sources.read(
        source,
        separator=reading.separator,
        encoding=reading.encoding,
        decimal=reading.decimal if data is None else None,
        sheet=reading.sheet,
    )
    table, notes = predictor.as_trained(table)
    positions = np.flatnonzero(table.row_numbers == row)
    if not len(positions):
        rejected = [each.reason for each in table.rejected if each.row == row]
        raise DataError(
            table.name,
            expected=f"a row number from {table.row_numbers.min()} to {table.row_numbers.max()}",
            found=f"row {row}, which cannot be read ({rejected[0]})" if rejected else f"{row}",
            action="Choose another row",
        )
    return table.take(positions[:1]), list(notes)


def _input(feature: Feature, encoder: str, value: torch.Tensor | Ragged) -> InputTrace:
    tensor = value.values if isinstance(value, Ragged) else value
    tokens: tuple[str, ...] = ()
    if isinstance(feature, TextFeature):
        ids = tensor[:, 0] if tensor.ndim == 2 else tensor
        pieces = (feature.encoder.tokenizer.id_to_token(int(each)) for each in ids[:MAX_TOKENS])
        tokens = tuple(str(piece) for piece in pieces)
    return InputTrace(feature.name, feature.kind, feature.columns, encoder, statistics(tensor), tokens)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    text = str(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


def _answer(predictor: Predictor, logits: Statistics) -> dict[str, str]:
    if logits.values is None:
        return {}
    tensor = torch.tensor(logits.values).reshape(logits.shape)
    frame = predictor.task.decode(predictor.task.outputs(tensor).numpy())
    row = list(frame.row(0, named=True).items())
    return {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in row[: MAX_ANSWERS + 1]}
