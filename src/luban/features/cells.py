"""What cells of any type look like as text: the one place that decides what is missing and what a cell is called."""

from __future__ import annotations

import numpy as np
import polars as pl

CJK = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
SAMPLED = 10_000  # cells, drawn evenly, that decide how a column is written
HASHED_CELLS = 131_072
HASH_SEED = 7
QUOTED_CHARACTERS = 40  # how much of a cell a message shows


def strings(series: pl.Series) -> pl.Series:
    """Return cells as stripped strings; null where missing, which an empty string is.

    Whole floats read as integers ('1.0' as '1'): one missing cell makes a reader turn integers into floats.
    """
    dtype, cell = series.dtype, pl.col(series.name)
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        series = pl.Series(series.name, [None if item is None else str(item) for item in series.to_list()], pl.String)
    shown = cell.dt.to_string("polars") if isinstance(dtype, pl.Duration) else cell.cast(pl.String)
    if dtype.is_float():
        is_whole = (cell == cell.floor()) & (cell.abs() < 2**53)
        shown = pl.when(is_whole).then(cell.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(shown)
        shown = pl.when(cell.is_not_nan()).then(shown)
    stripped = series.to_frame().select(shown.str.strip_chars()).to_series().alias(series.name)
    return stripped.set(stripped == "", None)


def plain_numbers(series: pl.Series) -> pl.Series | None:
    """Return the cells of a column of strings as numbers where each that is there is one as it stands, else nothing;
    it takes a hundredth of what a look at other cells takes."""
    if series.dtype != pl.String:
        return None
    plain = series.cast(pl.Float64, strict=False)
    return plain if plain.null_count() == series.null_count() else None


def evenly(cells: pl.Series, limit: int) -> pl.Series:
    """Return at most so many cells, drawn evenly from the first to the last."""
    return cells.gather(np.linspace(0, max(len(cells) - 1, 0), min(len(cells), limit)).astype(np.int64))


def commonest(cells: pl.Series) -> pl.Series:
    """Return the different strings that are there, the most frequent first, those that are as frequent by name."""
    counts = cells.drop_nulls().alias("cell").value_counts(name="count")
    return counts.sort(["count", "cell"], descending=[True, False])["cell"]


def hashes(series: pl.Series) -> pl.Series:
    """Return a 64-bit hash of what each cell reads as text, null where missing; equal texts have equal ones.

    The text itself is never there for all cells at once, which a long column would fill the memory with.
    """
    slices = [series.slice(start, HASHED_CELLS) for start in range(0, max(len(series), 1), HASHED_CELLS)]
    found = []
    for part in slices:
        cells = strings(part)
        found.append(cells.hash(HASH_SEED).set(cells.is_null(), None))
    return pl.concat(found)


def quoted(cell: object) -> str:
    """Return a cell as a message shows it: quoted, and cut where it is long."""
    return f"'{shortened(cell)}'"


def shortened(cell: object) -> str:
    """Return a cell on one line, cut where it is long."""
    text = " ".join(str(cell).split())
    return f"{text[:QUOTED_CHARACTERS]}…" if len(text) > QUOTED_CHARACTERS else text


def share(mask: pl.Series) -> float:
    """Return the share of true cells; 0 for no cells."""
    mean = mask.mean()
    return float(mean) if isinstance(mean, (int, float)) else 0.0


def cjk_share(cells: pl.Series) -> float:
    """Return the share of Chinese and Japanese characters among the characters of stripped strings."""
    characters = int(cells.str.count_matches(r"\S").sum())
    return int(cells.str.count_matches(CJK).sum()) / characters if characters else 0.0
