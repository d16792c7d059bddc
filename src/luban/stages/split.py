"""Divide the rows."""

from __future__ import annotations

import numpy as np

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError
from luban.data.split.overlap import drop_overlap
from luban.data.split.split import split
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


def require_test_rows(parts: Parts) -> None:
    """Raise ConfigError where no rows are left to score."""
    if not len(parts.test.rows):
        raise ConfigError(
            "data.split.test", expected="rows to test on", found="none", action="Give data.test, or a share above 0"
        )
