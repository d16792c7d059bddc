"""Images: squares are parts, and the neutral input is the mean colour of the training images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from luban.core.sentence import Sentence, sentence
from luban.explain.inputs.number import as_tensor
from luban.explain.pictures import pictures
from luban.explain.view import Part, Pictures, RowInput, View, mixed

SIDE_PARTS = 7  # squares along each side


def image_view(row: RowInput) -> View:
    column, point = row.cells.columns[0], as_tensor(row)
    height, width = point.shape[2:]
    down, across = _stripes(height), _stripes(width)
    columns = int(across.max()) + 1
    groups = (down[:, None] * columns + across[None, :])[None, None].to(point.device)
    parts = [Part(column, "bin", _square(*y, *x)) for y in _spans(down) for x in _spans(across)]
    baseline = torch.zeros_like(point)
    assert isinstance(row.stored, Tensor)
    pixels = row.stored[0].cpu().numpy().astype(np.uint8)
    shown = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def draw(weights: Tensor) -> Pictures:
        return pictures(shown, weights[0].sum(dim=0).cpu().numpy())

    return View(
        kind=row.feature.kind,
        parts=tuple(parts),
        point=point,
        baseline=baseline,
        groups=groups,
        lift=lambda values: {row.name: values},
        masked=lambda keep: {row.name: mixed(point, baseline, groups, keep)},
        draw=draw,
    )


def _stripes(size: int) -> Tensor:
    """(size,) int64: the stripe of each pixel; a small image has as many stripes as pixels."""
    return torch.arange(size) * min(SIDE_PARTS, size) // size


def _spans(stripes: Tensor) -> list[tuple[int, int]]:
    """Return the first and last pixel of each stripe."""
    places = [(stripes == stripe).nonzero().flatten() for stripe in stripes.unique()]  # type: ignore[no-untyped-call]
    return [(int(place[0]), int(place[-1])) for place in places]


def _square(top: int, bottom: int, left: int, right: int) -> Sentence:
    return sentence(
        "explanation.square",
        "y {top}-{bottom}, x {left}-{right}",
        top=top,
        bottom=bottom,
        left=left,
        right=right,
    )
