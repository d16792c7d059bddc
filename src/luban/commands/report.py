"""`luban report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luban.commands.options import RunPath


def report(
    run: RunPath,
    lang: Annotated[str | None, typer.Option(help="The language of the page: en or zh; else the run's own.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="An .html file; report.html in the run.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the page if it exists.")] = False,
) -> None:
    """Write what is known of a run as one self-contained page, and its model card."""
    from luban.core import artifact
    from luban.core.artifact import RunDirectory
    from luban.outputs import check_output, read_by
    from luban.report.card import write_card
    from luban.report.page import language_of, write_report
    from luban.report.wrapping import say

    directory = RunDirectory.open(run)
    own = directory / artifact.REPORT
    place = check_output(output or own, read_by(run), overwrite=overwrite, endings=(".html",), own=own)
    say(str(write_report(directory, lang or language_of(directory), place)))
    if not directory.has(artifact.CARD):
        write_card(directory)
