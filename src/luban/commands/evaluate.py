"""`luban evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luban.commands.options import RunPath


def evaluate(
    run: RunPath,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows that have the target column.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the scores here, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Compare the groups of this column.")] = None,
) -> None:
    """Score a trained model on labelled rows."""
    from luban.core.artifact import write_json
    from luban.model import Model
    from luban.outputs import check_output, read_by
    from luban.report.judgement_table import judgement_lines, told_of_each
    from luban.report.terminal import score_tables
    from luban.report.wrapping import open_console, say, show_table, tell, wrapped

    if output is not None:
        output = check_output(output, [data, *read_by(run)], overwrite=overwrite, endings=(".json",))
    judged, notes = Model.load(run).judged(str(data), by)
    evaluation = judged.to_json()
    for note in notes:
        tell(note)
    for table in score_tables(evaluation):
        show_table(open_console(), table)
    for label, text in told_of_each(evaluation, judgement_lines):
        say(wrapped(f"{label:<12} {text}", indent=13))
    if output is not None:
        write_json(output, evaluation)
