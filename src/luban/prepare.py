"""From a source to encoded rows: read, infer, audit, split, fit the features, encode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from luban.audit import Subject, audit
from luban.audit.subject import CLASSES, FILE_KINDS
from luban.config import RunConfig
from luban.core import artifact, events
from luban.core.cache import cache_folder
from luban.core.errors import ConfigError, typed
from luban.core.sentence import sentence
from luban.data import samples, sources
from luban.data.decimals import Decimal
from luban.data.draw import sample_rows
from luban.data.split import notes as split_notes
from luban.data.split.overlap import drop_overlap
from luban.data.split.split import split
from luban.data.table import RejectedRow, Table
from luban.features import cache, schema
from luban.features.base import FitContext
from luban.features.cells import strings
from luban.features.dataset import Dataset
from luban.features.labels import doubt
from luban.features.learned import clauses
from luban.features.parsing import columns as written
from luban.features.parsing.date_format import in_time
from luban.features.parsing.numbers import Writing
from luban.features.schema import ColumnPlan, Schema
from luban.models import network as networks
from luban.models import pretrained
from luban.models.network import NetworkConfig
from luban.outputs import write_table
from luban.run import Run
from luban.tasks import infer_task
from luban.tasks.base import Task
from luban.tasks.deciding import deciding_metric
from luban.tasks.positive import with_positive
from luban.tasks.targets import check_loss, integers_note, labels_of, profiled, unseen_labels

FIT_ROWS = 500_000  # features are fitted on at most so many training rows, drawn at random
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Some rows of a table: the training, validation or test rows."""

    table: Table
    rows: Positions  # ascending

    def materialize(self, limit: int | None = None, seed: int = 0) -> Table:
        """Copy the rows out, or `limit` of them drawn at random."""
        if limit is None:
            return self.table.take(self.rows)
        return self.table.take(self.rows[sample_rows(len(self.rows), limit, np.random.default_rng(seed))])


@dataclass(frozen=True)
class Parts:
    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True)
class Prepared:
    """All that a training needs of the data. model: completed; checkpoint: the folder of its pretrained weights.

    decided: settings of the data that were inferred. checksums: of the encoded inputs of each table, by name.
    positive: what the positive class of two is called.
    """

    parts: Parts
    train: Dataset
    validation: Dataset
    test: Dataset
    schema: Schema
    plans: list[ColumnPlan]
    task: Task
    model: NetworkConfig
    checkpoint: Path | None
    decided: dict[str, object]
    checksums: list[dict[str, str]]
    positive: str | None = None


def prepare(run: Run, tables: dict[str, object]) -> Prepared:
    """Go the whole way from the sources to encoded rows, telling what is decided on the way."""
    config = run.config
    with run.stage("read"):
        table = read(run, "train", tables["train"], config.data.decimal)
        decimal = table.decimal
        others = {role: source for role, source in tables.items() if role != "train"}
        read_tables = {"train": table} | {role: read(run, role, others[role], decimal) for role in others}
    with run.stage("infer"):
        target = choose_target(run, table)
        split_notes.require_rows_of_wide(table, config.data.split.method)
        profile = profiled(table, target)
        task_type = infer_task(profile, config.data.task)
        doubts = [doubt(profile, task_type.name, "data.task=multi_label")]
        if config.data.task is None and task_type.name == "regression":
            doubts.append(integers_note(profile))
        run.note("infer", *filter(None, doubts))
        check_judgement(run, read_tables.get("test", table), task_type)
        plans = plan_columns(run, table, target)
        run.note("infer", *(plan.note for plan in plans if plan.note))
        schema.require_inputs(table, plans)
        inputs = [plan.name for plan in plans if plan.is_input]
        check_data(
            run,
            Subject(
                table,
                target,
                task_type.name,
                {plan.name: plan.kind for plan in plans},
                {},
                config.data.missing_values,
                config.data.split,
                budget=config.data.audit_seconds,
                seed=config.seed,
            ),
        )
        read_tables, writings = write_alike(run, read_tables, plans, target, task_type)
        table = read_tables["train"]
    with run.stage("split"):
        files = [plan.name for plan in plans if plan.kind in FILE_KINDS]
        parts = divide(run, read_tables, target, inputs, files=files, stratify=task_type.name in CLASSES)
    with run.stage("fit"):
        fitting = parts.train.materialize(FIT_ROWS, config.seed)
        trained_on = table.frame[target][parts.train.rows]
        task, positive, notes = with_positive(task_type.fit(trained_on), config.task.positive)
        run.note("fit", *notes, *task.remarks())
        deciding_metric(task, config.train.metric)
        check_loss(task, fitting.frame[target], config.train.loss)
        require_test_rows(parts)
        model_config, checkpoint = choose_model(run, plans, fitting)
        context = fit_context(config, table, model_config, checkpoint)
        fitted = schema.fit(plans, fitting, config.features, context, writings)
        describe_schema(run, fitted, plans, task, len(table))
        del fitting
    with run.stage("encode"):
        (train, validation, test), parts, checksums = encode(run, fitted, task, parts)
        run.tell(events.SplitMade(len(parts.train.rows), len(parts.validation.rows), len(parts.test.rows)))
    kinds = {plan.name: plan.kind for plan in plans}
    decided: dict[str, object] = {"target": target, "task": task.name, "columns": kinds, "decimal": decimal}
    return Prepared(
        parts, train, validation, test, fitted, plans, task, model_config, checkpoint, decided, checksums, positive
    )


