"""One vector a row, from all inputs joined."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from torch import Tensor, nn

from luban.core.tensors import OutputSpec
from luban.models.heads.base import Head, States, Widths


class RowHead(Head):
    """States with a fused vector (B, D) -> (B, size)."""

    reads: ClassVar[Literal["fused", "vector", "places", "nothing"]] = "fused"

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, size)

    @classmethod
    def build(cls, spec: OutputSpec, widths: Widths) -> Self:
        return cls(widths.fused, spec.size)

    def forward(self, states: States) -> Tensor:
        assert states.fused is not None
        logits: Tensor = self.linear(states.fused)
        return logits
