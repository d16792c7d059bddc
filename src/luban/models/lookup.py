"""The vectors of all categories of a batch in one step: many small tables cost more in calls than in arithmetic.

Legend: B rows · C columns of categories · E widths of all their vectors together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

LARGEST_TOTAL = 2**18  # numbers in all tables: they are copied into one, which pays for small ones


def can_look_up_together(ids: Sequence[Tensor], tables: Sequence[Tensor]) -> bool:
    """Tell whether `look_up` takes less time than one call for each table: small ones on a CPU, not compiled."""
    return (
        len(tables) > 1
        and not torch.compiler.is_compiling()
        and sum(table.numel() for table in tables) <= LARGEST_TOTAL
        and all(column.device.type == "cpu" for column in ids)
        and all(table.dtype == torch.float32 and table.device.type == "cpu" for table in tables)
    )


def look_up(ids: Sequence[Tensor], tables: Sequence[Tensor]) -> Tensor:
    """Return the vectors of C columns side by side, (B, E), differentiable in the tables.

    ids: C of (B,) int, each below its table's length. tables: C of (ids, width) float. The numbers are
    those of `F.embedding` on each column, the gradients up to the order of additions.
    """
    found: Tensor = _LookUp.apply(torch.stack(list(ids)).long(), *tables)  # type: ignore[no-untyped-call]
    return found


@lru_cache(maxsize=64)
def _layout(shapes: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return where each table starts among the numbers of all, and its width, both (C, 1); and for each of the E places
    of a row its column (E,) and its place in that column's vector (E, 1)."""
    sizes = torch.tensor([rows * width for rows, width in shapes])
    widths = torch.tensor([width for _, width in shapes])
    places = torch.cat([torch.arange(width) for _, width in shapes])
    columns = torch.repeat_interleave(torch.arange(len(shapes)), widths)
    return (sizes.cumsum(0) - sizes)[:, None], widths[:, None], columns, places[:, None]


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids_CB: Tensor, *tables: Tensor) -> Tensor:
        ctx.shapes = tuple((table.shape[0], table.shape[1]) for table in tables)
        starts_C1, widths_C1, columns_E, places_E1 = _layout(ctx.shapes)
        # Column by column, which copies whole rows of the ids; row by row it would be element by element.
        index_EB = torch.addcmul(starts_C1, ids_CB, widths_C1).index_select(0, columns_E).add_(places_E1)
        ctx.save_for_backward(index_EB)
        numbers = torch.cat([table.reshape(-1) for table in tables])
        return numbers.index_select(0, index_EB.view(-1)).view(index_EB.shape).t()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (index_EB,) = ctx.saved_tensors
        (grad_BE,) = grads
        sizes = [rows * width for rows, width in ctx.shapes]
        sums = grad_BE.new_zeros(sum(sizes)).scatter_add_(0, index_EB.view(-1), grad_BE.t().reshape(-1))
        parts = zip(torch.split(sums, sizes), ctx.shapes, strict=True)
        return None, *(part.view(shape) for part, shape in parts)
