"""Fit the task and the features on training rows, and choose the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luban.config import RunConfig
from luban.core import events
from luban.data.table import Table
from luban.features import schema
from luban.features.base import FitContext
from luban.features.learned import clauses
from luban.features.number import NumberFeature
from luban.features.schema import ColumnPlan, Schema
from luban.features.words import WordsFeature
from luban.models import pretrained
from luban.models.choice import NetworkConfig, complete
from luban.run import Run
from luban.stages.infer import Inferred
from luban.stages.prepared import FIT_ROWS, Parts
from luban.stages.read import announce_download
from luban.stages.split import require_test_rows
from luban.tasks.base import Task
from luban.tasks.config import TaskConfig
from luban.tasks.deciding import deciding_metric
from luban.tasks.fitting import fit_task
from luban.tasks.targets import check_loss


@dataclass(frozen=True)
class Fitted:
    """What was fitted on training rows. settings: of the task, with what was decided. positive: what the positive
    class of two is called."""

    schema: Schema
    task: Task
    model: NetworkConfig
    checkpoint: Path | None
    settings: TaskConfig
    positive: str | None


def fit(run: Run, inferred: Inferred, parts: Parts) -> Fitted:
    """Fit the task and the features, and choose the model."""
    config, table = run.config, inferred.tables["train"]
    fitting = parts.train.materialize(FIT_ROWS, config.seed)
    kinds = {plan.name: plan.kind for plan in inferred.plans if plan.is_input}
    trained_on = table.frame.select(columns_of(inferred, kinds))[parts.train.rows]
    task, positive, notes = fit_task(inferred.tasks, trained_on, inferred.settings, config.train.loss, kinds)
    run.note("fit", *notes, *task.remarks())
    numbers = [name for name, kind in kinds.items() if kind == NumberFeature.kind]
    task.check_inputs(table.frame.select([*inferred.tasks, *numbers])[parts.train.rows], numbers, table.name)
    deciding_metric(task, config.train.metric)
    check_loss(task, fitting.frame, config.train.loss)
    require_test_rows(parts)
    model, checkpoint = choose_model(run, inferred.plans, fitting, task)
    context = fit_context(config, table, model, checkpoint)
    fitted = schema.fit(inferred.plans, fitting, config.features, context, inferred.writings)
    describe_schema(run, fitted, inferred.plans, task, len(table))
    task = task.taking(fitted.specs())
    return Fitted(fitted, task, model, checkpoint, task.resolved(inferred.settings), positive)


def columns_of(inferred: Inferred, kinds: Mapping[str, str]) -> list[str]:
    """Return the columns that a task is fitted on: targets, what they are of, and when."""
    answered = [name for name, kind in kinds.items() if kind == WordsFeature.kind]
    return list(dict.fromkeys([*inferred.tasks, *answered, *inferred.settings.columns]))


def choose_model(run: Run, plans: list[ColumnPlan], fitting: Table, task: Task) -> tuple[NetworkConfig, Path | None]:
    """Complete the model's configuration; return it with the folder of the pretrained checkpoint, if it has one."""
    kinds = task.input_kinds(schema.tensor_kinds(plans))
    texts = [plan.name for plan in plans if plan.kind in ("text", "words")]
    chinese = schema.is_mostly_cjk(fitting, texts)
    config, notes = complete(run.config.model, kinds, chinese=chinese, usual=task.architecture)
    run.note("model", *notes)
    if not isinstance(config.tokens, pretrained.PretrainedConfig) or not texts:
        return config, None
    announce_download(run, config.tokens.checkpoint)
    folder = pretrained.resolve_checkpoint(config.tokens.checkpoint)
    return config.model_copy(update={"tokens": pretrained.resolve(config.tokens, folder)}), folder


def fit_context(config: RunConfig, table: Table, model: NetworkConfig, checkpoint: Path | None) -> FitContext:
    missing = frozenset(config.data.missing_values)
    if checkpoint is None:
        return FitContext(table.folder, missing)
    assert isinstance(model.tokens, pretrained.PretrainedConfig)
    return FitContext(table.folder, missing, pretrained.tokenizer_file(checkpoint), model.tokens.max_positions)


def describe_schema(run: Run, fitted: Schema, plans: list[ColumnPlan], task: Task, rows: int) -> None:
    learned = {column: feature.describe() for feature in fitted.features for column in feature.columns}
    for column, writing in fitted.writings.items():
        if column in learned and (how := writing.describe()) is not None:
            learned[column] = clauses([how, learned[column]])
    columns: list[tuple[str, str, str, str]] = [
        (plan.name, plan.kind, learned.get(plan.name, ""), plan.reason) for plan in plans
    ]
    run.tell(events.SchemaInferred(rows, columns, ", ".join(task.targets), task.name))
