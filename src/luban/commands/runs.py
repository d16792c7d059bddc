"""`luban runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of run directories.")] = Path("runs"),
    sort: Annotated[str, typer.Option(help="A metric, date or seconds.")] = "date",
    filter_: Annotated[
        list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="Keep these; * is anything.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page that compares them.")] = None,
    lang: Annotated[str, typer.Option(help="The language of the page: en or zh.")] = "en",
    overwrite: Annotated[bool, typer.Option(help="Replace the page if it exists.")] = False,
) -> None:
    """List the runs in a folder, sorted and filtered, and compare them on one page."""
    from luban.outputs import check_output
    from luban.report.runs import listing, select, table, write_comparison
    from luban.report.wrapping import open_console, say, show_table, wrapped

    if html is not None:
        html = check_output(html, overwrite=overwrite, endings=(".html",))
    listed = listing(folder)
    found = select(listed.runs, sort, filter_ or [])
    show_table(open_console(), table(found, sort))
    for note in listed.notes():
        say(wrapped(note), "yellow")
    if html is not None:
        write_comparison(found, html, lang)
        say(str(html))
