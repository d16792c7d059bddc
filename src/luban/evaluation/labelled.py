"""A finished model on other labelled rows: scored and judged as its test rows were."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from luban.core.artifact import RunDirectory
from luban.core.errors import DataError, SchemaError, listed, nearest
from luban.data.config import data_settings
from luban.data.split.units import units_of
from luban.data.table import Table
from luban.evaluation.criteria import Criteria
from luban.evaluation.evaluate import Evaluation, evaluate
from luban.features import cache
from luban.features.dataset import Dataset
from luban.predictor import Predictor, check_finite
from luban.tasks.base import Array, Floats, Task
from luban.tasks.targets import MISSING, unseen_labels
from luban.tasks.validated import Validated


def judged(
    predictor: Predictor, directory: RunDirectory, rows: Table, by: str | None = None
) -> tuple[Evaluation, list[str]]:
    """Score and judge a model on rows as its training had them written, each target on the rows that have it; return
    what was unusual, too, a sentence each.

    by: a column whose groups are compared. Raises SchemaError where a target is not there.
    """
    task, found, notes = predictor.task, dict[str, Evaluation](), list[str]()
    for part in predictor.parts:
        found[part.task.target], told = judged_part(part, directory, rows, by, may_lack=len(predictor.parts) > 1)
        notes += told
    notes = list(dict.fromkeys(notes))
    if predictor.parts == (predictor,):
        return next(iter(found.values())), notes
    from luban.evaluation.several import joined

    data = encoded(predictor, rows)
    criteria = Criteria.load(directory, task)
    name, seed = criteria.decider.name, criteria.seed
    return joined(task, found, task.truth(data), predictor.kept(data), decider=name, seed=seed), notes


def judged_part(
    predictor: Predictor, directory: RunDirectory, rows: Table, by: str | None, *, may_lack: bool
) -> tuple[Evaluation, list[str]]:
    """Score and judge one target. may_lack: whether rows without it are passed over."""
    # scipy.stats takes longer to import than all that a prediction needs
    from luban.evaluation.caution import cautions
    from luban.evaluation.fairness import num_groups
    from luban.evaluation.judgement import judge
    from luban.evaluation.slices import MAX_VALUES, MIN_ROWS

    found = answered(predictor, rows, directory, may_lack=may_lack)
    table, targets, outputs = found.table, found.targets, found.outputs
    if by is not None:
        table.require(by)
        if (groups := num_groups(table.frame[by])) > MAX_VALUES:
            raise DataError(
                f"{table.name}, column '{by}'",
                expected=f"at most {MAX_VALUES} groups of {MIN_ROWS} rows or more to compare",
                found=str(groups),
                action="Give a column of fewer, wider groups",
            )
    task = predictor.task
    kinds = {column: feature.kind for feature in predictor.schema.features for column in feature.columns}
    criteria = Criteria.load(directory, task, is_part=may_lack)
    column, notes = by, list[str]()
    if by is None and (column := criteria.config.fairness_column) is not None and column not in table.columns:
        column, notes = None, [f"{table.name} has no column '{column}', whose groups were compared in the training"]
    decider, seed = criteria.decider.name, criteria.seed
    evaluation = evaluate(task, targets, outputs, {}, decider=decider, seed=seed, units=found.units)
    judgement = judge(
        task,
        table,
        targets,
        outputs,
        kinds,
        Validated.load(directory, task),
        level=criteria.config.level,
        by=column,
        seed=criteria.seed,
    )
    careful = cautions(task, targets, outputs)
    if column is not None and judgement.fairness is None:
        few = DataError(
            f"{table.name}, column '{column}'",
            expected=f"two groups of {MIN_ROWS} rows or more to compare",
            found="fewer",
            action="Give more rows, or another column",
        )
        if by is not None:
            raise few
        notes.append(str(few))
    return replace(evaluation, judgement=judgement), [*found.notes, *notes, *careful, *not_scored(table)]


@dataclass(frozen=True, eq=False)
class Answered:
    """Labelled rows with what a model says of them. table: the rows, of a forecast those that it is made from. targets,
    outputs: rows first, as the task makes them. units: as `Dataset.units`. notes: what was unusual, a sentence each."""

    table: Table
    targets: Array
    outputs: Floats
    units: npt.NDArray[np.int64] | None
    notes: list[str]


def answered(predictor: Predictor, rows: Table, run: RunDirectory, *, may_lack: bool = False) -> Answered:
    """Answer the rows whose targets can be read, of series those that enough steps stand before and behind.

    run: whose rows were divided by groups may say which rows are no evidence apart. may_lack: whether rows without a
    target are passed over. Raises DataError where an output is not finite.
    """
    task = predictor.task
    if task.is_ordered:
        told = predictor.schema.check(rows)
        table, notes = task.rearranged(rows, "test")
        told += notes
        data = task.examples(encoded(predictor, table), table, "test")
        found = Answered(table.take(data.rows), task.truth(data), predictor.outputs(data), data.units, [*told])
    else:
        table, targets = labelled(task, rows, may_lack=may_lack)
        prediction = predictor.predict(table)
        units = units_of(table, data_settings(run).split)
        found = Answered(table, targets, prediction.outputs, units, prediction.notes)
    check_finite(found.outputs, found.table)
    return found


def labelled(task: Task, table: Table, *, may_lack: bool = False) -> tuple[Table, Array]:
    """Return the rows whose target can be read, and their targets. may_lack: whether rows without it are passed over.

    Raises SchemaError where the target is not there, DataError where too many cannot be read.
    """
    if task.target not in table.columns:
        raise SchemaError(
            table.name,
            expected=f"the target '{task.target}', to compare the predictions with",
            found=f"only {listed(table.columns)}",
            action=f"{nearest(task.target, table.columns)}Give labelled rows; `luban predict` needs no labels",
        )
    columns, unreadable = task.encode_targets(table.frame)
    bad = {position: reason for position, (_, reason) in unreadable.items()}
    targets = task.truth(Dataset.of_targets(columns))
    if may_lack:
        there = np.setdiff1d(np.arange(len(table)), [position for position, why in bad.items() if why == MISSING])
        table, targets = table.take(there), targets[there]
        bad = {place: bad[position] for place, position in enumerate(there.tolist()) if position in bad}
    unseen_labels(table, task.target, bad, task.names)  # says why there are many
    checked = table.without({position: (task.target, reason) for position, reason in bad.items()})
    checked.check_rejected()
    kept = np.setdiff1d(np.arange(len(table)), np.fromiter(bad, np.int64, len(bad)))
    return checked, targets[kept]


def encoded(predictor: Predictor, table: Table) -> Dataset:
    """Return the rows whose targets can be read, with their targets, as the network takes them."""
    columns, bad = predictor.task.encode_targets(table.frame)
    inputs, _ = cache.encode(predictor.schema, table, None, None)
    data = Dataset.of(predictor.schema, inputs, columns)
    kept = np.setdiff1d(np.arange(len(table)), np.fromiter(bad, np.int64, len(bad)))
    return data.select(kept)


def not_scored(table: Table) -> list[str]:
    """Say how many labelled rows could not be read, target included, and so are in no score."""
    if not table.rejected:
        return []
    first, total = table.rejected[0], len(table) + len(table.rejected)
    return [
        f"{table.name}: {len(table.rejected)} of {total} rows cannot be read and are left out of the scores "
        f"(the first: row {first.row}, {first.reason})"
    ]