def read(run: Run, role: str, source: object, decimal: Decimal | None) -> Table:
    """Read one source, set aside what cannot be read, and draw `data.max_rows` of the training rows."""
    config = run.config.data
    if isinstance(source, str):
        announce_download(run, source)
        source = samples.resolve(source) or source
    table = sources.read(
        source,
        separator=config.separator,
        encoding=config.encoding,
        decimal=decimal,
        sheet=config.sheet,
        cache=cache_folder(),
    )
    run.note("read", *table.notes)
    if role == "train" and config.max_rows and config.max_rows < len(table):
        drawn = np.random.RandomState(0).choice(len(table), size=config.max_rows, replace=False)
        run.note(
            "read",
            sentence(
                "read.max_rows",
                "{drawn} of {rows} rows drawn at random (data.max_rows)",
                drawn=config.max_rows,
                rows=len(table),
            ),
        )
        table = table.take(drawn.astype(np.int64))
    return table


def announce_download(run: Run, reference: str) -> None:
    """Say so before a sample is fetched, which takes a while."""
    name = reference.removeprefix("sample:").partition("/")[0]
    found = next((sample for sample in samples.SAMPLES if sample.name == name), None)
    if found and not Path(reference).exists() and not samples.is_cached(name):
        run.note("fetch", f"sample '{name}' out of the package {found.package} {found.version}, once")


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


TARGET_NAMES = ("target", "label", "labels", "class", "category", "y", "标签", "类别", "目标")


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


def plan_columns(run: Run, table: Table, target: str) -> list[ColumnPlan]:
    """Decide what kind of column each is; a column that only says how to split is not an input."""
    overrides = dict(run.config.data.columns)
    splitting = run.config.data.split
    if splitting.column and splitting.method in ("column", "group"):
        table.require(splitting.column, "data.split.column")
        overrides.setdefault(splitting.column, "ignore")
    return schema.plan(table, target=target, overrides=overrides, missing_values=run.config.data.missing_values)


def write_alike(
    run: Run, tables: dict[str, Table], plans: list[ColumnPlan], target: str, task: type[Task]
) -> tuple[dict[str, Table], dict[str, Writing]]:
    """Write the numbers of all tables plainly and each value in one spelling, as the training rows have them most
    often; return how the numbers were written, too."""
    missing = run.config.data.missing_values
    numbers = [plan.name for plan in plans if plan.kind == "number"]
    values = [plan.name for plan in plans if plan.kind == "category"]
    if task.name == "regression":
        numbers.append(target)
    elif task.name in CLASSES:
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


