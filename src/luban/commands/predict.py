"""`luban predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luban.commands.options import EscapeFormulas, RunPath


def predict(
    run: RunPath,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The rows to predict.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .csv, .tsv, .parquet or .jsonl file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
    sets: Annotated[
        float | None, typer.Option(metavar="LEVEL", help="Add sets or intervals that hold the truth so often: 0.9.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(metavar="STEPS", help="How many of the steps of a forecast to write.")
    ] = None,
    escape_formulas: EscapeFormulas = None,
) -> None:
    """Predict every row: all columns are kept, in their order, and predictions are added.

    A run that forecasts writes the steps behind each series, a row a step.
    """
    from luban.audit.subject import counted
    from luban.core.printing import deliver
    from luban.finished import predict_file
    from luban.outputs import formulas_of
    from luban.report.wrapping import tell

    which = formulas_of(escape_formulas)
    frame, notes = predict_file(run, data, output, overwrite=overwrite, level=sets, horizon=horizon, which=which)
    for note in notes:
        tell(note)
    if output is None:
        deliver(frame.write_csv())
    else:
        tell(f"{counted(frame.height)} written to {output}", None)
