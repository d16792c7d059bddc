"""`luban audit`: read, audit, show, and write a cleaned copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from luban import config as configuration
from luban.audit import Subject, audit_all
from luban.audit.fixes import FIXES, apply_fixes
from luban.core.artifact import write_json
from luban.core.cache import cache_folder
from luban.core.errors import ConfigError, listed, nearest
from luban.data import samples, sources
from luban.data.config import DataConfig
from luban.data.table import Table
from luban.features import schema
from luban.outputs import Formulas, check_output, write_table
from luban.report.audit_table import show_audit
from luban.report.wrapping import open_console, safe
from luban.settings import CONFIG_SUFFIXES, required_source, settings_of
from luban.stages.infer import guess_target, named_targets
from luban.tasks import infer_task
from luban.tasks.targets import profiled

CLEAN, ERRORS, WARNINGS = 0, 3, 4  # exit codes
AS_IT_IS = DataConfig()


def run_audit(
    source: str,
    target: str | Sequence[str] | None,
    others: Mapping[str, str | None],
    fixes: list[str],
    output: Path | None,
    json: Path | None,
    *,
    settings: Sequence[str] = (),
    overwrite: bool,
    strict: bool,
    which: Formulas = "added",
) -> int:
    """Audit a source, or the data of a configuration file, and return the exit code.

    others: sources by role, `validation`, `test` and `against`. settings: NAME=VALUE, as of a training. which: cells of
    the copy that are written as text where a spreadsheet would run them.
    """
    inputs = [source]
    data = data_config(source, settings)
    source, target = str(data.train), target or data.target
    others = {role: path or getattr(data, role, None) for role, path in others.items()}
    inputs += [path for path in (source, *others.values(), data.validation, data.test) if path is not None]
    _check_fixes(fixes, output)
    if output is not None:
        output = check_output(output, inputs, overwrite=overwrite)
    if json is not None:
        json = check_output(json, inputs, overwrite=overwrite, endings=(".json",))
    console = open_console()
    subjects, notes = prepare_subjects(source, target, others, data)
    report, subject = audit_all(subjects), subjects[0]
    show_audit(console, report, notes)
    if json is not None:
        write_json(json, report.to_json())
    if output is not None:
        frame, done = apply_fixes(subject, fixes)
        for note in write_table(frame, output, which=which):
            console.print(safe(note), soft_wrap=True)
        console.print(safe(f"fixed: {', '.join(done)}"), soft_wrap=True)
        console.print(safe(f"{frame.height:,} of {len(subject):,} rows written to {output}"), soft_wrap=True)
    if report.count("error"):
        return ERRORS
    return WARNINGS if strict and report.count("warning") else CLEAN


def data_config(source: str, assignments: Sequence[str]) -> DataConfig:
    """Return what is set of the data, `train` among it. Raises ConfigError for a setting that is unknown or wrong."""
    settings = configuration.override(settings_of(source), assignments)
    config = configuration.parse(settings, source if source.endswith(CONFIG_SUFFIXES) else "settings")
    return config.data.model_copy(update={"train": required_source(config)})


def prepare_subjects(
    source: str, target: str | Sequence[str] | None, others: Mapping[str, str | None], data: DataConfig = AS_IT_IS
) -> tuple[list[Subject], list[str]]:
    """Read the sources and infer the columns, as a training would, for each target; return what was chosen on the way,
    too."""
    table = _read(source, data)
    notes = list(table.notes)
    if target is None:
        target, note = guess_target(table)
        notes.append(note)
    targets = named_targets(target, table)
    data = data.model_copy(update={"decimal": table.decimal})
    tables = {role: _read(path, data) for role, path in others.items() if path is not None}
    profiles = {name: profiled(table, name) for name in targets}
    named = data.task if isinstance(data.task, dict) else dict.fromkeys(targets, data.task)
    tasks = {name: infer_task(found, named.get(name)) for name, found in profiles.items() if len(found.sample)}
    asked: dict[str, str] = {}
    for name, task in tasks.items():
        asked |= task.kinds(profiles[name], [column for column in table.columns if column not in targets])
    plans = schema.plan(table, target=targets, overrides=data.columns, asked=asked, missing_values=data.missing_values)
    inputs = [plan.name for plan in plans if plan.is_input]
    for other in tables.values():
        for name in inputs:
            other.require(name)
    kinds = {plan.name: plan.kind for plan in plans}
    subjects = []
    for name in targets:
        answer = tasks[name].answer if name in tasks else None
        beside = tuple(other for other in targets if other != name)
        subjects.append(Subject(table, name, answer, kinds, tables, data.missing_values, data.split, beside=beside))
    return subjects, notes


def _read(source: str, data: DataConfig) -> Table:
    path = samples.resolve(source) or source
    return sources.read(
        path,
        separator=data.separator,
        encoding=data.encoding,
        decimal=data.decimal,
        sheet=data.sheet,
        cache=cache_folder(),
    )


def _check_fixes(fixes: list[str], output: Path | None) -> None:
    names = [fix.name for fix in FIXES]
    for name in fixes:
        if name not in names:
            raise ConfigError(
                f"--fix {name}",
                expected=f"one of {listed(names, limit=len(names))}",
                found=f"'{name}'",
                action=f"{nearest(name, names)}Choose one of these",
            )
    if bool(fixes) != (output is not None):
        raise ConfigError(
            "--fix",
            expected="a file for the cleaned copy, -o FILE" if fixes else "--fix NAME beside -o",
            found="none",
            action="Add -o FILE: the original is never changed" if fixes else "Say what to fix, or leave -o out",
        )
