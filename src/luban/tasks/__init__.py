"""One file per task, and the table of them all."""

from __future__ import annotations

from luban.core.answers import AnswerKind
from luban.core.errors import ConfigError, DataError, listed, nearest
from luban.features.base import ColumnProfile
from luban.tasks.base import Task
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.forecast.task import Forecast
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression
from luban.tasks.several import Several
from luban.tasks.tags import Tags

TASKS: tuple[type[Task], ...] = (Binary, Multiclass, Tags, MultiLabel, Regression, Forecast)


def infer_task(profile: ColumnProfile, override: str | None = None) -> type[Task]:
    """Return the named task, or the one that a target column like this asks for.

    Two labels are binary; lists and strings of several labels multi_label; other strings, and integers with at most 20
    distinct and repeated values, multiclass; other numbers regression. Raises ConfigError for an unknown name, and
    DataError where the column can be no task's target.
    """
    if override is not None:
        return task_named(override)
    surest = max(TASKS, key=lambda task: task.match(profile))
    if surest.match(profile) == 0:
        raise DataError(
            f"target '{profile.name}'",
            expected="labels or numbers",
            found=f"cells of type {profile.sample.dtype}",
            action="Choose another target",
        )
    return surest


def task_named(name: str) -> type[Task]:
    """Return the task that is called so. Raises ConfigError where none is."""
    by_name = {task.name: task for task in TASKS}
    if name not in by_name:
        raise ConfigError(
            "data.task",
            expected=f"one of {listed(by_name)}",
            found=f"'{name}'",
            action=f"{nearest(name, by_name)}Choose one of these, or leave it out",
        )
    return by_name[name]


def answer_named(name: object) -> AnswerKind | None:
    """Return the kind of answer of the task that is called so, as files of a run call it; None where there is none."""
    known: tuple[type[Task], ...] = (*TASKS, Several)
    return next((task.answer for task in known if task.name == name), None)
