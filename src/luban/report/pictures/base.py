"""What a picture of a cell is made from, and what it is."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from luban.report.charts.plot import Chart
from luban.report.figures import Figures
from luban.report.language.words import Words


@dataclass(frozen=True)
class Cell:
    """content: the bytes of a file. series: the entries of a sequence in the run's files. Either may be None."""

    column: str
    row: int
    words: Words
    content: bytes | None = None
    series: Figures | None = None


@dataclass(frozen=True)
class Piece:
    """kind: `image` or `audio`, of which source is the data URI, `chart`, or `left out` (it cannot be
    decoded)."""

    kind: str
    source: str = ""
    chart: Chart | None = None

    @property
    def size(self) -> int:
        """Return about how many characters it takes on the page."""
        return len(self.source) + (0 if self.chart is None else 2 * len(self.chart.svg))


def uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
