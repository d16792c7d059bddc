"""What every head is: a module from a network's states to one output."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

from torch import Tensor, nn

from luban.core.tensors import OutputSpec, Ragged

Places = Tensor | Ragged  # Ragged (N, D) of tokens and frames, (B, D, H, W) of grids, (B, D) of inputs without places


@dataclass(frozen=True)
class Widths:
    """The sizes that heads are built for. fused: of the joined inputs. vectors, places: of each input, by name."""

    fused: int
    vectors: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class States:
    """What a network has computed of some rows, as far as its heads read it.

    fused: (B, D), of all inputs joined. vectors: (B, D) of each input that an output belongs to. places: a state for
    each of its tokens, frames or cells.
    """

    fused: Tensor | None = None
    vectors: dict[str, Tensor] = field(default_factory=dict)
    places: dict[str, Places] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows they are of."""
        return len(next(iter(self.places.values())) if self.fused is None else self.fused)


class Head(nn.Module):
    """Turns states into one output. reads: what it needs of them, which is all that a network computes for it: `fused`,
    one `vector` of its input, the `places` of that, or `nothing` of the row."""

    reads: ClassVar[Literal["fused", "vector", "places", "nothing"]]

    @classmethod
    @abstractmethod
    def build(cls, spec: OutputSpec, widths: Widths) -> Self:
        """Return an untrained head."""

    @abstractmethod
    def forward(self, states: States) -> Tensor | Ragged: ...
