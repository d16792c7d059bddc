"""One learned vector that depends on no input."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from luban.core.tensors import OutputSpec
from luban.models.heads.base import Head, States, Widths


class ConstantHead(Head):
    """States of B rows -> (B, size), the same for each; zeros before the training."""

    reads: ClassVar[Literal["fused", "vector", "places", "nothing"]] = "nothing"

    def __init__(self, size: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(size))

    @classmethod
    def build(cls, spec: OutputSpec, widths: Widths) -> Self:
        return cls(spec.size)

    def forward(self, states: States) -> Tensor:
        return self.values.expand(states.rows, -1)
