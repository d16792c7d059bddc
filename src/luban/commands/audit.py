"""`luban audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luban.commands.options import EscapeFormulas


def audit(
    source: Annotated[str, typer.Argument(metavar="DATA|CONFIG.yaml", help="A file, a folder, a sample, or a config.")],
    target: Annotated[str | None, typer.Option(help="The column to predict; several with commas.")] = None,
    test: Annotated[str | None, typer.Option(help="Test rows: do they overlap, do they drift?")] = None,
    validation: Annotated[str | None, typer.Option(help="Validation rows, likewise.")] = None,
    against: Annotated[str | None, typer.Option(help="The rows to predict on: have they drifted?")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting of data.")] = None,
    fix: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Mend this in a copy; may repeat.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The cleaned copy.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the findings, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the outputs if they exist.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where there are warnings.")] = False,
    escape_formulas: EscapeFormulas = None,
) -> None:
    """Find what is wrong with data, and mend it in a copy.

    Exit codes: 0 nothing worse than notes (or warnings, without --strict), 1 a mistake of use, 3 errors in the data,
    4 warnings with --strict.
    """
    from luban.outputs import formulas_of
    from luban.stages.audit import run_audit

    others = {"validation": validation, "test": test, "against": against}
    code = run_audit(
        source,
        target,
        others,
        fix or [],
        output,
        json_,
        settings=set_ or [],
        overwrite=overwrite,
        strict=strict,
        which=formulas_of(escape_formulas),
    )
    raise typer.Exit(code)
