"""The fitted task as a run stores it (task.json)."""

from __future__ import annotations

from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import listed
from luban.core.strict import checked
from luban.tasks import TASKS
from luban.tasks.base import Task
from luban.tasks.several import Several, StoredPart, from_state


def load_task(run: RunDirectory) -> Task:
    """Return the task of a run. Raises ArtifactError where it is damaged, or of a kind that is not known."""
    tasks = {task.name: task for task in TASKS}
    try:
        stored = checked(StoredPart, run.read_json(artifact.TASK))
        if stored.name == Several.name:
            return from_state(stored.state, tasks)
        if stored.name not in tasks:
            raise ValueError(f"name: expected one of {listed([*tasks, Several.name])}, found '{stored.name[:40]}'")
        return tasks[stored.name].from_state(stored.state)
    except ValueError as error:
        raise artifact.damaged(run / artifact.TASK, "the task of a run", error) from error
