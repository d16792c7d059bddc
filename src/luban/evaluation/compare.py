"""Two runs on the same rows: paired tests, the rows that changed, what each costs, and a plain verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import binomtest

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError, DataError, listed, nearest
from luban.evaluation.answers import answer_of
from luban.evaluation.criteria import Criteria
from luban.evaluation.scores.intervals import Score, shown
from luban.evaluation.scores.sampled import Units
from luban.evaluation.scores.scoring import compare_rows
from luban.tasks.base import Array, Floats, Metric, Task
from luban.tasks.classification import MAX_PROBABILITY_COLUMNS
from luban.tasks.stored import load_task
from luban.tasks.validated import Validated

MAX_EXAMPLES = 10
SIGNIFICANT = 0.05
NAME_ROWS = "Name rows for both to predict: luban compare RUN_A RUN_B DATA"
NAME_OTHERS = "Name rows that both read alike, with targets that both know"


@dataclass(frozen=True, eq=False)
class Judged:
    """A run and its predictions. rows: their numbers in the source. is_partial: whether only the most probable class of
    each row is known, as of more than 100 classes. is_named: whether they are rows that the user named, and not those
    that the run stored. units: as `Dataset.units`. is_part: whether the task is one of several targets."""

    run: RunDirectory
    task: Task
    rows: npt.NDArray[np.int64]
    targets: Array
    outputs: Floats
    is_partial: bool = False
    is_named: bool = False
    units: Units | None = None
    is_part: bool = False

    def cost(self) -> dict[str, Any]:
        """Return what the run took and how large it is."""
        seconds = self.run.manifest.seconds
        size = (self.run / artifact.WEIGHTS).stat().st_size
        return {"run": str(self.run.path), "train_seconds": seconds.get("train"), "bytes": size}


@dataclass(frozen=True)
class RunComparison:
    """metrics: by name, of both and their difference (B less A) with its paired interval. mcnemar: of classes. mended,
    broken: rows that B answers better and worse."""

    rows: int
    a: dict[str, Any]
    b: dict[str, Any]
    decider: str
    metrics: dict[str, tuple[float, float, Score]]
    mcnemar: dict[str, Any] | None
    changed: int
    mended: list[dict[str, Any]]
    broken: list[dict[str, Any]]
    verdict: str

    def to_json(self) -> dict[str, Any]:
        metrics = {
            name: {
                "a": None if np.isnan(one) else one,
                "b": None if np.isnan(other) else other,
                "difference": difference.to_json(),
            }
            for name, (one, other, difference) in self.metrics.items()
        }
        return {**vars(self), "metrics": metrics}


def mcnemar(a_alone: int, b_alone: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (1947): of the rows that one of two answers right alone."""
    both = a_alone + b_alone
    return float(binomtest(a_alone, both).pvalue) if both else 1.0


