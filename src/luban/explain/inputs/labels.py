"""Cells of several labels: each label is a part, and the neutral input has none."""

from __future__ import annotations

import torch

from luban.core.sentence import sentence
from luban.explain.inputs.number import as_tensor
from luban.explain.view import MISSING_CELL, Part, RowInput, View, mixed
from luban.features.category import MISSING, NUM_RESERVED


def labels_view(row: RowInput) -> View:
    column, point = row.cells.columns[0], as_tensor(row)
    present = point[0].nonzero().flatten().tolist()
    names = [_name(component, row.feature.labels) for component in present]
    groups = torch.full(point.shape, -1, device=point.device)
    groups[0, present] = torch.arange(len(present), device=point.device)
    baseline = torch.zeros_like(point)
    return View(
        kind=row.feature.kind,
        parts=tuple(Part(column, "value", name) for name in names),
        point=point,
        baseline=baseline,
        groups=groups,
        lift=lambda values: {row.name: values},
        masked=lambda keep: {row.name: mixed(point, baseline, groups, keep)},
    )


def _name(component: int, labels: tuple[str, ...]) -> str:
    if component >= NUM_RESERVED:
        return labels[component - NUM_RESERVED]
    if component == MISSING:
        return MISSING_CELL
    return sentence("explanation.unseen", "(labels that training did not see)")
