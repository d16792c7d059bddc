"""Dates: the cell is one part, and the neutral input is the middle of the training's time, of no month or weekday."""

from __future__ import annotations

import torch

from luban.explain.inputs.number import as_tensor, cell_view
from luban.explain.view import RowInput, View


def date_view(row: RowInput) -> View:
    baseline = torch.zeros_like(as_tensor(row))
    baseline[:, 0] = 0.5  # days are scaled to 0 to 1 over the training rows
    return cell_view(row, baseline)
