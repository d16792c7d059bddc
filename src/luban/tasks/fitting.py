"""From target columns to a fitted task: of one target, or of several."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from luban.core.errors import ConfigError, listed, nearest
from luban.core.sentence import Sentence
from luban.tasks.base import LossConfig, Task
from luban.tasks.config import TaskConfig
from luban.tasks.positive import with_positive
from luban.tasks.several import Several


def fit_task(
    kinds: Mapping[str, type[Task]],
    frame: pl.DataFrame,
    config: TaskConfig,
    loss: LossConfig,
    inputs: Mapping[str, str] | None = None,
) -> tuple[Task, str | None, list[Sentence]]:
    """Fit a task on training rows; return what the positive class is called, where two are told apart in one target
    alone, and how it was chosen, a sentence each.

    kinds: the task of each target, each of which is fitted on the rows that have it. inputs: the kinds of the columns
    that are such. Raises ConfigError for settings that are not for these targets, DataError where a target cannot be
    learned.
    """
    joint = next((kind for kind in kinds.values() if kind.is_joint), None)
    if joint is not None:
        return joint.fitted(frame, tuple(kinds), config), None, []
    check_balance(tuple(kinds), config)
    fitted = [kind.fit(frame[target]).bound(inputs or {}).counted(frame) for target, kind in kinds.items()]
    of_two = [task for task in fitted if task.positive is not None]
    if len(fitted) > 1 and config.positive is not None and len(of_two) != 1:
        raise ConfigError(
            "task.positive",
            expected="one target of two classes, beside others",
            found=listed(task.target for task in of_two) or "none",
            action="Remove the setting",
        )
    tasks, positives, notes = list[Task](), list[str](), list[Sentence]()
    for task in fitted:
        is_meant = len(fitted) == 1 or task in of_two
        task, positive, told = with_positive(task, config.positive if is_meant else None)
        tasks.append(task)
        positives += [] if positive is None else [positive]
        notes += told
    positive = positives[0] if len(positives) == 1 else None
    if len(tasks) == 1:
        return tasks[0], positive, notes
    return Several.balanced(tasks, frame, config.balance, config.weights or {}, loss), positive, notes


def require_alike(kinds: Mapping[str, type[Task]]) -> None:
    """Raise ConfigError where a task of all targets is asked of some of them. kinds: the task of each target."""
    joint = next((kind for kind in kinds.values() if kind.is_joint), None)
    if joint is not None and set(kinds.values()) != {joint}:
        raise ConfigError(
            "data.task",
            expected=f"{joint.name} of all targets, or of none",
            found=listed(dict.fromkeys(kind.name for kind in kinds.values())),
            action="Train the others in a run of their own",
        )


def check_balance(targets: tuple[str, ...], config: TaskConfig) -> None:
    """Raise ConfigError where the settings of the balance contradict each other, or are not for these targets."""
    by_hand, weights = config.balance == "by_hand", config.weights
    if len(targets) == 1 and (config.balance != "equal" or weights is not None):
        raise ConfigError(
            "task.weights" if weights is not None else "task.balance",
            expected="several targets, to balance their losses",
            found=f"one, '{targets[0]}'",
            action="Remove the setting, or name more targets in data.target",
        )
    if by_hand != (weights is not None):
        raise ConfigError(
            "task.weights",
            expected="a weight by target" if by_hand else "task.balance: by_hand beside it",
            found="none" if by_hand else f"'{config.balance}'",
            action=f"Write them like task.weights: {{{targets[0]}: 1, {targets[-1]}: 0.5}}"
            if by_hand
            else "Set task.balance: by_hand, or leave the weights out",
        )
    for name in weights or {}:
        if name not in targets:
            raise ConfigError(
                "task.weights",
                expected=f"the targets {listed(targets)}",
                found=f"'{name}'",
                action=f"{nearest(name, targets)}Name one of them",
            )
