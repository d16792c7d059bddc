"""Lines of a bounded width where no terminal breaks them: in a log, a pipe, a file.

Prose is wrapped at COLUMNS, or at 80. Tables, lines of progress, paths and commands are not: programs read them, people
copy them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from textwrap import fill
from typing import Any, TextIO

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from luban.core.printing import printer
from luban.core.shown import LONGEST, shown

PLAIN_WIDTH = 80
LEAST_WIDTH = 20  # of what stands beside an indent
TABLE_WIDTH = 10_000
FILLER = "\uf8ff"  # for private use, so in no text: the second column of a Chinese character while lines are measured


def plain_width() -> int:
    """Return COLUMNS, the width of the terminal that stdout is, or 80."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


class Output(Console):
    """A console that shows text as it is: no markup or emoji code in it means anything, nothing in it steers the
    terminal, and no failure of the stream ends what prints. Its width does not depend on what else is a terminal."""

    def __init__(self, stream: TextIO | None = None, **options: Any) -> None:
        stream = printer(sys.stdout if stream is None else stream)
        options.setdefault("width", None if stream.isatty() else plain_width())
        super().__init__(file=stream, highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as Text, shown escaped before anything is measured."""
        return super().render_str(shown(text, keep="\n\t"), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield segments; the text of each is safe, from whatever it was made."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text, keep="\n\t"))


def open_console(*, soft_wrap: bool = False) -> Console:
    """Return the console of stdout."""
    return Output(soft_wrap=soft_wrap)


def safe(text: str, style: str = "") -> Text:
    """Return a string as text of a table or a line, in which nothing is markup and nothing steers the terminal, and
    which is no longer than anybody reads."""
    return Text(shown(text, keep="\n", limit=LONGEST), style)


def is_terminal() -> bool:
    """Return whether stdout is a terminal; a process may have none."""
    return printer(sys.stdout).isatty()


def say(line: str, colour: str | None = None) -> None:
    """Print a line, or several, on stdout."""
    typer.secho(shown(line, keep="\n\t"), fg=colour, file=printer(sys.stdout))


def tell(line: str, colour: str | None = "yellow") -> None:
    """Print a line on stderr."""
    typer.secho(shown(line, keep="\n\t"), fg=colour, file=printer(sys.stderr))


def wrapped(line: str, indent: int = 0, width: int | None = None) -> str:
    """Break a line between words, all but the first part of it indented; a word that is too long stays whole."""
    widened = "".join(sign + FILLER if cell_len(sign) > 1 else sign for sign in line)
    return fill(
        widened,
        max(plain_width() if width is None else width, indent + LEAST_WIDTH),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(FILLER, "")


def show_table(console: Console, table: Table) -> None:
    """Print a table: in a terminal within its width, elsewhere as wide as it is, one line a row."""
    width = console.width
    if not console.is_terminal:
        console.width = TABLE_WIDTH
    try:
        console.print(table)
    finally:
        if not console.is_terminal:
            console.width = width
