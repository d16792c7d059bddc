"""Two runs on the same rows: paired tests, the rows that changed, what each costs, and a plain verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import binomtest

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError
from luban.evaluation.bootstrap import Score, resample
from luban.evaluation.evaluate import shown
from luban.evaluation.quality import Quality
from luban.tasks import TASKS
from luban.tasks.base import Array, Floats, Task
from luban.tasks.classification import MAX_PROBABILITY_COLUMNS, Classification
from luban.tasks.regression import Regression

MAX_EXAMPLES = 10
SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class Judged:
    """A run and its predictions. rows: their numbers in the source. is_partial: whether only the most probable class of
    each row is known, as of more than 100 classes."""

    run: RunDirectory
    task: Task
    rows: npt.NDArray[np.int64]
    targets: Array
    outputs: Floats
    is_partial: bool = False

    def cost(self) -> dict[str, Any]:
        """Return what the run took and how large it is."""
        seconds = self.run.read_json(artifact.MANIFEST).get("seconds", {})
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


def compare(a: Judged, b: Judged, seed: int = 0) -> RunComparison:
    """Compare predictions of the same rows. Raises ConfigError where task, target, labels or rows differ."""
    check_alike(a, b)
    is_partial = a.is_partial or b.is_partial
    task = a.task
    known = [metric for metric in task.metrics if not is_partial or metric.name not in ("roc_auc", "log_loss")]
    one, other = (resample(known, found.targets, found.outputs, seed=seed) for found in (a, b))
    metrics = {
        name: (
            one[name].value,
            other[name].value,
            Score.of(other[name].value - one[name].value, other[name].samples - one[name].samples),
        )
        for name in one
    }
    qualities = [Quality.of(task, found.targets, found.outputs) for found in (a, b)]
    gain = (qualities[1].values - qualities[0].values) * (1 if qualities[0].higher_is_better else -1)
    texts = [task.decode(found.outputs)[f"predicted_{task.target}"] for found in (a, b)]
    actual = _actual(task, a.targets)

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
    deciding = known[0]
    sign = 1 if deciding.higher_is_better else -1
    return RunComparison(
        rows=len(a.rows),
        a=a.cost(),
        b=b.cost(),
        decider=deciding.name,
        metrics=metrics,
        mcnemar=test,
        changed=int((texts[0] != texts[1]).sum()),
        mended=examples(best[gain[best] > 0]),
        broken=examples(worst[gain[worst] < 0]),
        verdict=_verdict(deciding.name, sign, metrics[deciding.name], test),
    )


def _verdict(metric: str, sign: int, found: tuple[float, float, Score], test: dict[str, Any] | None) -> str:
    one, other, difference = found
    name = metric.replace("_", " ")
    interval = f"95 % interval of the difference {shown(difference.low)} to {shown(difference.high)}"
    scores = f"{name} {shown(one)} of A and {shown(other)} of B, {interval}"
    is_clear = difference.low > 0 or difference.high < 0
    if test is not None:
        scores += f", McNemar p {test['p']:.2g}"
        is_clear = is_clear and test["p"] < SIGNIFICANT
    if not is_clear:
        return f"Neither is clearly better: {scores}."
    return f"{'B' if sign * difference.value > 0 else 'A'} is better: {scores}."


def _actual(task: Task, targets: Array) -> list[str]:
    if isinstance(task, Classification):
        return [task.names[place] for place in targets.astype(np.int64)]
    if isinstance(task, Regression):
        return [f"{value:g}" for value in targets.astype(np.float64)]
    decoded = task.decode(targets.astype(np.float64))[f"predicted_{task.target}"]
    return [str(cell) for cell in decoded]


def check_alike(a: Judged, b: Judged) -> None:
    """Raise ConfigError where two runs do not answer the same question about the same rows."""
    one, other = a.task, b.task
    where = f"{a.run.path} and {b.run.path}"
    if (one.name, one.target) != (other.name, other.target):
        raise ConfigError(
            where,
            expected="two runs of one target and task",
            found=f"{one.name} of '{one.target}' and {other.name} of '{other.target}'",
            action="Compare runs that answer the same question",
        )
    if getattr(one, "labels", None) != getattr(other, "labels", None):
        raise ConfigError(
            where,
            expected="two runs with the same labels",
            found="labels that differ",
            action="Train both on rows of all labels",
        )
    common = len(np.intersect1d(a.rows, b.rows))
    if not np.array_equal(a.rows, b.rows) or not np.array_equal(a.targets, b.targets):
        raise ConfigError(
            where,
            expected="the same test rows",
            found=f"{len(a.rows)} and {len(b.rows)} rows, of which {common} have numbers in common",
            action="Name rows for both to predict: luban compare RUN_A RUN_B DATA",
        )


def stored(a: RunDirectory, b: RunDirectory) -> tuple[Judged, Judged]:
    """Read the predictions of test rows that two runs stored. Raises ConfigError where their data are not the same."""
    marks = [_fingerprint(run) for run in (a, b)]
    if marks[0] != marks[1]:
        raise ConfigError(
            f"{a.path} and {b.path}",
            expected="runs with test rows out of the same data",
            found="data that differ",
            action="Name rows for both to predict: luban compare RUN_A RUN_B DATA",
        )
    return _stored(a), _stored(b)


def _fingerprint(run: RunDirectory) -> object:
    data = run.read_json(artifact.MANIFEST).get("data", {})
    return data.get("test_fingerprint", data.get("fingerprint"))


def _stored(run: RunDirectory) -> Judged:
    saved = run.read_json(artifact.TASK)
    task = {task.name: task for task in TASKS}[saved["name"]].from_state(saved["state"])
    frame = pl.read_parquet(run / artifact.PREDICTIONS).sort("row")
    targets, _ = task.encode(frame[f"actual_{task.target}"])
    rows = frame["row"].to_numpy()
    if isinstance(task, Regression):
        return Judged(run, task, rows, targets, frame[f"predicted_{task.target}"].to_numpy())
    names = task.names if isinstance(task, Classification) else getattr(task, "labels", [])
    if len(names) <= MAX_PROBABILITY_COLUMNS:
        return Judged(run, task, rows, targets, frame.select(f"probability_{name}" for name in names).to_numpy())
    predicted, _ = task.encode(frame[f"predicted_{task.target}"])
    if isinstance(task, Classification):
        predicted = np.eye(len(names))[predicted.astype(np.int64)]
    return Judged(run, task, rows, targets, predicted.astype(np.float64), is_partial=True)
