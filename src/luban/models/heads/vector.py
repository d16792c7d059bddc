"""One vector a row of one input alone, to be compared with those of another."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from torch import Tensor, nn

from luban.core.tensors import OutputSpec
from luban.models.heads.base import Head, States, Widths


class VectorHead(Head):
    """States with the vector (B, D) of an input -> (B, size)."""

    reads: ClassVar[Literal["fused", "vector", "places", "nothing"]] = "vector"

    def __init__(self, of: str, width: int, size: int) -> None:
        super().__init__()
        self.of, self.linear = of, nn.Linear(width, size)

    @classmethod
    def build(cls, spec: OutputSpec, widths: Widths) -> Self:
        return cls(spec.of, widths.vectors[spec.of], spec.size)

    def forward(self, states: States) -> Tensor:
        vectors: Tensor = self.linear(states.vectors[self.of])
        return vectors
