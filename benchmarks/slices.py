"""The files that both sides read: a data set's own, or a slice of it that is drawn once for both."""

from __future__ import annotations

from pathlib import Path

import polars as pl

ROWS_A_CLASS = 8  # at least so many on average: a slice of few rows has fewer classes, too
HELD_OUT = 0.1  # of the rows of a data set that is one file


def read(path: Path) -> pl.DataFrame:
    """Read a file with every cell of a CSV as it is written."""
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)


def write(frame: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    return path


def files(train: Path, test: Path | None, target: str, rows: int | None, folder: Path) -> tuple[Path, Path]:
    """Return the training and the test file: the given ones, or slices of at most `rows` rows each, in the folder.

    A data set of one file is divided once, by a draw that is always the same. Test rows of a slice whose class its
    training rows do not have are left out: no side could learn them.
    """
    if rows is None and test is not None:
        return train, test
    frame = read(train)
    if test is None:
        frame = frame.sample(fraction=1.0, shuffle=True, seed=0)
        held_out = int(len(frame) * HELD_OUT)
        tested, frame = frame[:held_out], frame[held_out:]
    else:
        tested = read(test)
    if rows is not None:
        names = frame[target].unique().sort()[: max(2, rows // ROWS_A_CLASS)]
        frame = frame.filter(pl.col(target).is_in(names.to_list()))
        frame = frame.sample(min(rows, len(frame)), shuffle=True, seed=0)
        tested = tested.filter(pl.col(target).is_in(frame[target].unique().to_list()))
        tested = tested.sample(min(rows, len(tested)), shuffle=True, seed=0)
    folder.mkdir(parents=True, exist_ok=True)
    return write(frame, folder / f"train{train.suffix}"), write(tested, folder / f"test{train.suffix}")
