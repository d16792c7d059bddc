"""`luban trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luban.commands.options import RunPath


def trace(
    run: RunPath,
    row: Annotated[int, typer.Argument(metavar="ROW", help="The number of a row, from 1.")],
    data: Annotated[str | None, typer.Option(help="Rows other than those of the training.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, momentum, rmsprop, adam or adamw; the run's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of all weights; the run's own.")] = None,
    steps: Annotated[int, typer.Option(help="Training steps on this row.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("trace.html"),
    json: Annotated[Path | None, typer.Option(help="Write everything here, as JSON.")] = None,
    lang: Annotated[str, typer.Option(help="The page's language: en or zh.")] = "en",
    overwrite: Annotated[bool, typer.Option(help="Replace the outputs if they exist.")] = False,
) -> None:
    """Open up one training step: every value, each gradient checked, the update with its numbers."""
    from luban.core.artifact import write_bytes, write_json
    from luban.core.errors import ConfigError
    from luban.core.shown import as_page
    from luban.explain.trace.row import trace_row
    from luban.outputs import check_output, read_by
    from luban.report.trace.page import render, summary
    from luban.report.wrapping import say, wrapped

    if lang not in ("en", "zh"):
        raise ConfigError("--lang", expected="en or zh", found=f"'{lang}'", action="Choose one of these")
    inputs = [data, *read_by(run)]
    output = check_output(output, inputs, overwrite=overwrite, endings=(".html",))
    if json is not None:
        json = check_output(json, inputs, overwrite=overwrite, endings=(".json",))
    found = trace_row(run, row, data, optimizer=optimizer, learning_rate=learning_rate, steps=steps)
    write_bytes(output, as_page(render(found, lang)))
    if json is not None:
        write_json(json, found.to_json())
    for line in summary(found):
        say(wrapped(line, indent=11))
    say(f"page       {output}")
