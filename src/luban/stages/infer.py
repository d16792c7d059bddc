"""Decide what the target, the task and the columns are, and check the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from luban.audit import Subject, audit
from luban.core import artifact
from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError, typed
from luban.core.sentence import sentence
from luban.data.split import notes as split_notes
from luban.data.table import Table
from luban.features import schema
from luban.features.cells import strings
from luban.features.labels import doubt
from luban.features.parsing import columns as written
from luban.features.parsing.numbers import Writing
from luban.features.schema import ColumnPlan
from luban.run import Run
from luban.tasks import infer_task
from luban.tasks.base import Task
from luban.tasks.targets import companions, integers_note, profiled

TARGET_NAMES = ("target", "label", "labels", "class", "category", "y", "标签", "类别", "目标")

OF_WORDS = ("tags", "ner_tags", "pos_tags", "labels", "entities", "spans")  # beside the words, or the text, of each row


@dataclass(frozen=True)
class Inferred:
    """What was inferred of the tables. tables: with every value in one spelling. writings: how numbers were written."""

    tables: dict[str, Table]
    target: str
    task: type[Task]
    plans: list[ColumnPlan]
    writings: dict[str, Writing]

    @property
    def inputs(self) -> list[str]:
        return [plan.name for plan in self.plans if plan.is_input]


def infer(run: Run, tables: dict[str, Table]) -> Inferred:
    """Decide on the target, the task and the kind of each column, and check what was found."""
    config, table = run.config, tables["train"]
    target = choose_target(run, table)
    split_notes.require_rows_of_wide(table, config.data.split.method)
    profile = profiled(table, target)
    task = infer_task(profile, config.data.task)
    doubts = [doubt(profile, task.name, "data.task=multi_label")]
    if config.data.task is None and task.answer == AnswerKind.NUMBER:
        doubts.append(integers_note(profile))
    run.note("infer", *filter(None, doubts))
    check_judgement(run, tables.get("test", table), task)
    plans = plan_columns(run, table, target, task.kinds(profile, table.columns))
    run.note("infer", *(plan.note for plan in plans if plan.note))
    schema.require_inputs(table, plans)
    check_data(
        run,
        Subject(
            table,
            target,
            task.answer,
            {plan.name: plan.kind for plan in plans},
            {},
            config.data.missing_values,
            config.data.split,
            budget=config.data.audit_seconds,
            seed=config.seed,
        ),
    )
    alike, writings = write_alike(run, tables, plans, target, task)
    return Inferred(alike, target, task, plans, writings)


def check_data(run: Run, subject: Subject) -> None:
    """Audit the data, as far as that is quick, and write what was found. Raises DataError for an error."""
    report = audit(subject)
    report.check()
    artifact.write_json(run.directory / artifact.AUDIT, report.to_json())
    for finding in report.findings:
        run.note("audit", str(finding), warning=finding.severity != "note")
    if report.skipped:
        command = f"luban audit {typed(run.config.data.train or 'DATA')} --target {typed(subject.target)}"
        seconds = f"about {report.skipped_seconds:.0f} s"
        run.note("audit", f"left out, since they take {seconds}: {', '.join(report.skipped)}; `{command}` does them")


def choose_target(run: Run, table: Table) -> str:
    """Return the target: the one that is set, a column that is called like one, or the last column."""
    target = run.config.data.target
    if target is None:
        target, note = guess_target(table)
        run.note("infer", note)
    table.require(target, "target")
    return target


def guess_target(table: Table) -> tuple[str, str]:
    """Return a column that is called like a target, or the last one, and a sentence that says so."""
    by_lower = {name.lower(): name for name in reversed(table.columns)}
    named = [by_lower[name] for name in TARGET_NAMES if name in by_lower]
    named += [by_lower[name] for name in OF_WORDS if name in by_lower and companions(table, by_lower[name])]
    target = named[0] if named else table.columns[-1]
    if named:
        return target, sentence("target.named", "target: '{target}', by its name (set it with --target)", target=target)
    return target, sentence(
        "target.last", "target: '{target}', by its place, the last column (set it with --target)", target=target
    )


def check_judgement(run: Run, test: Table, task: type[Task]) -> None:
    """Raise SchemaError or ConfigError, before time is spent, where the model cannot be judged as set."""
    config = run.config.evaluate
    if config.fairness_column is not None:
        test.require(config.fairness_column, "evaluate.fairness_column")
    if config.goal is not None and not task.has_threshold:
        raise ConfigError(
            "evaluate.goal",
            expected="a task that decides by a threshold, binary or multi_label",
            found=f"the task {task.name}",
            action="Remove the setting, or set data.task",
        )


def plan_columns(run: Run, table: Table, target: str, asked: Mapping[str, str]) -> list[ColumnPlan]:
    """Decide what kind of column each is; a column that only says how to split is not an input. asked: kinds that the
    task asks for, where the user has not said another."""
    overrides = dict(run.config.data.columns)
    splitting = run.config.data.split
    if splitting.column and splitting.method in ("column", "group"):
        table.require(splitting.column, "data.split.column")
        overrides.setdefault(splitting.column, "ignore")
    missing = run.config.data.missing_values
    return schema.plan(table, target=target, overrides=overrides, asked=asked, missing_values=missing)


def write_alike(
    run: Run, tables: dict[str, Table], plans: list[ColumnPlan], target: str, task: type[Task]
) -> tuple[dict[str, Table], dict[str, Writing]]:
    """Write the numbers of all tables plainly and each value in one spelling, as the training rows have them most
    often; return how the numbers were written, too."""
    missing = run.config.data.missing_values
    numbers = [plan.name for plan in plans if plan.kind == "number"]
    values = [plan.name for plan in plans if plan.kind == "category"]
    if task.answer == AnswerKind.NUMBER:
        numbers.append(target)
    elif task.answer == AnswerKind.CLASS:
        values.append(target)
    train = written.in_one_writing(tables["train"], numbers, values, missing)
    run.note("infer", *train.notes)
    known = {name: strings(train.table.frame[name]).drop_nulls().unique().to_list() for name in values}
    alike = {"train": train.table}
    for role in [role for role in tables if role != "train"]:
        others = written.as_trained(tables[role], train.numbers, known, missing)
        run.note("infer", *others.notes)
        alike[role] = others.table
    return alike, train.numbers
