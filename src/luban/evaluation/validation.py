"""Learns from validation rows what a model is stored with: its temperature, its threshold, its prediction sets."""

from __future__ import annotations

from torch import Tensor

from luban.evaluation import conformal, threshold
from luban.evaluation.calibration import fit_temperature
from luban.evaluation.config import EvaluateConfig
from luban.tasks.base import Array, Floats, Task
from luban.tasks.goal import parse_goal
from luban.tasks.validated import Validated

MAX_ROWS = 5_000  # validation rows that are looked at


def learn(task: Task, logits: Tensor, targets: Array, config: EvaluateConfig, seed: int = 0) -> Validated:
    """Learn from validation rows; nothing where there are none. logits: (rows, output_dim)."""
    if not len(targets):
        return Validated()
    temperature = fit_temperature(task, logits, targets)
    outputs: Floats = task.outputs(logits / temperature).numpy()
    method = conformal.method_of(task, config.sets)
    goal = parse_goal(config.goal or threshold.DEFAULT_GOAL)
    return Validated(
        temperature=temperature,
        rows=len(targets),
        threshold=threshold.choose(task, targets, outputs, goal, stated=config.goal is not None),
        conformal=None if method is None else conformal.fit_scores(method, targets, outputs, seed),
    )
