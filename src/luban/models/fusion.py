"""How the vectors of several inputs become one: one class a way, and the table of them.

Legend: B rows · I inputs · D width of all vectors side by side · W width that they are projected to · H heads
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor, nn

from luban.models.attention import attention
from luban.models.packing import Packing

NARROWEST, WIDEST = 32, 512  # of a common width, which is that of the widest vector between them
HEADS = 4


class Fusion(nn.Module):
    """Vectors side by side (B, D) -> one vector (B, output_dim). widths: of each input's part, in their order."""

    output_dim: int

    @abstractmethod
    def __init__(self, widths: Sequence[int]) -> None: ...

    @abstractmethod
    def forward(self, joined_BD: Tensor) -> Tensor: ...


class GatedFusion(Fusion):
    """The gated multimodal unit (Arevalo et al. 2017, arXiv:1702.01992): h = sum_i z_i * tanh(W_i x_i + b_i), where the
    gate z_i = sigmoid(V_i [x_1 ... x_I] + c_i) of an input sees all of them."""

    def __init__(self, widths: Sequence[int]) -> None:
        nn.Module.__init__(self)
        self.widths, self.output_dim = list(widths), common_width(widths)
        self.projections = nn.ModuleList(nn.Linear(width, self.output_dim) for width in widths)
        self.gate = nn.Linear(sum(widths), len(widths) * self.output_dim)

    def forward(self, joined_BD: Tensor) -> Tensor:
        projected_BIW = _projected(self.projections, joined_BD, self.widths).tanh()
        gates_BIW: Tensor = self.gate(joined_BD).sigmoid().view(projected_BIW.shape)
        return (gates_BIW * projected_BIW).sum(dim=1).float()


class AttentionFusion(Fusion):
    """One learned query attends to the inputs, each projected to a key and a value: pooling by multi-head attention
    (Lee et al. 2019, arXiv:1810.00825, section 3.2), with one seed vector and without the layers around it.

    The weight of an input depends on its own vector and on the sum over all; which of two others is right, it cannot
    say: that takes hidden layers behind it, or gates.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        nn.Module.__init__(self)
        self.widths, self.output_dim = list(widths), common_width(widths)
        self.projections = nn.ModuleList(nn.Linear(width, 2 * self.output_dim) for width in widths)
        self.query = nn.Parameter(torch.randn(self.output_dim))

    def forward(self, joined_BD: Tensor) -> Tensor:
        rows, inputs = len(joined_BD), len(self.widths)
        both = _projected(self.projections, joined_BD, self.widths).view(rows * inputs, 2, HEADS, -1)
        k_MHK, v_MHK = both.unbind(1)
        q_BHK = self.query.to(both.dtype).view(1, HEADS, -1).expand(rows, -1, -1)
        ends = torch.arange(rows + 1)
        queries, keys = (Packing(ends * each, joined_BD.device) for each in (1, inputs))
        return attention(q_BHK, k_MHK, v_MHK, queries, keys).flatten(1).float()


FUSIONS: dict[str, type[Fusion]] = {"gated": GatedFusion, "attention": AttentionFusion}
PLAIN = "concat"  # the vectors as they stand side by side, which takes no module
if TYPE_CHECKING:
    FusionName: TypeAlias = str
else:
    FusionName = Literal[(PLAIN, *FUSIONS)]


def common_width(widths: Sequence[int]) -> int:
    """Return the width that vectors of these widths are projected to, a multiple of 8 as attention takes its heads."""
    width = min(max(NARROWEST, *widths), WIDEST)
    return -(-width // (8 * HEADS)) * 8 * HEADS


def _projected(projections: nn.ModuleList, joined_BD: Tensor, widths: list[int]) -> Tensor:
    """Return each input's part through its projection, (B, I, W)."""
    parts = torch.split(joined_BD, widths, dim=1)
    return torch.stack([project(part) for project, part in zip(projections, parts, strict=True)], dim=1)
