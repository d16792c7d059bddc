"""Options and arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting, as train.epochs=3; may repeat.")
]
EscapeFormulas = Annotated[
    bool | None,
    typer.Option(
        "--escape-formulas/--keep-formulas",
        help="Whether cells of a CSV or TSV file that a spreadsheet would run get a ' before them: all or none, else "
        "those that Luban adds.",
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
