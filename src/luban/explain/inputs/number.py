"""Numbers: the cell is one part, and the neutral input is an average cell."""

from __future__ import annotations

import torch
from torch import Tensor

from luban.explain.view import MISSING_CELL, Part, RowInput, View, mixed
from luban.features.cells import quoted


def number_view(row: RowInput) -> View:
    """Neutral are zeros: the mean, or the median where the column is scaled by quantiles."""
    return cell_view(row, torch.zeros_like(as_tensor(row)))


def cell_view(row: RowInput, baseline: Tensor) -> View:
    """Return the view of a DENSE input whose cell is one part."""
    column = row.cells.columns[0]
    point = as_tensor(row)
    groups = torch.zeros_like(point, dtype=torch.int64)
    return View(
        kind=row.feature.kind,
        parts=(Part(column, "value", shown(row)),),
        point=point,
        baseline=baseline,
        groups=groups,
        lift=lambda values: {row.name: values},
        masked=lambda keep: {row.name: mixed(point, baseline, groups, keep)},
    )


def as_tensor(row: RowInput) -> Tensor:
    """Return a value that is not packed."""
    assert isinstance(row.value, Tensor)
    return row.value


def shown(row: RowInput) -> str:
    """Return the cell as people read it."""
    cell = row.cells.item(0, 0)
    return MISSING_CELL if cell is None or cell == "" else quoted(cell).strip("'")
