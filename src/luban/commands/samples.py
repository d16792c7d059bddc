"""`luban samples`."""

from __future__ import annotations

from typing import Annotated

import typer


def samples(fetch: Annotated[str | None, typer.Option(help="Fetch this sample and print its folder.")] = None) -> None:
    """List the named data sets and pretrained models, or fetch one."""
    from luban.data.samples import SAMPLES
    from luban.report.wrapping import say

    if fetch is not None:
        from luban.models.pretrained import conversion

        say(str(conversion.fetch(fetch)))
        return
    for sample in SAMPLES:
        say(f"{sample.name:<22} {sample.kind:<6} {sample.description} ({sample.licence})")
