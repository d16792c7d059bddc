"""Inputs of one kind side by side in one matrix, so that a batch of hundreds of columns is one copy of some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from luban.core.tensors import EncodedColumn, TensorKind

STACKED = (TensorKind.DENSE, TensorKind.IDS)
Array = npt.NDArray[np.generic]


def side_by_side(columns: Sequence[EncodedColumn]) -> Array:
    """Return (rows, W): the values of columns of one kind and type, an input of ids being one column wide."""
    assert len({(column.kind, column.values.dtype) for column in columns}) == 1, "inputs of one kind differ in type"
    parts = (column.values for column in columns)
    return np.concatenate([part if part.ndim > 1 else part[:, None] for part in parts], axis=1)


def apart(kind: TensorKind, matrix: Array, widths: Sequence[int]) -> list[EncodedColumn]:
    """Return the columns that `side_by_side` joined, as views. widths: of each. Raises ValueError for other widths."""
    if matrix.ndim != 2 or matrix.shape[1] != sum(widths):
        raise ValueError(f"a matrix of {sum(widths)} columns has shape {matrix.shape}")
    columns, first = [], 0
    for width in widths:
        values = matrix[:, first] if kind == TensorKind.IDS else matrix[:, first : first + width]
        columns.append(EncodedColumn(kind, values, matrix=matrix, first=first))
        first += width
    return columns


@dataclass(frozen=True)
class Stack:
    """A matrix that inputs fill completely. names, widths: of the inputs, in the matrix's order."""

    kind: TensorKind
    matrix: Array
    names: list[str]
    widths: list[int]

    def take(self, rows: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        """Copy the given rows out, once; return each input's part of the copy."""
        block = torch.from_numpy(np.take(self.matrix, rows, axis=0))
        parts = block.t().contiguous().unbind(0) if self.kind == TensorKind.IDS else torch.split(block, self.widths, 1)
        return dict(zip(self.names, parts, strict=True))


def stacks_of(inputs: Mapping[str, EncodedColumn]) -> list[Stack]:
    """Return the matrices that the inputs fill; an input of any other matrix is left to be taken by itself."""
    by_matrix: dict[int, list[tuple[int, str, EncodedColumn]]] = {}
    for name, column in inputs.items():
        if column.matrix is not None:
            by_matrix.setdefault(id(column.matrix), []).append((column.first, name, column))
    stacks = []
    for members in by_matrix.values():
        members.sort(key=lambda member: member[0])
        (_, _, column), *_ = members
        assert column.matrix is not None
        widths = [1 if member.kind == TensorKind.IDS else member.values.shape[1] for _, _, member in members]
        starts = np.cumsum([0, *widths]).tolist()
        if len(members) > 1 and starts == [*(first for first, _, _ in members), column.matrix.shape[1]]:
            # A plain array: NumPy's class of mapped ones does Python's work at every access.
            matrix = np.asarray(column.matrix)
            stacks.append(Stack(column.kind, matrix, [name for _, name, _ in members], widths))
    return stacks
