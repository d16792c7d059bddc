"""What the commands do with finished runs: predict a file, compare two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError
from luban.model import Model
from luban.outputs import FOR_SPREADSHEETS, Formulas, check_output, for_text_file, free_names, read_by, write_table
from luban.predictor import known

if TYPE_CHECKING:
    from luban.evaluation.compare import RunComparison


def predict_file(
    run: Path,
    data: Path,
    output: Path | None,
    *,
    overwrite: bool,
    level: float | None = None,
    horizon: int | None = None,
    which: Formulas = "added",
) -> tuple[pl.DataFrame, list[str]]:
    """Predict every row of a source and write all its columns with the predictions beside them.

    level: of the prediction sets or intervals that are added. horizon: steps of a forecast, which is written alone, a
    row a step. which: cells that are written as text where a spreadsheet would run them. Returns the rows, as a text
    file has them where there is no output, and what was unusual or chosen. Raises ConfigError where the output
    exists, or the run has no sets of that level.
    """
    from luban.evaluation.prediction_sets import PredictionSets

    if output is not None:
        output = check_output(output, [data, *read_by(run)], overwrite=overwrite)
    model = Model.load(run)
    parts = model.predictor.parts
    sets = [] if level is None else [PredictionSets.load(model.directory, part.task, level) for part in parts]
    table = model.read(str(data))
    prediction = model.prediction(table, horizon)
    added = prediction.frame
    if model.predictor.task.is_ordered:
        is_text = output is None or output.suffix in FOR_SPREADSHEETS
        return _delivered(with_plain_dates(added) if is_text else added, added.columns, output, which, prediction.notes)
    for part, outputs, own in zip(parts, prediction.parts, sets, strict=False):
        added = added.hstack(known(own.columns(part.task, outputs), outputs))
    added = added.rename(free_names(added.columns, table.columns))
    frame = table.frame.hstack(added)
    notes = [*prediction.notes, *(part.decision for part in parts if part.decision is not None)]
    return _delivered(frame, added.columns, output, which, notes)


def with_plain_dates(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose moments read as people write them, `2024-01-31 13:00:00`."""
    moments = [name for name in frame.columns if isinstance(frame[name].dtype, pl.Datetime)]
    return frame.with_columns(pl.col(name).dt.to_string("%Y-%m-%d %H:%M:%S") for name in moments)


def _delivered(
    frame: pl.DataFrame, added: Sequence[str], output: Path | None, which: Formulas, notes: list[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Write predictions, or return them as a text file has them, with what is to tell."""
    if output is not None:
        return frame, [*notes, *write_table(frame, output, added, which)]
    frame, told = for_text_file(frame, added, which)
    return frame, [*notes, *told]


def compare_runs(run_a: Path, run_b: Path, data: Path | None, target: str | None = None) -> RunComparison:
    """Compare two runs on the test rows that they share, or on labelled rows, by one of several targets. Raises
    ConfigError where that fails."""
    from luban.evaluation import compare

    if data is None:
        return compare.compare(*compare.stored(RunDirectory.open(run_a), RunDirectory.open(run_b), target))

    def judged(path: Path) -> compare.Judged:
        model = Model.load(path)
        compare.part_of(model.directory, model.predictor.task, target)  # which one is meant must be said
        found = model.answered(str(data), target)
        return compare.Judged(
            model.directory,
            model.predictor.part(target).task,
            found.table.row_numbers,
            found.targets,
            found.outputs,
            is_named=True,
            units=found.units,
            is_part=len(model.predictor.parts) > 1,
        )

    return compare.compare(judged(run_a), judged(run_b))


def positions_of(text: str, count: int) -> list[int]:
    """Return the positions from 0 of the rows `1,6,10`, counted from 1. Raises ConfigError where they are none of the
    `count` rows."""
    try:
        positions = [int(number) - 1 for number in text.split(",")]
    except ValueError:
        positions = [-1]
    if not all(0 <= position < count for position in positions):
        raise ConfigError(
            "--rows",
            expected=f"numbers of rows from 1 to {count}",
            found=f"'{text}'",
            action="Write them like 1,6,10",
        )
    return positions
