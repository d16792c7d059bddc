"""Categories: the cell is one part, and the neutral input is the mean of all categories' vectors."""

from __future__ import annotations

import torch

from luban.explain.inputs.number import as_tensor, shown
from luban.explain.view import Part, RowInput, View, mixed
from luban.features.category import NUM_RESERVED
from luban.models.network import vector_name


def category_view(row: RowInput) -> View:
    ids = as_tensor(row)
    count = row.feature.spec().size
    # A column whose values are all rare has no ids but the reserved ones.
    known = torch.arange(NUM_RESERVED if count > NUM_RESERVED else 0, count, device=ids.device)
    with torch.no_grad():
        point, baseline = row.encoder(ids), row.encoder(known).mean(dim=0, keepdim=True)
    groups = torch.zeros_like(point, dtype=torch.int64)
    name = vector_name(row.name)
    return View(
        kind=row.feature.kind,
        parts=(Part(row.cells.columns[0], "value", shown(row)),),
        point=point,
        baseline=baseline,
        groups=groups,
        lift=lambda values: {name: values},
        masked=lambda keep: {name: mixed(point, baseline, groups, keep)},
    )
