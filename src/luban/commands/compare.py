"""`luban compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run directory.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one, of the same target.")],
    data: Annotated[Path | None, typer.Argument(metavar="[DATA]", help="Labelled rows; else their test rows.")] = None,
    target: Annotated[str | None, typer.Option(help="The one that is compared, of several targets.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the comparison here, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
) -> None:
    """Compare two models on the same rows: paired tests, the rows that changed, the cost of each, a verdict."""
    from luban.core.artifact import write_json
    from luban.core.shown import shown
    from luban.finished import compare_runs
    from luban.outputs import check_output, read_by
    from luban.report.comparison_table import comparison_lines
    from luban.report.wrapping import say, wrapped

    if output is not None:
        inputs = [data, *read_by(run_a), *read_by(run_b)]
        output = check_output(output, inputs, overwrite=overwrite, endings=(".json",))
    comparison = compare_runs(run_a, run_b, data, target).to_json()
    *lines, verdict = comparison_lines(comparison)
    say("\n".join([*map(shown, lines), wrapped(verdict)]))
    if output is not None:
        write_json(output, comparison)
