"""One head a file, and the table of them: what turns a network's states into the outputs of a task."""

from __future__ import annotations

from luban.core.tensors import OutputKind
from luban.models.heads.base import Head
from luban.models.heads.constant import ConstantHead
from luban.models.heads.place import PlaceHead
from luban.models.heads.row import RowHead
from luban.models.heads.vector import VectorHead

HEADS: dict[OutputKind, type[Head]] = {
    OutputKind.ROW: RowHead,
    OutputKind.VECTOR: VectorHead,
    OutputKind.PLACE: PlaceHead,
    OutputKind.CONSTANT: ConstantHead,
}
