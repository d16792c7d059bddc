"""Sequences of numbers: stretches of time are parts, and the neutral input is the mean of the training steps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from luban.core.sentence import sentence
from luban.core.tensors import Ragged
from luban.explain.view import Inputs, Part, RowInput, View, mixed
from luban.features.sequence import Series

TIME_PARTS = 12


def sequence_view(row: RowInput) -> View:
    frames = row.value
    assert isinstance(frames, Ragged)
    stretches = time_parts(len(frames.values))
    spans = [(stretches == part).nonzero().flatten() for part in stretches.unique()]  # type: ignore[no-untyped-call]
    ends = tuple((int(span[0]) + 1, int(span[-1]) + 1) for span in spans)
    column = row.cells.columns[0]
    parts = tuple(
        Part(column, "bin", sentence("explanation.steps", "steps {first}-{last}", first=first, last=last))
        for first, last in ends
    )
    view = frames_view(row, parts, stretches[:, None].to(frames.values.device))
    return replace(view, series=Series.of(row.cells.item(0, 0), len(frames.values), ends) if parts else None)


def time_parts(length: int) -> Tensor:
    """(T,) int64: the stretch that each step is in."""
    return torch.arange(length) * min(TIME_PARTS, length) // max(length, 1)


def frames_view(row: RowInput, parts: tuple[Part, ...], groups_TD: Tensor) -> View:
    """Return the view of a FRAMES input. groups_TD: (T, 1) or (T, D)."""
    assert isinstance(row.value, Ragged)
    point = row.value.values[None]
    groups, baseline = groups_TD[None], torch.zeros_like(point)

    def lift(values: Tensor) -> Inputs:
        offsets = torch.arange(len(values) + 1) * values.shape[1]
        return {row.name: Ragged(values.flatten(0, 1), offsets)}

    return View(
        kind=row.feature.kind,
        parts=parts,
        point=point,
        baseline=baseline,
        groups=groups,
        lift=lift,
        masked=lambda keep: lift(mixed(point, baseline, groups, keep)),
    )