def divide(
    run: Run, tables: dict[str, Table], target: str, inputs: list[str], *, files: list[str], stratify: bool
) -> Parts:
    """Split into training, validation and test rows; what is given as a file of its own is taken as it is."""
    table, config = tables["train"], run.config.data.split
    given = {role: tables[role] for role in ("validation", "test") if role in tables}
    kept = np.arange(len(table))
    for other in given.values():
        for name in (target, *inputs):
            other.require(name)
        keep, notes = drop_overlap(table, other, inputs)
        run.note("split", *notes)
        kept = np.intersect1d(kept, keep)
    if config.seed is None:
        config = config.model_copy(update={"seed": run.config.seed})
    if "validation" in given:
        config = config.model_copy(update={"validation": 0.0})
    rows_left = table if len(kept) == len(table) else table.take(kept)
    by_time = config.column if config.method == "time" else None
    found = split(
        in_time(rows_left, by_time, run.config.features.date.order),
        target,
        inputs,
        config,
        has_test="test" in given,
        stratify=stratify,
        files=files,
    )
    run.note("split", *found.notes)
    rows = {"train": found.train, "validation": found.validation, "test": found.test}
    parts = {
        role: Part(given[role], np.arange(len(given[role]))) if role in given else Part(table, kept[rows[role]])
        for role in rows
    }
    if len(given) == 2:
        keep, notes = drop_overlap(given["validation"], given["test"], inputs)
        run.note("split", *notes)
        parts["validation"] = Part(given["validation"], keep)
    return Parts(**parts)


def require_test_rows(parts: Parts) -> None:
    """Raise ConfigError where no rows are left to score."""
    if not len(parts.test.rows):
        raise ConfigError(
            "data.split.test", expected="rows to test on", found="none", action="Give data.test, or a share above 0"
        )


def choose_model(run: Run, plans: list[ColumnPlan], fitting: Table) -> tuple[NetworkConfig, Path | None]:
    """Complete the model's configuration; return it with the folder of the pretrained checkpoint, if it has one."""
    kinds = schema.tensor_kinds(plans)
    texts = [plan.name for plan in plans if plan.kind == "text"]
    config, notes = networks.complete(run.config.model, kinds, chinese=schema.is_mostly_cjk(fitting, texts))
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
    run.tell(events.SchemaInferred(rows, columns, task.target, task.name))


def encode(run: Run, fitted: Schema, task: Task, parts: Parts) -> tuple[list[Dataset], Parts, list[dict[str, str]]]:
    """Encode every part, each table once; rows that cannot be read are listed and set aside, 1 % at most.

    Returns the rows of each part, the parts without what was set aside, and the checksums of each table's inputs.
    """
    checksums: list[dict[str, str]] = []
    encoded: dict[int, tuple[Dataset, Positions]] = {}
    rejected: list[RejectedRow] = []
    for table in {id(part.table): part.table for part in (parts.train, parts.validation, parts.test)}.values():
        note = partial(run.note, "encode")
        found = cache.stored(fitted, table, cache_folder() / "encoded", sources.fingerprint(table), note)
        inputs, bad = found.inputs, found.bad
        checksums.append(found.checksums)
        targets, bad_targets = task.encode(table.frame[task.target])
        unseen, notes = unseen_labels(table, task.target, bad_targets, labels_of(task))
        run.note("encode", *notes, warning=True)
        bad |= {position: (task.target, reason) for position, reason in bad_targets.items()}
        checked = replace(table, rejected=())
        checked.without({position: why for position, why in bad.items() if position not in unseen}).check_rejected()
        rejected += [*table.rejected, *checked.without(bad).rejected]
        kept = np.setdiff1d(np.arange(len(table)), np.fromiter(bad, np.int64, len(bad)))
        encoded[id(table)] = Dataset.of(fitted, inputs, targets), kept
    if rejected:
        frame = pl.DataFrame([vars(row) for row in rejected])
        write_table(frame, run.directory / artifact.REJECTED, frame.columns)
        set_aside = sentence(
            "rejected.rows",
            "{rows:count row} cannot be read and {rows:do are} set aside: see {file}",
            rows=len(rejected),
            file=artifact.REJECTED,
        )
        run.note("encode", set_aside, warning=True)
    datasets, kept_parts = [], {}
    for role in ("train", "validation", "test"):
        part: Part = getattr(parts, role)
        dataset, kept = encoded[id(part.table)]
        rows = part.rows[np.isin(part.rows, kept)]
        datasets.append(dataset.select(rows))
        kept_parts[role] = Part(part.table, rows)
    return datasets, Parts(**kept_parts), checksums
