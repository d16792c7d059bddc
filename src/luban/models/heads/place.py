"""A vector for each token, frame or cell of one input."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from torch import Tensor, nn

from luban.core.tensors import OutputSpec, Ragged
from luban.models.heads.base import Head, States, Widths


class PlaceHead(Head):
    """States with the places of an input -> Ragged (N, size) of tokens and frames, (B, size, H, W) of cells."""

    reads: ClassVar[Literal["fused", "vector", "places", "nothing"]] = "places"

    def __init__(self, of: str, width: int, size: int) -> None:
        super().__init__()
        self.of, self.linear = of, nn.Linear(width, size)

    @classmethod
    def build(cls, spec: OutputSpec, widths: Widths) -> Self:
        return cls(spec.of, widths.places[spec.of], spec.size)

    def forward(self, states: States) -> Tensor | Ragged:
        places = states.places[self.of]
        if isinstance(places, Ragged):
            return Ragged(self.linear(places.values), places.offsets)
        assert places.ndim == 4, "an input whose rows have places"
        cells: Tensor = self.linear(places.movedim(1, -1)).movedim(-1, 1)
        return cells
