"""The metric that decides: which weights are kept, whether a baseline is beaten, which of two runs is better."""

from __future__ import annotations

from luban.core.errors import ConfigError, listed, nearest
from luban.tasks.base import Metric, Task


def deciding_metric(task: Task, name: str | None) -> Metric:
    """Return the metric of the setting `train.metric`, or the task's first. Raises ConfigError for an unknown one."""
    by_name = {metric.name: metric for metric in task.metrics}
    if name is not None and name not in by_name:
        raise ConfigError(
            "train.metric",
            expected=f"a metric of {task.name}: {listed(by_name)}",
            found=f"'{name}'",
            action=f"{nearest(name, by_name)}Choose one of these",
        )
    return by_name[name] if name else task.metrics[0]
