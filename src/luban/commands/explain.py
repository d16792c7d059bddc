"""`luban explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luban.commands.options import RunPath


def explain(
    run: RunPath,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The rows to explain.")],
    rows: Annotated[str | None, typer.Option(help="Which rows, from 1: 1,6,10; else the first three.")] = None,
    method: Annotated[str, typer.Option(help="auto, integrated-gradients, occlusion, lime or kernel-shap.")] = "auto",
    nearest: Annotated[int, typer.Option(min=0, help="Show so many like rows of the training source.")] = 0,
    target: Annotated[str | None, typer.Option(help="Which of several targets; the first.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the explanations here, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
) -> None:
    """Say why the model predicts what it does, with a check of each explanation."""
    from luban.core.artifact import write_json
    from luban.explain.explain import DEFAULT_ROWS
    from luban.finished import positions_of
    from luban.model import Model
    from luban.outputs import check_output, read_by
    from luban.report.explanations import show_explanations
    from luban.report.wrapping import open_console

    if json is not None:
        json = check_output(json, [data, *read_by(run)], overwrite=overwrite, endings=(".json",))
    model = Model.load(run)
    table = model.read(str(data))
    which = range(min(DEFAULT_ROWS, len(table))) if rows is None else positions_of(rows, len(table))
    found = model.explain(table, which, method=method, nearest=nearest, target=target)
    show_explanations(open_console(), found)
    if json is not None:
        write_json(json, found.to_json())