def compare(a: Judged, b: Judged) -> RunComparison:
    """Compare predictions of the same rows; what decides is what A was trained for.

    Raises ConfigError where task, target, labels or rows differ, or where what decides is not known of stored rows.
    """
    check_question(a.run, a.task, b.run, b.task)
    if a.task.is_ordered:
        a, b = _common(a, b)
    check_rows(a, b)
    criteria, theirs = (Criteria.load(found.run, found.task, is_part=found.is_part) for found in (a, b))
    deciding, seed = criteria.decider, criteria.seed
    is_partial = a.is_partial or b.is_partial
    if is_partial and not deciding.of_answers:
        raise ConfigError(
            f"{a.run.path} and {b.run.path}",
            expected=f"probabilities, since {deciding.name.replace('_', ' ')} decides (train.metric)",
            found=f"answers alone, which is what runs of more than {MAX_PROBABILITY_COLUMNS} classes store",
            action=NAME_ROWS,
        )
    known = [metric for metric in a.task.metrics if metric.of_answers or not is_partial]
    pair = _metrics(a.task, known), _metrics(b.task, known)
    ones = np.ones((1, len(a.targets)))
    one, other = (
        {metric.name: float(metric.compute(found.targets, found.outputs, ones)[0]) for metric in own}
        for found, own in zip((a, b), pair, strict=True)
    )
    differences = compare_rows(pair, a.targets, (a.outputs, b.outputs), seed=seed, units=a.units)
    metrics = {name: (one[name], other[name], difference) for name, difference in differences.items()}
    qualities = [answer_of(found.task).quality(found.task, found.targets, found.outputs) for found in (a, b)]
    gain = (qualities[1].values - qualities[0].values) * (1 if qualities[0].higher_is_better else -1)
    texts = [answer_of(found.task).said(found.task, found.outputs) for found in (a, b)]
    actual = answer_of(a.task).texts(a.task, a.targets)

    def examples(order: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        return [
            {"row": int(a.rows[p]), "actual": actual[p], "a": str(texts[0][p]), "b": str(texts[1][p])}
            for p in order.tolist()
        ]

    best, worst = np.argsort(-gain, kind="stable")[:MAX_EXAMPLES], np.argsort(gain, kind="stable")[:MAX_EXAMPLES]
    test = None
    if qualities[0].is_share:
        alone = int((gain < 0).sum()), int((gain > 0).sum())
        test = {"a_alone": alone[0], "b_alone": alone[1], "p": mcnemar(*alone)}
    changed = int((texts[0] != texts[1]).sum())
    sign = 1 if deciding.higher_is_better else -1
    return RunComparison(
        rows=len(a.rows),
        a=a.cost(),
        b=b.cost(),
        decider=deciding.name,
        metrics=metrics,
        mcnemar=test,
        changed=changed,
        mended=examples(best[gain[best] > 0]),
        broken=examples(worst[gain[worst] < 0]),
        verdict=_verdict(deciding.name, sign, metrics[deciding.name], test, changed)
        + _other_aim(deciding.name, theirs.decider.name),
    )


def _metrics(task: Task, known: list[Metric]) -> list[Metric]:
    """Return the metrics of a task, at its own threshold, that are among those."""
    names = {metric.name for metric in known}
    return [metric for metric in task.metrics if metric.name in names]


def _verdict(
    metric: str, sign: int, found: tuple[float, float, Score], test: dict[str, Any] | None, changed: int
) -> str:
    one, other, difference = found
    name = metric.replace("_", " ")
    interval = f"95 % interval of the difference {shown(difference.low)} to {shown(difference.high)}"
    scores = f"{name} {shown(one)} of A and {shown(other)} of B, {interval}"
    is_clear = difference.low > 0 or difference.high < 0
    if test is not None and metric == "accuracy":  # which is what McNemar's test is about
        scores += f", McNemar p {test['p']:.2g}"
        is_clear = is_clear and test["p"] < SIGNIFICANT
    if not changed:
        return f"Neither is better: A and B answer every row alike, {scores}."
    if not is_clear:
        return f"Neither is clearly better: {scores}."
    return f"{'B' if sign * difference.value > 0 else 'A'} is better: {scores}."


def _other_aim(mine: str, theirs: str) -> str:
    """Say so where B was trained for another metric than the one that decides."""
    if mine == theirs:
        return ""
    return f" B was trained for {theirs.replace('_', ' ')}, A for {mine.replace('_', ' ')}, which decides here."


def check_question(a: RunDirectory, one: Task, b: RunDirectory, other: Task) -> None:
    """Raise ConfigError where two runs are one, or do not answer the same question."""
    where = f"{a.path} and {b.path}"
    if a.path.resolve() == b.path.resolve():
        raise ConfigError(
            where, expected="two runs", found="the same one twice", action="Name another run to compare it with"
        )
    if (one.name, one.target) != (other.name, other.target):
        raise ConfigError(
            where,
            expected="two runs of one target and task",
            found=f"{one.name} of '{one.target}' and {other.name} of '{other.target}'",
            action="Compare runs that answer the same question",
        )
    mine, theirs = list(one.names), list(other.names)
    if mine != theirs and sorted(mine) == sorted(theirs):
        raise ConfigError(
            where,
            expected="two runs with the same positive class",
            found=f"'{mine[-1]}' and '{theirs[-1]}'",
            action="Train one of them again with task.positive set to the other's",
        )
    if mine != theirs:
        alone = [label for label in [*mine, *theirs] if (label in mine) != (label in theirs)]
        raise ConfigError(
            where,
            expected="two runs with the same labels",
            found=f"labels that only one of them knows, {listed(alone)}",
            action="Train both on rows of all labels",
        )


def part_of(run: RunDirectory, task: Task, target: str | None) -> Task:
    """Return the task of a target. Raises ConfigError where there is none such, or where none of several is named: one
    may be better and another worse."""
    parts = {part.target: part for part in task.parts}
    if target is None and len(parts) > 1:
        raise ConfigError(
            str(run.path),
            expected="the target that is compared, since the run has several",
            found=f"{listed(parts)}, and none named",
            action=f"Add --target {next(iter(parts))}",
        )
    if target is not None and target not in parts:
        raise ConfigError(
            f"{run.path}, --target",
            expected=f"a target of the run: {listed(parts)}",
            found=f"'{target}'",
            action=f"{nearest(target, parts)}Name one of them",
        )
    return task.parts[0] if target is None else parts[target]


def _common(a: Judged, b: Judged) -> tuple[Judged, Judged]:
    """Return the forecasts that both runs make from the same rows, of a look-back each of its own. Raises ConfigError
    where they are of other steps."""
    if a.targets.dtype != b.targets.dtype:
        raise ConfigError(
            f"{a.run.path} and {b.run.path}",
            expected="two runs of one horizon",
            found="runs of different ones",
            action="Train one of them again with the task.forecast.horizon of the other",
        )
    _, mine, theirs = np.intersect1d(a.rows, b.rows, return_indices=True)
    return _chosen(a, mine), _chosen(b, theirs)


def _chosen(found: Judged, rows: npt.NDArray[np.intp]) -> Judged:
    units = None if found.units is None else found.units[rows]
    return replace(found, rows=found.rows[rows], targets=found.targets[rows], outputs=found.outputs[rows], units=units)


def check_rows(a: Judged, b: Judged) -> None:
    """Raise ConfigError where two runs were not asked about the same rows."""
    if len(a.targets) == len(b.targets) and np.array_equal(a.rows, b.rows) and np.array_equal(a.targets, b.targets):
        return
    common = len(np.intersect1d(a.rows, b.rows))
    raise ConfigError(
        f"{a.run.path} and {b.run.path}",
        expected="the same test rows",
        found=f"{len(a.rows)} and {len(b.rows)} rows, of which {common} have numbers in common",
        action=NAME_OTHERS if a.is_named else NAME_ROWS,
    )


def stored(a: RunDirectory, b: RunDirectory, target: str | None = None) -> tuple[Judged, Judged]:
    """Read the predictions of test rows that two runs stored, of one of several targets. Raises ConfigError where they
    answer different questions or have other data, ArtifactError where a run is damaged."""
    wholes = [load_task(run) for run in (a, b)]
    tasks = [part_of(run, whole, target) for run, whole in zip((a, b), wholes, strict=True)]
    check_question(a, tasks[0], b, tasks[1])
    marks = [_fingerprint(run) for run in (a, b)]
    if marks[0] != marks[1]:
        raise ConfigError(
            f"{a.path} and {b.path}",
            expected="runs with test rows out of the same data",
            found="data that differ",
            action=NAME_ROWS,
        )
    one, other = (
        _stored(run, task, is_part=len(whole.parts) > 1) for run, task, whole in zip((a, b), tasks, wholes, strict=True)
    )
    return one, other


def _fingerprint(run: RunDirectory) -> object:
    data = run.manifest.data
    return data.test_fingerprint or data.fingerprint


def _stored(run: RunDirectory, task: Task, *, is_part: bool) -> Judged:
    """is_part: whether the task is one of several, whose rows may lack its target."""
    path, target, answer = run / artifact.PREDICTIONS, task.target, answer_of(task)
    if task.is_ordered:
        try:
            frame = run.predictions().sort("row")
            targets, outputs = answer.stored(task, frame)
            units = frame["unit"].cast(pl.Int64).to_numpy()
        except (ValueError, pl.exceptions.PolarsError) as error:
            raise artifact.damaged(path, "the predictions of the test rows", error) from error
        return Judged(run, task, frame["row"].to_numpy(), targets, outputs, units=units)
    is_partial = len(task.names) > MAX_PROBABILITY_COLUMNS
    has_probabilities = answer.has_probabilities and not is_partial
    columns = [f"predicted_{target}"]
    if has_probabilities:
        columns = [f"probability_{target}_{name}" if is_part else f"probability_{name}" for name in task.names]
    try:
        frame = run.predictions()
        wanted = ["row", f"actual_{target}", *dict.fromkeys(columns), *({"unit"} & set(frame.columns))]
        frame = frame.select(wanted).sort("row")
        if is_part:
            frame = frame.filter(pl.col(f"actual_{target}").is_not_null())
        if has_probabilities:
            frame = frame.with_columns(pl.col(columns).cast(pl.Float64))
            if not np.isfinite(frame.select(columns).to_numpy()).all():
                raise ValueError("probabilities that are not finite")
        targets, _ = task.encode(frame[f"actual_{target}"])
    except (ValueError, pl.exceptions.PolarsError, DataError) as error:
        raise artifact.damaged(path, "the predictions of the test rows", error) from error
    rows = frame["row"].to_numpy()
    of_group = frame["unit"].to_numpy() if "unit" in frame.columns else None
    if not is_partial:
        outputs = frame.select(columns).to_numpy()
        deciding = Validated.load(run, task).decide(task)
        said = outputs if has_probabilities else outputs[:, 0]
        return Judged(run, deciding, rows, targets, said, units=of_group, is_part=is_part)
    predicted, _ = task.encode(frame[columns[0]])
    return Judged(
        run, task, rows, targets, answer.certain(task, predicted), is_partial=True, units=of_group, is_part=is_part
    )
