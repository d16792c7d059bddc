"""Rows of every task, and what a network would say of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from luban.core.tensors import Batch, Columns, OutputKind, Ragged
from luban.data.table import Table
from luban.features.dataset import Dataset
from luban.tasks import TASKS
from luban.tasks.base import Floats, Task

TARGET, WORDS = "answer", "words"
# Columns of each task that are no plain column of targets alone. WORDS: what tags are of.
TARGETS: dict[str, list[Any]] = {
    "binary": ["no", "yes", "no", "no", "yes", "no"] * 4,
    "multiclass": ["a", "b", "c"] * 8,
    "multi_label": ["a;b", "b", "a;c", "c", "b;c", "a"] * 4,
    "regression": ["0.5", "-1.25", "3", "7.75"] * 6,
    "tags": [["B-X", "I-X", "O"], ["O"], ["B-Y", "B-X"], ["O", "B-Y", "I-Y", "I-Y"]] * 6,
}
INPUTS: dict[str, dict[str, list[Any]]] = {"tags": {WORDS: [["w"] * len(row) for row in TARGETS["tags"]]}}


def table_of(name: str, target: str = TARGET) -> Table:
    """Return rows of the task that is called so."""
    assert name in TARGETS, "a new task brings an example of its target"
    frame = pl.DataFrame({**INPUTS.get(name, {}), target: TARGETS[name]})
    return Table(frame, "rows", None, np.arange(1, len(frame) + 1))


def fitted(kind: type[Task], target: str = TARGET) -> Task:
    """Return a task that has learned its rows and knows its inputs."""
    return kind.fit(table_of(kind.name, target).frame[target]).bound(dict.fromkeys(INPUTS.get(kind.name, {}), "words"))


def is_of_rows(task: Task) -> bool:
    """Tell whether the task asks for one vector a row."""
    return all(head.kind == OutputKind.ROW for head in task.heads())


# The tasks whose target is a cell of each row; of these, those of one vector of logits a row, and the others.
CELL_TASKS = [kind for kind in TASKS if not kind.is_ordered]
ROW_TASKS = [kind for kind in CELL_TASKS if is_of_rows(fitted(kind))]
PART_TASKS = [kind for kind in CELL_TASKS if kind not in ROW_TASKS]


def batch_of(task: Task, frame: pl.DataFrame) -> Batch:
    """Return rows with their targets, and of words one piece each."""
    columns, bad = task.encode_targets(frame)
    assert not bad
    rows = np.arange(len(frame))
    targets = {name: column.take(rows) for name, column in columns.items()}
    inputs: Columns = {}
    for head in task.heads():
        if head.of:
            lengths = frame[head.of].list.len().to_list()
            marks = torch.cat([torch.arange(length) for length in lengths])
            offsets = torch.tensor([0, *np.cumsum(lengths)])
            inputs[head.of] = Ragged(torch.zeros(len(marks), dtype=torch.int32), offsets, marks)
    return Batch(inputs, targets, rows)


def outputs_of(task: Task, batch: Batch, draw: bool = True) -> Columns:
    """Return what a network says of a batch, by chance or all zero, with gradients."""
    found: Columns = {}
    for head in task.heads():
        like = batch.inputs[head.of] if head.of else None
        count = len(like.values) if isinstance(like, Ragged) else len(batch)
        values = (torch.randn if draw else torch.zeros)(count, head.size).requires_grad_()
        found[head.name] = Ragged(values, like.offsets) if isinstance(like, Ragged) else values
    return found


def values_of(outputs: Columns) -> list[torch.Tensor]:
    return [value.values if isinstance(value, Ragged) else value for value in outputs.values()]


def answers_of(task: Task, outputs: Columns, batch: Batch) -> Floats:
    """Return the answers that the outputs of a batch are."""
    with torch.no_grad():
        return task.answers(task.keep(outputs, batch))


def truth_of(task: Task, frame: pl.DataFrame) -> npt.NDArray[Any]:
    columns, _ = task.encode_targets(frame)
    return task.truth(Dataset.of_targets(columns))


def assert_same(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Compare rows of numbers, or rows of arrays that differ in length."""
    assert found.shape == expected.shape
    rows = [(found, expected)] if expected.dtype != object else zip(found, expected, strict=True)
    for one, other in rows:
        np.testing.assert_allclose(one, other, rtol=1e-6)  # vectors of another length are rounded in another way
