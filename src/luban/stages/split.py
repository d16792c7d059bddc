"""Divide the rows."""

from __future__ import annotations

import numpy as np

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError
from luban.data.split.config import ROLES
from luban.data.split.notes import no_split
from luban.data.split.overlap import drop_overlap
from luban.data.split.split import split
from luban.data.split.time import chronological
from luban.features.media import FILE_KINDS
from luban.features.parsing.date_format import in_time
from luban.run import Run
from luban.stages.infer import Inferred
from luban.stages.prepared import Part, Parts


def divide(run: Run, inferred: Inferred) -> Parts:
    """Split into training, validation and test rows; what is given as a file of its own is taken as it is."""
    tables, targets, inputs = inferred.tables, list(inferred.tasks), inferred.inputs
    of_classes = [target for target, task in inferred.tasks.items() if task.answer == AnswerKind.CLASS]
    table, config = tables["train"], run.config.data.split
    if any(task.is_ordered for task in inferred.tasks.values()):
        return divide_steps(run, inferred)
    given = {role: tables[role] for role in ("validation", "test") if role in tables}
    kept = np.arange(len(table))
    for other in given.values():
        for name in (*targets, *inputs):
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
        (of_classes or targets)[0],
        inputs,
        config,
        has_test="test" in given,
        stratify=bool(of_classes),
        files=[plan.name for plan in inferred.plans if plan.kind in FILE_KINDS],
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


def divide_steps(run: Run, inferred: Inferred) -> Parts:
    """Divide the steps of series by time; what is given as a file of its own is taken as it is.

    Raises ConfigError for another method.
    """
    table, config = inferred.tables["train"], run.config.data.split
    given = {role: found for role, found in inferred.tables.items() if role != "train"}
    column = inferred.settings.columns[-1]
    every = np.arange(len(table))
    if config.method == "none":
        run.note("split", no_split())
        return Parts(**{role: Part(given.get(role, table), every) for role in ROLES})
    if config.method not in ("auto", "time") or config.column not in (None, column):
        raise ConfigError(
            "data.split",
            expected=f"a forecast to be split by time, by '{column}'",
            found=f"the method '{config.method}'" + (f" by '{config.column}'" if config.column else ""),
            action="Leave data.split.method and data.split.column out",
        )
    found = chronological(table, column, config, given=given)
    run.note("split", *found.notes)
    rows = {"train": found.train, "validation": found.validation, "test": found.test}
    return Parts(
        **{
            role: Part(given[role], np.arange(len(given[role]))) if role in given else Part(table, rows[role])
            for role in ROLES
        }
    )


def require_test_rows(parts: Parts) -> None:
    """Raise ConfigError where no rows are left to score."""
    if not len(parts.test.rows):
        raise ConfigError(
            "data.split.test", expected="rows to test on", found="none", action="Give data.test, or a share above 0"
        )
