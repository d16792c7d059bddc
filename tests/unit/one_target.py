"""Outputs and targets of small networks whose one target is `y`."""

from __future__ import annotations

from typing import Any

from luban.core.tensors import EncodedColumn, OutputKind, OutputSpec, TensorKind


def outputs_of(size: int) -> tuple[OutputSpec, ...]:
    """Return what a task of one vector a row asks for."""
    return (OutputSpec("y", OutputKind.ROW, size),)


def targets_of(values: Any) -> dict[str, EncodedColumn]:
    """values: (rows, ...)."""
    return {"y": EncodedColumn(TensorKind.DENSE, values)}
