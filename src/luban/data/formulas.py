"""Cells of text files that a spreadsheet runs as a formula instead of showing them.

Source: OWASP, CSV Injection, https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

QUOTE = "'"  # a cell that begins with it is text to every spreadsheet
STARTS = r"^[=@＝＠\t\r\n]|^[+\-＋－]."
NUMBER = r"^[+\-＋－]\p{Sc}?[.,]?\d[\d.,_]*(?:[eE][+\-]?\d+)?\s?(?:%|\p{Sc})?$"


def runs(cells: pl.Series) -> pl.Series:
    """Return which texts a spreadsheet would run: those that begin with a sign of a formula, a tab or a line's end, and
    are no number."""
    return (cells.str.contains(STARTS) & ~cells.str.contains(NUMBER)).fill_null(False)


def count(frame: pl.DataFrame, columns: Collection[str]) -> int:
    """Return how many cells of these columns, their names included, would run."""
    texts = [name for name in columns if frame.schema[name] == pl.String]
    names = pl.Series(list(columns), dtype=pl.String)
    return int(runs(names).sum()) + sum(int(runs(frame[name]).sum()) for name in texts)


def as_text(frame: pl.DataFrame, columns: Collection[str]) -> pl.DataFrame:
    """Return the table with a quotation mark before each cell of these columns, or name of one, that would run."""
    cells = [
        pl.when(runs(frame[name])).then(pl.lit(QUOTE) + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name in columns
        if frame.schema[name] == pl.String
    ]
    renamed: dict[str, str] = {}
    for name, is_run in zip(columns, runs(pl.Series(list(columns), dtype=pl.String)), strict=True):
        if is_run:
            renamed[name] = QUOTE + name
            while renamed[name] in frame.columns:
                renamed[name] = QUOTE + renamed[name]
    return frame.with_columns(cells).rename(renamed)
