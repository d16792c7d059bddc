"""Encode every row."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl

from luban.core import artifact
from luban.core.cache import cache_folder
from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence
from luban.data import sources
from luban.data.split.config import ROLES
from luban.data.split.units import units_of
from luban.data.table import RejectedRow
from luban.features import cache
from luban.features.dataset import Dataset
from luban.features.schema import Schema
from luban.outputs import write_table
from luban.run import Run
from luban.stages.prepared import Part, Parts, Positions
from luban.tasks.base import Task
from luban.tasks.targets import MISSING, unseen_labels


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
        targets, bad_targets = task.encode_targets(table.frame)
        unseen = set[int]()
        for part_task in task.parts:
            target = part_task.target
            reasons = {position: why for position, (column, why) in bad_targets.items() if column == target}
            of_target, notes = unseen_labels(table, target, reasons, part_task.names)
            unseen |= of_target
            run.note("encode", *notes, warning=True)
        bad |= bad_targets
        if task.is_ordered:  # a step that is missing is a gap, and no row that cannot be read
            gaps = {position for position, (_, why) in bad.items() if why == MISSING}
            kept = np.setdiff1d(np.arange(len(table)), np.fromiter(bad, np.int64, len(bad)))
            bad = {position: why for position, why in bad.items() if position not in gaps}
            run.note("encode", *missing_steps(len(gaps)))
        checked = replace(table, rejected=())
        checked.without({position: why for position, why in bad.items() if position not in unseen}).check_rejected()
        rejected += [*table.rejected, *checked.without(bad).rejected]
        if not task.is_ordered:
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
    for role in ROLES:
        part: Part = getattr(parts, role)
        dataset, kept = encoded[id(part.table)]
        rows = part.rows[np.isin(part.rows, kept)]
        examples = task.examples(dataset.select(rows), part.table, role)
        if (units := units_of(part.table, run.config.data.split)) is not None:
            examples = replace(examples, units=units[examples.rows])
        datasets.append(examples)
        kept_parts[role] = Part(part.table, examples.rows)
    require_targets(task, datasets)
    return datasets, Parts(**kept_parts), checksums


def missing_steps(rows: int) -> list[Sentence]:
    """Say how many rows of a series have no value."""
    if not rows:
        return []
    return [
        sentence(
            "series.missing",
            "{rows:count row} {rows:do lack} the value of a target: no window goes across (task.forecast.fill fills "
            "it)",
            rows=rows,
        )
    ]


def require_targets(task: Task, datasets: list[Dataset]) -> None:
    """Raise DataError where a role of the rows has some, and none of them has one of several targets."""
    for role, data in zip(ROLES, datasets, strict=True):
        for part, present in zip(task.parts, task.present(data), strict=True):
            if len(data) and not present.any():
                raise DataError(
                    f"target '{part.target}'",
                    expected=f"a {role} row that has it",
                    found=f"none of {len(data)}",
                    action="Add rows with this target, or leave it out",
                )
