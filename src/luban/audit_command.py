"""`luban audit`: read, audit, show, and write a cleaned copy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from luban.audit import Subject, audit
from luban.audit.fixes import FIXES, apply_fixes
from luban.core.artifact import write_json
from luban.core.cache import cache_folder
from luban.core.errors import ConfigError, listed, nearest
from luban.data import samples, sources
from luban.data.config import DataConfig
from luban.data.table import Table
from luban.features import schema
from luban.interface import check_output, write_table
from luban.prepare import guess_target
from luban.report.audit_table import show_audit
from luban.report.wrapping import open_console
from luban.tasks import infer_task

CLEAN, ERRORS, WARNINGS = 0, 3, 4  # exit codes


def run_audit(
    source: str,
    target: str | None,
    others: Mapping[str, str | None],
    fixes: list[str],
    output: Path | None,
    json: Path | None,
    *,
    overwrite: bool,
    strict: bool,
) -> int:
    """Audit a source and return the exit code. others: sources by role, `validation`, `test` and `against`."""
    _check_fixes(fixes, output)
    if output is not None:
        check_output(output, overwrite)
        _keep_original(source, output)
    if json is not None:
        check_output(json, overwrite, (".json",))
    console = open_console()
    subject, notes = prepare_subject(source, target, others)
    report = audit(subject)
    show_audit(console, report, notes)
    if json is not None:
        write_json(json, report.to_json())
    if output is not None:
        frame, done = apply_fixes(subject, fixes)
        write_table(frame, output)
        console.print(f"fixed: {', '.join(done)}", markup=False, soft_wrap=True)
        console.print(f"{frame.height:,} of {len(subject):,} rows written to {output}", markup=False, soft_wrap=True)
    if report.count("error"):
        return ERRORS
    return WARNINGS if strict and report.count("warning") else CLEAN


def prepare_subject(source: str, target: str | None, others: Mapping[str, str | None]) -> tuple[Subject, list[str]]:
    """Read the sources and infer the columns, as a training would; return what was chosen on the way, too."""
    table = _read(source)
    notes = list(table.notes)
    if target is None:
        target, note = guess_target(table)
        notes.append(note)
    table.require(target, "target")
    tables = {role: _read(path) for role, path in others.items() if path is not None}
    missing_values = DataConfig().missing_values
    plans = schema.plan(table, target=target, missing_values=missing_values)
    profile = schema.profile(table, target)
    task = infer_task(profile).name if len(profile.sample) else None
    inputs = [plan.name for plan in plans if plan.is_input]
    for other in tables.values():
        for name in inputs:
            other.require(name)
    kinds = {plan.name: plan.kind for plan in plans}
    return Subject(table, target, task, kinds, tables, missing_values), notes


def _read(source: str) -> Table:
    return sources.read(samples.resolve(source) or source, cache=cache_folder())


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


def _keep_original(source: str, output: Path) -> None:
    """Raise ConfigError where the copy would take the place of the data."""
    if Path(source).exists() and output.exists() and output.samefile(source):
        raise ConfigError(
            str(output),
            expected="another file than the data",
            found="the data",
            action="Rename the output: the original is never changed",
        )
