"""Lines of a bounded width where no terminal breaks them: in a log, a pipe, a file.

Prose is wrapped at COLUMNS, or at 80. Tables, lines of progress, paths and commands are not: programs read them, people
copy them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from textwrap import fill

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

PLAIN_WIDTH = 80
LEAST_WIDTH = 20  # of what stands beside an indent
TABLE_WIDTH = 10_000
FILLER = "\uf8ff"  # for private use, so in no text: the second column of a Chinese character while lines are measured


def plain_width() -> int:
    """Return COLUMNS, the width of the terminal that stdout is, or 80."""
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns


class Output(Console):
    """The console of stdout. Where nobody reads it any more, as behind `| head`, the one who prints decides what then:
    a training goes on."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, where Rich would end the program; what is still to be written goes nowhere."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):  # a stream of a test has no descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        raise BrokenPipeError


def open_console(*, soft_wrap: bool = False) -> Console:
    """Return the console of stdout, whose width does not depend on what else is a terminal."""
    width = None if sys.stdout.isatty() else plain_width()
    return Output(highlight=False, soft_wrap=soft_wrap, width=width)


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
