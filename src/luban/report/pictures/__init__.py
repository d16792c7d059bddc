"""How a cell shows that is no text: one line a kind of column, each in its own file."""

from __future__ import annotations

from collections.abc import Callable

from luban.report.pictures.audio import sound
from luban.report.pictures.base import Cell, Piece
from luban.report.pictures.image import picture
from luban.report.pictures.sequence import lines

# A kind returns None for a cell that is not its own.
PICTURES: dict[str, Callable[[Cell], Piece | None]] = {"image": picture, "audio": sound, "sequence": lines}
