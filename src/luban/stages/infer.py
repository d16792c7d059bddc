"""Decide what the target, the task and the columns are, and check the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luban.audit import Subject, audit_all
from luban.core import artifact
from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError, listed, nearest, typed
from luban.core.sentence import sentence, several
from luban.data.split import notes as split_notes
from luban.data.table import Table
from luban.evaluation.forecasters import check_installed
from luban.features import schema
from luban.features.cells import strings
from luban.features.labels import doubt
from luban.features.parsing import columns as written
from luban.features.parsing.numbers import Writing
from luban.features.schema import ColumnPlan
from luban.run import Run
from luban.tasks import infer_task, task_named
from luban.tasks.base import Task
from luban.tasks.config import TaskConfig
from luban.tasks.fitting import require_alike
from luban.tasks.targets import companions, integers_note, profiled

TARGET_NAMES = ("target", "label", "labels", "class", "category", "y", "标签", "类别", "目标")

OF_WORDS = ("tags", "ner_tags", "pos_tags", "labels", "entities", "spans")  # beside the words, or the text, of each row


@dataclass(frozen=True)
class Inferred:
    """What was inferred of the tables. tables: with every value in one spelling. tasks: of each target column.
    writings: how numbers were written. settings: of the task, with what the tables tell."""

    tables: dict[str, Table]
    tasks: dict[str, type[Task]]
    plans: list[ColumnPlan]
    writings: dict[str, Writing]
    settings: TaskConfig

    @property
    def inputs(self) -> list[str]:
        return [plan.name for plan in self.plans if plan.is_input]


def infer(run: Run, tables: dict[str, Table]) -> Inferred:
    """Decide on the targets, their tasks and the kind of each column, and check what was found."""
    config, table = run.config, tables["train"]
    targets = choose_targets(run, table)
    split_notes.require_rows_of_wide(table, config.data.split.method)
    tasks, asked = infer_tasks(run, table, targets)
    settings, of_task = first_of(tasks).planned(table, config.task)
    asked |= of_task
    check_judgement(run, tables.get("test", table), tasks)
    plans = plan_columns(run, table, targets, asked)
    run.note("infer", *(plan.note for plan in plans if plan.note))
    if not first_of(tasks).is_ordered:  # what was before is an input enough
        schema.require_inputs(table, plans)
    kinds = {plan.name: plan.kind for plan in plans}
    subjects = [
        Subject(
            table,
            target,
            task.answer,
            kinds,
            {},
            config.data.missing_values,
            config.data.split,
            budget=config.data.audit_seconds / len(tasks),
            seed=config.seed,
            beside=tuple(other for other in tasks if other != target),
        )
        for target, task in tasks.items()
    ]
    check_data(run, subjects)
    alike, writings = write_alike(run, tables, plans, tasks)
    alike, settings, notes = first_of(tasks).arranged(alike, targets, settings)
    run.note("infer", *notes)
    return Inferred(alike, tasks, plans, writings, settings)


def first_of(tasks: Mapping[str, type[Task]]) -> type[Task]:
    """Return the task of the first target: that of all, where they are of one."""
    return next(iter(tasks.values()))


def infer_tasks(run: Run, table: Table, targets: Sequence[str]) -> tuple[dict[str, type[Task]], dict[str, str]]:
    """Return the task of each target, as it is set or as its cells ask for, and which kinds the tasks ask other columns
    to have. Raises ConfigError where a task is set for a column that is no target."""
    chosen = run.config.data.task
    named = dict.fromkeys(targets, chosen) if chosen is None or isinstance(chosen, str) else dict(chosen)
    for name in named:
        if name not in targets:
            raise ConfigError(
                "data.task",
                expected=f"tasks of the targets {listed(targets)}",
                found=f"one of '{name}'",
                action=f"{nearest(name, targets)}Name one of them",
            )
    tasks, asked = dict[str, type[Task]](), dict[str, str]()
    for target in targets:
        profile, wanted = profiled(table, target), named.get(target)
        tasks[target] = task = infer_task(profile, wanted)
        doubts = [doubt(profile, task.name, "data.task=multi_label")]
        if wanted is None and task.answer == AnswerKind.NUMBER:
            doubts.append(integers_note(profile))
        if len(targets) > 1 and not task.is_joint:
            doubts.insert(0, sentence("target.task", "target '{target}': {task}", target=target, task=task.name))
        run.note("infer", *filter(None, doubts))
        asked |= task.kinds(profile, [name for name in table.columns if name not in targets])
    require_alike(tasks)
    return tasks, asked


def check_data(run: Run, subjects: Sequence[Subject]) -> None:
    """Audit the data for each target, as far as that is quick, and write what was found. Raises DataError for an
    error."""
    report = audit_all(subjects)
    report.check()
    artifact.write_json(run.directory / artifact.AUDIT, report.to_json())
    for finding in report.findings:
        run.note("audit", str(finding), warning=finding.severity != "note")
    if report.skipped:
        target = ",".join(str(subject.target) for subject in subjects)
        command = f"luban audit {typed(run.config.data.train or 'DATA')} --target {typed(target)}"
        seconds = f"about {report.skipped_seconds:.0f} s"
        run.note("audit", f"left out, since they take {seconds}: {', '.join(report.skipped)}; `{command}` does them")


def choose_targets(run: Run, table: Table) -> tuple[str, ...]:
    """Return the targets: those that are set, a column that is called like one, or the last column."""
    if run.config.data.target is None and isinstance(run.config.data.task, str):
        found = task_named(run.config.data.task).usual_targets(table, run.config.task, run.config.data.columns)
        if found:
            run.note("infer", sentence("target.all", "targets: {names} (set them with --target)", names=several(found)))
            return found
    if run.config.data.target is None:
        target, note = guess_target(table)
        run.note("infer", note)
        return (target,)
    return named_targets(run.config.data.target, table)


def named_targets(target: str | Sequence[str], table: Table) -> tuple[str, ...]:
    """Return the target columns that are named: several in a list, or with commas where no column is called so.

    Raises SchemaError for a column that is not there, ConfigError for one that is named twice.
    """
    if isinstance(target, str):
        names = [name.strip() for name in target.split(",")]
        target = names if target not in table.names and any(name in table.names for name in names) else [target]
    for name in target:
        table.require(name, "target")
        if list(target).count(name) > 1:
            raise ConfigError("data.target", expected="each target once", found=f"'{name}' twice", action="Remove one")
    return tuple(target)


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


def check_judgement(run: Run, test: Table, tasks: Mapping[str, type[Task]]) -> None:
    """Raise SchemaError or ConfigError, before time is spent, where the model cannot be judged as set."""
    config = run.config.evaluate
    if config.fairness_column is not None:
        test.require(config.fairness_column, "evaluate.fairness_column")
    check_installed(config.forecasters, forecasts=any(task.is_ordered for task in tasks.values()))
    if config.goal is not None and not any(task.has_threshold for task in tasks.values()):
        raise ConfigError(
            "evaluate.goal",
            expected="a task that decides by a threshold, binary or multi_label",
            found=f"the task {listed(task.name for task in tasks.values())}",
            action="Remove the setting, or set data.task",
        )


def plan_columns(run: Run, table: Table, targets: Sequence[str], asked: Mapping[str, str]) -> list[ColumnPlan]:
    """Decide what kind of column each is; a column that only says how to split is not an input. asked: kinds that the
    tasks ask for, where the user has not said another."""
    overrides = dict(run.config.data.columns)
    splitting = run.config.data.split
    if splitting.column and splitting.method in ("column", "group"):
        table.require(splitting.column, "data.split.column")
        overrides.setdefault(splitting.column, "ignore")
    missing = run.config.data.missing_values
    return schema.plan(table, target=targets, overrides=overrides, asked=asked, missing_values=missing)


def write_alike(
    run: Run, tables: dict[str, Table], plans: list[ColumnPlan], tasks: Mapping[str, type[Task]]
) -> tuple[dict[str, Table], dict[str, Writing]]:
    """Write the numbers of all tables plainly and each value in one spelling, as the training rows have them most
    often; return how the numbers were written, too."""
    missing = run.config.data.missing_values
    numbers = [plan.name for plan in plans if plan.kind == "number"]
    values = [plan.name for plan in plans if plan.kind == "category"]
    numbers += [target for target, task in tasks.items() if task.answer in (AnswerKind.NUMBER, AnswerKind.FORECAST)]
    values += [target for target, task in tasks.items() if task.answer == AnswerKind.CLASS]
    train = written.in_one_writing(tables["train"], numbers, values, missing)
    run.note("infer", *train.notes)
    known = {name: strings(train.table.frame[name]).drop_nulls().unique().to_list() for name in values}
    alike = {"train": train.table}
    for role in [role for role in tables if role != "train"]:
        others = written.as_trained(tables[role], train.numbers, known, missing)
        run.note("infer", *others.notes)
        alike[role] = others.table
    return alike, train.numbers
