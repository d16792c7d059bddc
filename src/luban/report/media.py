"""Pictures, sound and charts of single rows, held within the size of a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from luban.core.regular import is_regular
from luban.data import samples
from luban.data.media.cells import read_cell
from luban.data.media.unreadable import UnreadableCellError
from luban.report.content import Content
from luban.report.figures import Figures
from luban.report.language.words import Words
from luban.report.pictures import PICTURES
from luban.report.pictures.base import Cell, Piece

MAX_TOTAL = 1_500_000  # characters of all pieces of a page


class Media:
    """Finds the file of a cell where the data of the run still are, and holds the page within its size."""

    def __init__(self, source: Path | None) -> None:
        self.source, self.left = source, MAX_TOTAL

    @classmethod
    def of(cls, content: Content) -> Media:
        """Return the media of the rows that were tested."""
        data = content.config.get("data", {})
        reference = data.get("test") or data.get("train")
        if not reference or samples.is_reference(reference):
            return cls(None)
        path = Path(reference).expanduser()
        return cls(path if is_regular(path) or path.is_dir() else None)

    def pieces(self, item: Mapping[str, Any], at: Figures, words: Words, limit: int) -> list[tuple[str, Piece]]:
        """Return the pieces of a row's cells, by column. item: a mistake of `metrics.json`. at: its entries. limit: how
        many charts at most."""
        row = int(item["row"])
        files = {name: Cell(name, row, words, self.content(name, path, row)) for name, path in within(item, "media")}
        drawn = {
            name: Cell(name, row, words, series=at.below("series", name))
            for name, series in within(item, "series")[:limit]
            if series
        }
        found = {name: self.piece(cell) for name, cell in (files | drawn).items()}
        return [(name, piece) for name, piece in found.items() if piece is not None]

    def piece(self, cell: Cell) -> Piece | None:
        """Return a cell's picture, sound or chart; None where there is no file, or the page is full."""
        piece = next((piece for draw in PICTURES.values() if (piece := draw(cell)) is not None), None)
        if piece is None and cell.content is not None:
            return Piece("left out")
        if piece is None or piece.size > self.left:
            return None
        self.left -= piece.size
        return piece

    def content(self, column: str, path: object, row: int) -> bytes | None:
        """Return the bytes of a file; None where it cannot be read. row: counted from 1."""
        if self.source is None:
            return None
        folder = self.source if self.source.is_dir() else self.source.parent
        try:
            return read_cell(path if isinstance(path, str) else self.cell(column, row), folder)
        except (UnreadableCellError, OSError, pl.exceptions.PolarsError):
            return None

    def cell(self, column: str, row: int) -> Any:
        """Return the bytes of a cell of a Parquet file. row: counted from 1."""
        if self.source is None or self.source.suffix not in (".parquet", ".pq"):
            return None
        found = pl.scan_parquet(self.source).select(column).slice(row - 1, 1).collect()
        return found.item() if found.height == 1 else None


def within(item: Mapping[str, Any], form: str) -> list[tuple[str, Any]]:
    return list((item.get(form) or {}).items())
